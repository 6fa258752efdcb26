"""The document store in MongoDB. motor is known to this file and `mongo_turns.py` alone.

pymongo's own AsyncMongoClient has motor's shape: the change is these imports, an `await` before `aggregate` and
`client.close`.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any, ClassVar, Literal, cast

from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import ConnectionFailure, DuplicateKeyError, OperationFailure, PyMongoError

from app.core.logging_config import current_request_id
from app.stores.documents import DocumentStore
from app.stores.errors import DuplicateRecord, StoreUnavailable
from app.stores.mongo_turns import Turns
from app.stores.records import INDEXES, Record, Where

logger = logging.getLogger(__name__)

_ADVICE = "Check that the server runs, and that MONGODB_URL names it and holds the right user and password."
_HOST = r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?"
_SELECTION_SECONDS = 2.0
"""How long to look for a server that can be written to. The driver's own 30 s would outlast every caller."""


class MongoDocumentStore(DocumentStore):
    """One database of a MongoDB server or replica set. A write returns once a majority has it in the journal."""

    kind: ClassVar[Literal["mongodb", "sqlite"]] = "mongodb"
    # A document that is too large, or that cannot be read, is bson's to say: none of pymongo's own errors.
    driver_errors: ClassVar[tuple[type[Exception], ...]] = (PyMongoError, BSONError, OSError)
    lasting_errors: ClassVar[tuple[type[Exception], ...]] = (BSONError,)

    def __init__(self, url: str, database: str, timeout_seconds: float) -> None:
        """`url`: mongodb:// or mongodb+srv://, credentials included. `timeout_seconds`: of each operation."""
        super().__init__(server_of(url), _ADVICE, timeout_seconds)
        self._url = url
        self._name = database
        self._client: AsyncIOMotorClient[dict[str, Any]] | None = None
        self._turns: Turns | None = None

    async def start(self) -> None:
        """See `DocumentStore.start`."""
        if self._client is not None:
            return
        self._client = self._connect()
        try:
            about = await self._client.admin.command("buildInfo")
            if str(about.get("ferretdbVersion", "")).startswith("v1."):
                logger.info("the server is FerretDB 1.x, whose changes are not atomic: they take turns")
                self._turns = Turns(self._client[self._name], lease_seconds=2 * self._timeout_seconds)
            for collection, fields in INDEXES:
                keys = [(field, ASCENDING) for field in (*fields, "_id")]
                await self._collection(collection).create_index(keys, name="_".join(fields))
        except self.driver_errors as error:
            await self.close()
            raise self._unavailable("start", error) from None

    def _connect(self) -> AsyncIOMotorClient[dict[str, Any]]:
        milliseconds = int(self._timeout_seconds * 1000)
        selection = int(min(self._timeout_seconds, _SELECTION_SECONDS) * 1000)
        try:
            return AsyncIOMotorClient(
                self._url,
                serverSelectionTimeoutMS=selection,
                connectTimeoutMS=selection,
                socketTimeoutMS=milliseconds,
                wTimeoutMS=milliseconds,
                w="majority",
                journal=True,
            )
        except (PyMongoError, ValueError, OSError) as error:
            # What the driver says of a URL may quote its password.
            raise StoreUnavailable(
                f"MONGODB_URL cannot be used ({type(error).__name__}). It has the form "
                "mongodb://user:password@host:27017/, with user and password percent-encoded."
            ) from None

    async def close(self) -> None:
        """See `DocumentStore.close`."""
        client, self._client, self._turns = self._client, None, None
        if client is not None:
            client.close()

    async def _ping(self) -> None:
        if self._client is None:
            raise self._not_open()
        await self._client[self._name].command("ping")

    async def _insert(self, collection: str, record: Record) -> None:
        try:
            await self._collection(collection).insert_one(_document(record))
        except DuplicateKeyError:
            raise DuplicateRecord(f"{collection} has a record with this id already") from None

    async def _put(self, collection: str, record: Record) -> None:
        await self._collection(collection).replace_one({"_id": record["id"]}, _document(record), upsert=True)

    async def _get(self, collection: str, id: str) -> Record | None:
        found = await self._collection(collection).find_one({"_id": id})
        return _record(found) if found else None

    async def _find(
        self, collection: str, where: Where, sort: str | None, newest_first: bool, limit: int
    ) -> list[Record]:
        cursor = self._collection(collection).find(_filter(where)).limit(limit)
        if sort:
            direction = DESCENDING if newest_first else ASCENDING
            cursor = cursor.sort([(_key(sort), direction), ("_id", direction)])
        return [_record(found) for found in await cursor.to_list(limit)]

    async def _ids(self, collection: str, where: Where, limit: int) -> list[str]:
        cursor = self._collection(collection).find(_filter(where), {"_id": 1}).sort([("_id", ASCENDING)]).limit(limit)
        return [found["_id"] for found in await cursor.to_list(limit)]

    async def _update(self, collection: str, where: Where, changes: Mapping[str, Any]) -> int:
        async with self._turn(collection):
            result = await self._collection(collection).update_many(_filter(where), {"$set": dict(changes)})
        return result.matched_count

    async def _claim(self, collection: str, where: Where, changes: Mapping[str, Any], oldest_by: str) -> Record | None:
        async with self._turn(collection):
            return await self._take(collection, where, changes, oldest_by)

    def _turn(self, collection: str) -> AbstractAsyncContextManager[None]:
        return self._turns.turn(collection) if self._turns else nullcontext()

    async def _take(self, collection: str, where: Where, changes: Mapping[str, Any], oldest_by: str) -> Record | None:
        found = await self._collection(collection).find_one_and_update(
            _filter(where),
            {"$set": dict(changes)},
            sort=[(_key(oldest_by), ASCENDING), ("_id", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return _record(found) if found else None

    async def _count(self, collection: str, where: Where, distinct: str | None) -> int:
        if distinct is None:
            return await self._collection(collection).count_documents(_filter(where))
        present = {"$and": [_filter(where), {_key(distinct): {"$ne": None}}]}
        groups: Sequence[Mapping[str, Any]] = [
            {"$match": present},
            {"$group": {"_id": f"${_key(distinct)}"}},
            {"$count": "groups"},
        ]
        rows = await self._collection(collection).aggregate(groups).to_list(1)
        return int(rows[0]["groups"]) if rows else 0

    async def _count_by(self, collection: str, field: str, where: Where) -> dict[str, int]:
        groups = [{"$match": _filter(where)}, {"$group": {"_id": f"${_key(field)}", "records": {"$sum": 1}}}]
        rows = await self._collection(collection).aggregate(groups).to_list(None)
        return {row["_id"]: row["records"] for row in rows if isinstance(row["_id"], str)}

    async def _delete(self, collection: str, where: Where) -> int:
        return (await self._collection(collection).delete_many(_filter(where))).deleted_count

    def _collection(self, name: str) -> AsyncIOMotorCollection[dict[str, Any]]:
        if self._client is None:
            raise self._not_open()
        collection = self._client[self._name][name]
        request_id = current_request_id()
        return cast("AsyncIOMotorCollection[Any]", _Named(collection, request_id)) if request_id else collection

    def _reason(self, error: Exception) -> str:
        """A server's own words may quote a record, and of a failed login the user: its code says enough."""
        if isinstance(error, OperationFailure):
            return f"the server refused it ({(error.details or {}).get('codeName') or 'error'}, code {error.code})"
        if isinstance(error, ConnectionFailure):
            words = re.split(r" \(configured timeouts|, Timeout:", str(error))[0]
            return f"{type(error).__name__}: {words}"
        return type(error).__name__


class _Named:
    """A collection whose commands carry the request's id as their comment, as the server's slow operations show it."""

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]], request_id: str) -> None:
        self._collection, self._request_id = collection, request_id

    def __getattr__(self, method: str) -> Any:
        return partial(getattr(self._collection, method), comment=self._request_id)


def server_of(url: str) -> str:
    """The host, or the hosts, of a MongoDB URL: never the user, the password or an option, however malformed."""
    hosts = re.split(r"[/?]", url.partition("://")[2].rpartition("@")[2])[0]
    return hosts if re.fullmatch(rf"{_HOST}(,{_HOST})*", hosts) else "the server of MONGODB_URL"


def _key(field: str) -> str:
    return "_id" if field == "id" else field


def _filter(where: Where) -> dict[str, Any]:
    return {
        _key(field): dict(wanted) if isinstance(wanted, Mapping) else {"$eq": wanted} for field, wanted in where.items()
    }


def _document(record: Record) -> dict[str, Any]:
    return {_key(field): value for field, value in record.items()}


def _record(document: dict[str, Any]) -> Record:
    return {"id" if key == "_id" else key: value for key, value in document.items()}

"""The stores that are asked over the network: MongoDB by its driver, Qdrant by its snapshots."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import httpx
from bson import decode_file_iter
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from app.core.authority import trusted
from scripts.backup.archive import BackupError
from scripts.backup.parts import Part

_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
#: Records in one write.
_BATCH = 500
#: A lone MongoDB has no view of all collections at one moment, so what refers to a record is read before it. An upload
#: is there before its job, and until that is done: read on both sides, no job that waits lacks its own.
_ORDER, _TWICE = ("uploads", "feedback", "messages", "sessions", "jobs"), "uploads"


class Mongo(Part):
    """One database: a BSON file a collection, as mongodump writes them. Indexes are the backend's to make."""

    name, kind = "documents", "mongodb"

    def __init__(self, url: str, database: str) -> None:
        self._url, self._database = url, database

    def collect(self, target: Path) -> None:
        with self._open() as database:
            names = sorted(name for name in database.list_collection_names() if not name.startswith("system."))
            for name in sorted(names, key=lambda name: (*_ORDER, name).index(name)):
                _dump(database, name, target / f"{name}.bson")
            _dump(database, _TWICE, target / f"{_TWICE}.bson")

    def holds(self) -> str:
        with self._open() as database:
            names = [name for name in database.list_collection_names() if database[name].find_one()]
        return f"records of {', '.join(sorted(names))} in MongoDB" if names else ""

    def put_back(self, source: Path) -> None:
        with self._open() as database:
            for name in database.list_collection_names():
                if not name.startswith("system."):
                    database.drop_collection(name)
            for file in sorted(source.glob("*.bson")):
                collection = database[file.stem]
                with file.open("rb") as file_of_records:
                    records = decode_file_iter(file_of_records, _RAW)
                    while batch := list(islice(records, _BATCH)):
                        collection.insert_many(batch)

    @contextmanager
    def _open(self) -> Iterator[Database[RawBSONDocument]]:
        try:
            with MongoClient[RawBSONDocument](
                self._url, serverSelectionTimeoutMS=5000, document_class=RawBSONDocument
            ) as it:
                yield it[self._database]
        except (PyMongoError, ValueError) as error:  # what the driver says of a URL may quote its password
            raise BackupError(
                f"MongoDB does not do as asked ({type(error).__name__}): does it run at MONGODB_URL?"
            ) from None


def _dump(database: Database[RawBSONDocument], name: str, file: Path) -> None:
    """Adds the records that the file lacks."""
    with file.open("a+b") as records:
        records.seek(0)
        seen = {record["_id"] for record in decode_file_iter(records, _RAW)}
        for record in database[name].find():
            if record["_id"] not in seen:
                records.write(record.raw)


class Qdrant(Part):
    """Every collection of a server, each as Qdrant's own snapshot."""

    name, kind = "vectors", "qdrant"

    def __init__(self, url: str, key: str = "", authority_file: str = "") -> None:
        """`authority_file`: what signed its certificate, for an https:// `url`."""
        self._url, self._headers, self._authority = url, {"api-key": key} if key else {}, authority_file

    def collect(self, target: Path) -> None:
        with self._open() as client:
            for name in _collections(client):
                snapshot = client.post(f"/collections/{name}/snapshots").raise_for_status().json()["result"]["name"]
                path = f"/collections/{name}/snapshots/{snapshot}"
                try:
                    with client.stream("GET", path) as answer, (target / f"{name}.snapshot").open("wb") as file:
                        for block in answer.raise_for_status().iter_bytes():
                            file.write(block)
                finally:
                    client.delete(path)

    def holds(self) -> str:
        with self._open() as client:
            counts = {n: client.get(f"/collections/{n}").json()["result"]["points_count"] for n in _collections(client)}
        full = sorted(name for name, count in counts.items() if count)
        return f"vectors of {', '.join(full)} in Qdrant" if full else ""

    def put_back(self, source: Path) -> None:
        with self._open() as client:
            for name in _collections(client):
                client.delete(f"/collections/{name}").raise_for_status()
            for file in sorted(source.glob("*.snapshot")):
                with file.open("rb") as snapshot:
                    path = f"/collections/{file.stem}/snapshots/upload?priority=snapshot"
                    client.post(path, files={"snapshot": snapshot}).raise_for_status()

    @contextmanager
    def _open(self) -> Iterator[httpx.Client]:
        try:
            verify = trusted(self._authority)
            with httpx.Client(
                base_url=self._url, headers=self._headers, timeout=300, verify=verify, trust_env=False
            ) as client:
                yield client
        except httpx.HTTPError as error:
            raise BackupError(f"Qdrant at {self._url} does not do as asked ({error}): does it run?") from None


def _collections(client: httpx.Client) -> list[str]:
    return [one["name"] for one in client.get("/collections").raise_for_status().json()["result"]["collections"]]

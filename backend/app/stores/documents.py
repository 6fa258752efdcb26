"""The document store as the rest of the service sees it: small collections of JSON records.

`mongo.py` and `sqlite.py` implement it. What is common to both stands here once: what is checked before a call,
the time limit, the metrics, the fault `database_down`, and how a driver's exception becomes `StoreUnavailable`.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, ClassVar, Literal

from opentelemetry.trace import SpanKind

from app.core.faults import InjectedFault, board
from app.core.spans import SpanOrder, in_span
from app.services.metrics_service import metrics
from app.stores.errors import DuplicateRecord, StoreRefused, StoreUnavailable
from app.stores.records import (
    COLLECTIONS,
    Record,
    Where,
    check_changes,
    check_collection,
    check_field,
    check_record,
    check_where,
)

__all__ = [
    "COLLECTIONS",
    "NO_COLLECTION",
    "OPERATIONS",
    "OPERATION_LABELS",
    "DocumentStore",
    "DuplicateRecord",
    "Record",
    "StoreUnavailable",
    "Where",
]

OPERATIONS = ("insert", "put", "get", "find", "update", "claim", "count", "delete", "ping")
NO_COLLECTION = "none"
"""The metrics' `collection` of a ping, which touches none."""

OPERATION_LABELS: tuple[tuple[str, str], ...] = (
    *((operation, collection) for operation in OPERATIONS[:-1] for collection in COLLECTIONS),
    ("ping", NO_COLLECTION),
)
"""Each (operation, collection) that the metrics can be given, so that all of them exist from the start."""

_UNSTRUCK = ("faults", "api_keys")  # the fault must not lock in the very records that end it


@cache
def _span(kind: str, operation: str, collection: str) -> SpanOrder:
    """An operation's span, by OpenTelemetry's conventions for databases: never a record's id, or what it holds."""
    if collection == NO_COLLECTION:
        return operation, SpanKind.CLIENT, {"db.system.name": kind, "db.operation.name": operation}
    return (
        f"{operation} {collection}",
        SpanKind.CLIENT,
        {"db.system.name": kind, "db.operation.name": operation, "db.collection.name": collection},
    )


class DocumentStore(ABC):
    """Collections of records. Every write is on disk when its call returns.

    Each call but `start` and `close` raises `StoreUnavailable` when the store fails or takes longer than its time
    limit (seconds), the `StoreRefused` among them when it would fail again, and `ValueError` for what
    `app.stores.records` refuses.
    """

    kind: ClassVar[Literal["mongodb", "sqlite"]]
    driver_errors: ClassVar[tuple[type[Exception], ...]]
    """The exceptions by which this store's driver says that it failed."""
    lasting_errors: ClassVar[tuple[type[Exception], ...]] = ()
    """Those of them that the same call would raise again."""

    def __init__(self, place: str, advice: str, timeout_seconds: float) -> None:
        """`place` (a host or a file) and `advice` (what to do) go into error messages: no credentials in them."""
        self._place = place
        self._advice = advice
        self._timeout_seconds = timeout_seconds
        self._failures: tuple[type[Exception], ...] = (InjectedFault, TimeoutError, *self.driver_errors)

    @abstractmethod
    async def start(self) -> None:
        """Connects, and makes collections and indexes where they are missing. Safe to repeat.

        Raises `StoreUnavailable` when it cannot, with the host or file in the message.
        """

    @abstractmethod
    async def close(self) -> None:
        """Ends the connections. Safe to repeat."""

    async def ping(self) -> None:
        """Returns when the store answers."""
        async with self._operation("ping", NO_COLLECTION):
            await self._ping()

    async def insert(self, collection: str, record: Record) -> None:
        """Adds a record; raises `DuplicateRecord` when its id is taken."""
        check_record(record)
        async with self._operation("insert", collection):
            await self._insert(collection, record)

    async def put(self, collection: str, record: Record) -> None:
        """Adds a record, or replaces the one with its id."""
        check_record(record)
        async with self._operation("put", collection):
            await self._put(collection, record)

    async def get(self, collection: str, id: str) -> Record | None:
        """The record with this id."""
        check_where({"id": id})
        async with self._operation("get", collection):
            return await self._get(collection, id)

    async def find(
        self, collection: str, where: Where, *, sort: str | None = None, newest_first: bool = True, limit: int = 100
    ) -> list[Record]:
        """At most `limit` records that match, by the field `sort` (then by id), descending if `newest_first`.

        Without `sort` they come in no particular order. A missing value sorts below every other.
        """
        check_where(where)
        if sort is not None:
            check_field(sort)
        if limit < 1:
            raise ValueError(f"a limit of {limit} finds nothing: use 1 or more")
        async with self._operation("find", collection):
            return await self._find(collection, where, sort, newest_first, limit)

    async def ids(self, collection: str, where: Where, limit: int = 100) -> list[str]:
        """The ids of at most `limit` records that match, the first of them, in order: for records that are large."""
        check_where(where)
        async with self._operation("find", collection):
            return await self._ids(collection, where, limit)

    async def update(self, collection: str, where: Where, changes: Mapping[str, Any]) -> int:
        """Sets these fields on every record that matches; returns how many matched."""
        check_where(where)
        check_changes(changes)
        async with self._operation("update", collection):
            return await self._update(collection, where, changes)

    async def claim(
        self, collection: str, where: Where, changes: Mapping[str, Any], *, oldest_by: str
    ) -> Record | None:
        """Changes the one record that matches and is first by `oldest_by`; returns it as changed, or None.

        Atomic: of any number of claimers, in any number of processes, no two get the same record, provided that
        a record no longer matches `where` once `changes` are set.
        """
        check_where(where)
        check_changes(changes)
        check_field(oldest_by)
        async with self._operation("claim", collection):
            return await self._claim(collection, where, changes, oldest_by)

    async def count(self, collection: str, where: Where, *, distinct: str | None = None) -> int:
        """How many records match; or how many different values they have in `distinct`, None not counted."""
        check_where(where)
        if distinct is not None:
            check_field(distinct)
        async with self._operation("count", collection):
            return await self._count(collection, where, distinct)

    async def count_by(self, collection: str, field: str, where: Where | None = None) -> dict[str, int]:
        """How many records have each string in `field`. What holds no string there is left out."""
        check_where(where or {})
        check_field(field)
        async with self._operation("count", collection):
            return await self._count_by(collection, field, where or {})

    async def delete(self, collection: str, where: Where) -> int:
        """Removes every record that matches; returns how many."""
        check_where(where)
        async with self._operation("delete", collection):
            return await self._delete(collection, where)

    @abstractmethod
    async def _ping(self) -> None: ...

    @abstractmethod
    async def _insert(self, collection: str, record: Record) -> None: ...

    @abstractmethod
    async def _put(self, collection: str, record: Record) -> None: ...

    @abstractmethod
    async def _get(self, collection: str, id: str) -> Record | None: ...

    @abstractmethod
    async def _find(
        self, collection: str, where: Where, sort: str | None, newest_first: bool, limit: int
    ) -> list[Record]: ...

    @abstractmethod
    async def _ids(self, collection: str, where: Where, limit: int) -> list[str]: ...

    @abstractmethod
    async def _update(self, collection: str, where: Where, changes: Mapping[str, Any]) -> int: ...

    @abstractmethod
    async def _claim(
        self, collection: str, where: Where, changes: Mapping[str, Any], oldest_by: str
    ) -> Record | None: ...

    @abstractmethod
    async def _count(self, collection: str, where: Where, distinct: str | None) -> int: ...

    @abstractmethod
    async def _count_by(self, collection: str, field: str, where: Where) -> dict[str, int]: ...

    @abstractmethod
    async def _delete(self, collection: str, where: Where) -> int: ...

    @abstractmethod
    def _reason(self, error: Exception) -> str:
        """A driver's exception in words that hold no credentials and nothing of a record."""

    @asynccontextmanager
    async def _operation(self, operation: str, collection: str) -> AsyncIterator[None]:
        """What surrounds every operation: its span, the fault, the time limit, the metrics, the errors' translation."""
        if collection != NO_COLLECTION:
            check_collection(collection)
        started = time.perf_counter()
        with in_span(*_span(self.kind, operation, collection)):
            try:
                if collection not in _UNSTRUCK:
                    board.fail("database_down")
                async with asyncio.timeout(self._timeout_seconds):
                    yield
            except StoreUnavailable:
                metrics.track_database_error(operation, collection)
                raise
            except self._failures as error:
                metrics.track_database_error(operation, collection)
                subject = operation if collection == NO_COLLECTION else f"{operation} in {collection}"
                raise self._unavailable(subject, error) from (error if isinstance(error, InjectedFault) else None)
            finally:
                metrics.track_database_operation(operation, collection, time.perf_counter() - started)

    def _unavailable(self, subject: str, error: Exception) -> StoreUnavailable:
        if isinstance(error, InjectedFault):
            reason = str(error)
        elif isinstance(error, TimeoutError):
            reason = f"no answer within {self._timeout_seconds:g} s (a change may still take effect)"
        else:
            reason = self._reason(error)
        kind = StoreRefused if isinstance(error, self.lasting_errors) else StoreUnavailable
        return kind(f"{self.kind} at {self._place} failed to {subject}: {reason}. {self._advice}")

    def _not_open(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self.kind} at {self._place} is not open: call start() first")

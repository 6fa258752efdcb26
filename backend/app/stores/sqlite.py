"""The document store in one SQLite file: a table a collection, a JSON body a record."""

import asyncio
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import aiosqlite
import orjson

from app.stores.documents import DocumentStore
from app.stores.errors import DuplicateRecord
from app.stores.records import COLLECTIONS, INDEXES, Record, Where
from app.stores.sqlite_query import column, condition, json_kind

_PAUSE_SECONDS = 0.02


class SqliteDocumentStore(DocumentStore):
    """Two connections to one file: a slow commit on one does not hold up a read on the other.

    Each operation is one statement in autocommit mode, so a call that is cancelled leaves no open transaction.
    """

    kind: ClassVar[Literal["mongodb", "sqlite"]] = "sqlite"
    driver_errors: ClassVar[tuple[type[Exception], ...]] = (sqlite3.Error, OSError)

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        """`path`: the file, made when missing, along with its folder. `timeout_seconds`: of each operation."""
        advice = "Check that SQLITE_PATH can be written to, that its disk has room and that no other program locks it."
        super().__init__(str(path), advice, timeout_seconds)
        self._path = path
        self._writer: aiosqlite.Connection | None = None
        self._reader: aiosqlite.Connection | None = None

    async def start(self) -> None:
        """See `DocumentStore.start`."""
        if self._writer is not None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = await self._connect()
            await self._prepare(self._writer)
            self._reader = await self._connect()
        except self.driver_errors as error:
            await self.close()
            raise self._unavailable("start", error) from None

    async def _prepare(self, writer: aiosqlite.Connection) -> None:
        # FULL: a commit has reached the disk when it returns, also where the power fails a moment later.
        script = f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; BEGIN IMMEDIATE; {_schema()} COMMIT"
        deadline = time.monotonic() + self._timeout_seconds
        while True:
            try:
                await writer.executescript(script)
            except sqlite3.OperationalError as error:
                # Of several processes that turn a new file to WAL at once, SQLite lets some fail and not wait.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    async def _connect(self) -> aiosqlite.Connection:
        connection = aiosqlite.connect(self._path, isolation_level=None, timeout=self._timeout_seconds)
        # A process that fails before it closes the store must still end, and so be restarted: aiosqlite's thread
        # would keep it for ever. Nothing is lost, for no transaction outlives its statement.
        connection._thread.daemon = True
        return await connection

    async def close(self) -> None:
        """See `DocumentStore.close`."""
        connections, self._writer, self._reader = (self._reader, self._writer), None, None
        for connection in connections:
            if connection is not None:
                await connection.close()

    async def _ping(self) -> None:
        await self._read("SELECT count(*) FROM sqlite_schema", [])

    async def _insert(self, collection: str, record: Record) -> None:
        try:
            await self._write(f"INSERT INTO {collection} VALUES (?, ?)", [record["id"], _dump(record)])  # noqa: S608
        except sqlite3.IntegrityError:
            raise DuplicateRecord(f"{collection} has a record with this id already") from None

    async def _put(self, collection: str, record: Record) -> None:
        await self._write(f"REPLACE INTO {collection} VALUES (?, ?)", [record["id"], _dump(record)])  # noqa: S608

    async def _get(self, collection: str, id: str) -> Record | None:
        rows = await self._read(f"SELECT body FROM {collection} WHERE id = ?", [id])  # noqa: S608
        return _load(rows[0]) if rows else None

    async def _find(
        self, collection: str, where: Where, sort: str | None, newest_first: bool, limit: int
    ) -> list[Record]:
        test, values = condition(where)
        direction = "DESC" if newest_first else "ASC"
        order = f"ORDER BY {column(sort)} {direction}, id {direction}" if sort else ""
        rows = await self._read(f"SELECT body FROM {collection} WHERE {test} {order} LIMIT ?", [*values, limit])  # noqa: S608
        return [_load(row) for row in rows]

    async def _ids(self, collection: str, where: Where, limit: int) -> list[str]:
        test, values = condition(where)
        rows = await self._read(f"SELECT id FROM {collection} WHERE {test} ORDER BY id LIMIT ?", [*values, limit])  # noqa: S608
        return [row[0] for row in rows]

    async def _update(self, collection: str, where: Where, changes: Mapping[str, Any]) -> int:
        body, new = _changed(changes)
        test, values = condition(where)
        return await self._write(f"UPDATE {collection} SET body = {body} WHERE {test}", [*new, *values])  # noqa: S608

    async def _claim(self, collection: str, where: Where, changes: Mapping[str, Any], oldest_by: str) -> Record | None:
        body, new = _changed(changes)
        test, values = condition(where)
        first = f"SELECT id FROM {collection} WHERE {test} ORDER BY {column(oldest_by)}, id LIMIT 1"  # noqa: S608
        sql = f"UPDATE {collection} SET body = {body} WHERE id = ({first}) RETURNING body"  # noqa: S608
        rows = await self._fetch(self._writer, sql, [*new, *values])
        return _load(rows[0]) if rows else None

    async def _count(self, collection: str, where: Where, distinct: str | None) -> int:
        test, values = condition(where)
        counted = f"DISTINCT {column(distinct)}" if distinct else "*"
        rows = await self._read(f"SELECT count({counted}) FROM {collection} WHERE {test}", values)  # noqa: S608
        return int(rows[0][0])

    async def _count_by(self, collection: str, field: str, where: Where) -> dict[str, int]:
        test, values = condition(where)
        only_text = f"({test}) AND {json_kind(field)} = 'text'"
        sql = f"SELECT {column(field)}, count(*) FROM {collection} WHERE {only_text} GROUP BY 1"  # noqa: S608
        return dict(await self._read(sql, values))

    async def _delete(self, collection: str, where: Where) -> int:
        test, values = condition(where)
        return await self._write(f"DELETE FROM {collection} WHERE {test}", values)  # noqa: S608

    async def _read(self, sql: str, values: Sequence[Any]) -> list[Any]:
        return await self._fetch(self._reader, sql, values)

    async def _fetch(
        self, connection: aiosqlite.Connection | None, sql: str, values: Sequence[Any]
    ) -> list[sqlite3.Row]:
        if connection is None:
            raise self._not_open()
        return list(await connection.execute_fetchall(sql, values))

    async def _write(self, sql: str, values: Sequence[Any]) -> int:
        if self._writer is None:
            raise self._not_open()
        async with self._writer.execute(sql, values) as cursor:
            return cursor.rowcount

    def _reason(self, error: Exception) -> str:
        return f"{type(error).__name__}: {error}"  # SQLite names tables and files, never values


def _schema() -> str:
    """The statements that make what is missing."""
    tables = [f"CREATE TABLE IF NOT EXISTS {name} (id TEXT PRIMARY KEY, body TEXT NOT NULL);" for name in COLLECTIONS]
    indexes = [
        f"CREATE INDEX IF NOT EXISTS {'_'.join((table, *fields))} "
        f"ON {table} ({', '.join(column(field) for field in fields)}, id);"
        for table, fields in INDEXES
    ]
    return " ".join(tables + indexes)


def _changed(changes: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The SQL of a body with these fields set, and its values. Other fields stay as they are, to the letter."""
    steps = "".join(f", '$.{field}', json(?)" for field in changes)
    return f"json_set(body{steps})", [_dump(value) for value in changes.values()]


def _dump(value: Any) -> str:
    return orjson.dumps(value).decode()


def _load(row: sqlite3.Row) -> Record:
    record: Record = orjson.loads(row[0])
    return record

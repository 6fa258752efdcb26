"""What SQLite alone has to prove: durability, time limits, the use of its indexes."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aiosqlite
import pytest

from app.stores import sqlite
from app.stores.documents import StoreUnavailable
from app.stores.sqlite import SqliteDocumentStore
from app.stores.sqlite_query import column, condition

WRITER = """
import asyncio, itertools, pathlib, sys
from app.stores.sqlite import SqliteDocumentStore

async def main():
    store = SqliteDocumentStore(pathlib.Path(sys.argv[1]), 5.0)
    await store.start()
    for number in itertools.count():
        await store.insert("uploads", {"id": str(number), "content": "x" * 5000})
        await store.update("uploads", {"id": str(number)}, {"seen": True})
        print(number)

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(
    tmp_path: Path, killed_after_writing: Callable[[str, Path], list[str]]
) -> None:
    acknowledged = killed_after_writing(WRITER, tmp_path / "records.sqlite")
    store = SqliteDocumentStore(tmp_path / "records.sqlite", 5.0)
    await store.start()
    assert len(acknowledged) >= 20
    for number in acknowledged:
        assert await store.get("uploads", number) == {"id": number, "content": "x" * 5000, "seen": True}
    await store.close()


UNCLOSED = """
import asyncio, pathlib, sys
from app.stores.sqlite import SqliteDocumentStore

async def main():
    global store
    store = SqliteDocumentStore(pathlib.Path(sys.argv[1]), 5.0)
    await store.start()
    raise SystemExit(7)

asyncio.run(main())
"""


def test_a_process_that_fails_before_it_closes_the_store_still_ends(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(sqlite.__file__).parents[2])}
    command = [sys.executable, "-c", UNCLOSED, str(tmp_path / "records.sqlite")]
    assert subprocess.run(command, env=environment, timeout=30, check=False).returncode == 7


async def test_commits_reach_the_disk_before_they_return(tmp_path: Path) -> None:
    store = SqliteDocumentStore(tmp_path / "records.sqlite", 5.0)
    await store.start()
    assert store._writer is not None
    assert [tuple(row) for row in await store._writer.execute_fetchall("PRAGMA journal_mode")] == [("wal",)]
    full = 2
    assert [tuple(row) for row in await store._writer.execute_fetchall("PRAGMA synchronous")] == [(full,)]
    await store.close()


@pytest.mark.parametrize(
    ("table", "where", "sort", "index"),
    [
        ("jobs", {"status": "queued"}, "created_at", "jobs_status_created_at"),
        ("messages", {"session_id": "s"}, "created_at", "messages_session_id_created_at"),
        ("messages", {"created_at": {"$gte": 1.0}}, "created_at", "messages_created_at"),
        ("sessions", {"closed_at": None, "last_active_at": {"$lt": 1.0}}, None, "sessions_closed_at_last_active_at"),
        ("feedback", {"created_at": {"$gte": 1.0}}, None, "feedback_created_at"),
        ("uploads", {"created_at": {"$lt": 1.0}}, None, "uploads_created_at"),
        ("uploads", {"created_at": None}, None, "uploads_created_at"),
        ("jobs", {"status": "queued", "queued_at": {"$lte": 1.0}}, "queued_at", "jobs_status_queued_at"),
    ],
)
async def test_the_indexes_serve_the_queries_they_were_made_for(
    tmp_path: Path, table: str, where: dict[str, object], sort: str | None, index: str
) -> None:
    store = SqliteDocumentStore(tmp_path / "records.sqlite", 5.0)
    await store.start()
    test, values = condition(where)
    order = f" ORDER BY {column(sort)} DESC, id DESC" if sort else ""
    plan = await store._read(f"EXPLAIN QUERY PLAN SELECT body FROM {table} WHERE {test}{order}", values)
    await store.close()
    steps = " ".join(row[3] for row in plan)
    assert f"SEARCH {table} USING INDEX {index} (" in steps
    assert "TEMP B-TREE" not in steps


async def test_a_file_that_another_program_locks_ends_in_time(tmp_path: Path) -> None:
    store = SqliteDocumentStore(tmp_path / "records.sqlite", 0.2)
    await store.start()
    other = sqlite3.connect(tmp_path / "records.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"failed to put in jobs: .*(no answer within 0.2 s|locked)"):
        await store.put("jobs", {"id": "x"})
    assert await store.get("jobs", "x") is None  # reads go on
    other.execute("ROLLBACK")
    other.close()
    await store.put("jobs", {"id": "x"})
    await store.close()


async def test_two_processes_wait_for_each_other(tmp_path: Path) -> None:
    first, second = (SqliteDocumentStore(tmp_path / "records.sqlite", 5.0) for _ in range(2))
    await first.start()
    await second.start()
    await first.put("jobs", {"id": "x", "status": "queued"})
    assert await second.get("jobs", "x") == {"id": "x", "status": "queued"}
    await first.close()
    await second.close()


async def test_replicas_may_start_on_a_new_file_at_the_same_moment(tmp_path: Path) -> None:
    stores = [SqliteDocumentStore(tmp_path / "records.sqlite", 5.0) for _ in range(6)]
    await asyncio.gather(*(store.start() for store in stores))
    # Each has a whole schema, and all have the same file.
    await asyncio.gather(*(store.insert("jobs", {"id": str(n), "status": "queued"}) for n, store in enumerate(stores)))
    for store in stores:
        assert await store.count("jobs", {"status": "queued"}) == len(stores)
        await store.close()


async def test_a_start_that_sqlite_refuses_for_the_sake_of_another_one_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, refusals = aiosqlite.Connection.executescript, [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY]

    async def busy_first(connection: aiosqlite.Connection, script: str) -> aiosqlite.Cursor:
        if refusals:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = refusals.pop()
            raise error
        return await really(connection, script)

    monkeypatch.setattr(aiosqlite.Connection, "executescript", busy_first)
    store = SqliteDocumentStore(tmp_path / "records.sqlite", 5.0)
    await store.start()
    assert refusals == []
    await store.put("jobs", {"id": "x"})
    assert await store.get("jobs", "x") == {"id": "x"}
    await store.close()


async def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    content = b"this is no database, whatever its name says" * 100
    file = tmp_path / "records.sqlite"
    file.write_bytes(content)
    store = SqliteDocumentStore(file, 5.0)
    with pytest.raises(StoreUnavailable, match=rf"sqlite at {file} failed to start: .*not a database.*SQLITE_PATH"):
        await store.start()
    assert file.read_bytes() == content


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SqliteDocumentStore(tmp_path / "file" / "records.sqlite", 5.0)
    with pytest.raises(StoreUnavailable, match=r"failed to start: .*SQLITE_PATH"):
        await store.start()

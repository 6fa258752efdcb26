"""What is acknowledged while the chaos lasts stands in the book, and is found in the real backend's own store."""

import asyncio
import json
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from app.stores.sqlite import SqliteDocumentStore
from scripts.backend_process import BackendProcess
from scripts.chaos import traffic as sent
from scripts.chaos.book import Book, records
from scripts.chaos.traffic import SHIFT_MINUTES, ShiftedLines, Traffic, running


def test_everything_that_the_book_owes_is_in_the_store(tmp_path: Path) -> None:
    book, lines = Book(), ShiftedLines(tmp_path / "lines", 1)
    with BackendProcess(tmp_path) as backend:
        with running(Traffic(backend.address, book, 30, 1), lines):
            until = time.monotonic() + 20
            while not (book.uploads and book.messages and book.feedback) and time.monotonic() < until:
                time.sleep(0.1)
        store = SqliteDocumentStore(Path(backend.environment["SQLITE_PATH"]), 30)
        found = asyncio.run(_read(store, book))
    assert book.answers.keys() <= {"200", "201", "202"}
    assert found["messages"] == book.messages != {}
    assert found["feedback"] == book.feedback != {}
    assert found["jobs"].keys() == book.uploads.keys() != set()
    assert len(book.traces) == sum(book.answers.values()), "every acknowledged request has its trace"
    assert lines.number > 0


async def _read(store: SqliteDocumentStore, book: Book) -> dict[str, dict[str, str]]:
    await store.start()
    try:
        return {
            "jobs": await records(store, "jobs", book.uploads, "status"),
            "messages": await records(store, "messages", book.messages, "text"),
            "feedback": await records(store, "feedback", book.feedback, "score"),
        }
    finally:
        await store.close()


async def test_what_is_refused_or_not_answered_is_not_owed() -> None:
    body = b'{"job_id": "j", "session_id": "s", "message_id": "m", "answer": "a"}'
    asked = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked % 2:  # every other one is answered, and with an error
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
        writer.close()

    book, end = Book(), threading.Event()
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        running = asyncio.create_task(Traffic(address, book, 50, 1).run(end))
        await asyncio.sleep(0.5)
        end.set()
        await running
    assert book.answers["503"] > 5
    assert sum(book.answers.values()) - book.answers["503"] > 5
    assert (book.uploads, book.messages, book.feedback, book.traces) == ({}, {}, {}, {})


def test_the_clock_of_shifted_lines_is_wrong_either_way_and_never_by_more_than_loki_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent, "LINE_SECONDS", 0.001)
    lines, end = ShiftedLines(tmp_path, 1), threading.Event()
    thread = threading.Thread(target=lines.run, args=(end,))
    thread.start()
    time.sleep(0.5)
    end.set()
    thread.join()
    now, written = (
        time.time(),
        [json.loads(line) for path in tmp_path.glob("chaos.*.log") for line in path.read_text().splitlines()],
    )
    shifts = [datetime.fromisoformat(one["timestamp"]).timestamp() - now for one in written]
    assert [one["event"] for one in written] == [f"line {number} of chaos" for number in range(1, lines.number + 1)]
    assert min(shifts) < -60, "some are late"
    assert max(shifts) > 60, "and some early"
    assert max(map(abs, shifts)) <= 60 * SHIFT_MINUTES + 2

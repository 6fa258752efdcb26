"""The lines: one JSON object each, whoever writes it, and never at the cost of the event loop."""

import asyncio
import json
import logging
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.core.config import Settings
from app.core.log_writer import STALE_FOLDER_SECONDS, LogFiles, LogWriter
from app.core.logging_config import (
    RequestContext,
    close_logging,
    configure_logging,
    current_request_id,
    hash_user,
    logger,
)
from app.services.metrics_service import metrics
from tests.backend.conftest import make_settings, until


@pytest.fixture
def configured(settings: Settings) -> Iterator[Settings]:
    before = logging.getLogger().handlers[:]
    configure_logging(settings)
    yield settings
    close_logging()
    logging.getLogger().handlers[:] = before
    logging.captureWarnings(False)


def lines(settings: Settings) -> list[dict[str, Any]]:
    """Everything that was written so far, through the link that people read."""
    close_logging()
    return [json.loads(line) for line in (settings.log_dir / "application.log").read_text().splitlines()]


def test_a_line_has_what_every_line_has(configured: Settings) -> None:
    with RequestContext("request-1", "hashed"):
        logger.info("something happened", count=3)
    (line,) = lines(configured)
    assert line["event"] == "something happened"
    assert line["count"] == 3
    assert (line["level"], line["logger"], line["service"]) == ("info", "portal_app", "backend")
    assert (line["request_id"], line["user_id"], line["environment"]) == ("request-1", "hashed", "local")
    assert line["timestamp"].endswith("Z")
    assert len(line["timestamp"]) == len("2026-01-01T00:00:00.000000Z")


def test_the_level_is_a_real_one_also_for_exceptions(configured: Settings) -> None:
    def fail() -> None:
        secret_local = "canary"  # noqa: F841 - must not be in the line
        raise ValueError("broken")

    try:
        fail()
    except ValueError:
        logger.exception("it failed")
    (line,) = lines(configured)
    assert line["level"] == "error"
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert line["exception"][0]["frames"][-1]["name"] == "fail"
    assert "canary" not in json.dumps(line).replace('secret_local = \\"canary\\"', "")


def test_libraries_lines_and_warnings_come_the_same_way(configured: Settings) -> None:
    logging.getLogger("some.library").warning("a %s", "message")
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("httpx").info("a line a call, which nobody wants")
    warnings.warn("something is old", stacklevel=1)
    written = lines(configured)
    assert [line["logger"] for line in written] == ["some.library", "uvicorn.error", "py.warnings"]
    assert written[0]["event"] == "a message"


def test_lines_below_the_level_are_not_written(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, log_level="WARNING")
    before = logging.getLogger().handlers[:]
    configure_logging(settings)
    logger.info("no")
    logger.warning("yes")
    logging.getLogger("library").info("no")
    assert [line["event"] for line in lines(settings)] == ["yes"]
    logging.getLogger().handlers[:] = before


def test_nested_contexts_restore_the_outer_one() -> None:
    with RequestContext("outer", "user"):
        with RequestContext("inner"):
            assert structlog.contextvars.get_contextvars() == {"request_id": "inner", "user_id": "user"}
        assert current_request_id() == "outer"
    assert current_request_id() == ""


async def test_a_context_follows_its_request_into_tasks_and_threads() -> None:
    seen: list[str] = []

    async def work(request_id: str) -> None:
        with RequestContext(request_id):
            await asyncio.sleep(0.001)
            async with asyncio.TaskGroup() as group:
                group.create_task(look(request_id))
            assert await asyncio.to_thread(current_request_id) == request_id
            assert current_request_id() == request_id

    async def look(request_id: str) -> None:
        await asyncio.sleep(0.001)
        assert current_request_id() == request_id
        seen.append(request_id)

    await asyncio.gather(*(work(f"r{number}") for number in range(200)))
    assert len(set(seen)) == 200


def test_lines_are_counted_by_level(configured: Settings) -> None:
    before = metrics.registry.get_sample_value("log_messages_total", {"level": "warning"}) or 0
    logger.warning("one")
    logging.getLogger("library").warning("two")
    assert metrics.registry.get_sample_value("log_messages_total", {"level": "warning"}) == before + 2


def test_what_json_cannot_say_is_said_as_text(configured: Settings) -> None:
    logger.info("odd", path=Path("/x"), keys={1: "a"}, number=float("nan"), raw=b"\xff")
    (line,) = lines(configured)
    assert line["path"] == "/x"
    assert line["keys"] == {"1": "a"}


def test_files_rotate_under_load_without_losing_a_line(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, "application.log", max_bytes=5_000, keep=1_000)
    writer = LogWriter(files, limit=100_000)
    threads = [
        threading.Thread(target=lambda n=n: [writer.put(f"{n}-{i}\n".encode()) for i in range(2_000)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.06)
    for thread in threads:
        thread.join()
    writer.close()
    parts = sorted(tmp_path.glob("application.*.log"))
    assert len(parts) > 3
    written = [line for part in parts for line in part.read_text().splitlines()]
    assert len(written) == len(set(written)) == 8_000
    assert (tmp_path / "application.log").resolve() == parts[-1]


def test_only_so_many_files_are_kept(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, "application.log", max_bytes=10, keep=3)
    for number in range(8):
        files.write(f"line number {number}\n".encode())
        time.sleep(0.001)
    files.close()
    kept = sorted(tmp_path.glob("application.*.log"))
    assert [path.read_text() for path in kept] == [f"line number {n}\n" for n in (5, 6, 7)]


def test_a_full_queue_drops_and_counts_instead_of_waiting() -> None:
    writer = LogWriter(None, limit=10)
    begun = time.monotonic()
    for _ in range(100_000):
        writer.put(b"")
    assert time.monotonic() - begun < 2
    assert writer.dropped > 0
    writer.close()


def test_a_file_that_cannot_be_written_costs_one_complaint_and_recovers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    folder.write_text("in the way")  # a file where the folder should be: root may write anywhere else
    writer = LogWriter(LogFiles(folder, "application.log", 1_000, 3), limit=100)
    for text in (b"first\n", b"second\n"):
        writer.put(text)
        writer.flush()
    folder.unlink()
    writer.put(b"third\n")
    until(lambda: (writer.flush(), folder.is_dir())[1], "the folder is made once it can be")
    writer.close()
    assert (folder / "application.log").read_text() == "third\n"
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_replicas_write_folders_of_their_own_and_stale_ones_go(tmp_path: Path) -> None:
    import os

    old, fresh = tmp_path / "logs" / "old", tmp_path / "logs" / "fresh"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
        (folder / "application.1.log").write_text("x\n")
    long_ago = time.time() - STALE_FOLDER_SECONDS - 60
    os.utime(old / "application.1.log", (long_ago, long_ago))
    settings = make_settings(tmp_path, log_per_host=True)
    before = logging.getLogger().handlers[:]
    configure_logging(settings)
    logger.info("here")
    close_logging()
    logging.getLogger().handlers[:] = before
    import socket

    assert "here" in (tmp_path / "logs" / socket.gethostname() / "application.log").read_text()
    assert fresh.is_dir()
    assert not old.exists()


def test_user_ids_are_keyed_hashes(tmp_path: Path) -> None:
    one, other = make_settings(tmp_path, user_hash_key="a"), make_settings(tmp_path, user_hash_key="b")
    assert hash_user("alice", one) == hash_user("alice", one) != hash_user("bob", one)
    assert hash_user("alice", one) != hash_user("alice", other)
    assert "alice" not in hash_user("alice", one)

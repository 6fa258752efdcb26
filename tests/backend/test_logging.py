"""The lines: one JSON object each, whoever writes it, with the same fields in each."""

import asyncio
import gc
import json
import logging
import socket
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
import structlog
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from pydantic import BaseModel

from app.core.config import Settings
from app.core.logging_config import RequestContext, close_logging, configure_logging, emit, hash_user, logger
from app.services.metrics_service import metrics
from scripts.backend_process import BackendProcess
from tests.backend.conftest import lines, make_settings


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


def test_a_line_written_inside_a_span_carries_its_ids(configured: Settings) -> None:
    with use_span(NonRecordingSpan(SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=TraceFlags(1)))):
        logger.info("inside")
    logger.info("outside")
    inside, outside = lines(configured)
    assert (inside["trace_id"], inside["span_id"]) == ("a1".zfill(32), "b2".zfill(16))
    assert "trace_id" not in outside


def test_no_field_passes_for_one_of_ours(configured: Settings) -> None:
    with RequestContext("real"):
        emit("info", "real", "real", {"level": "critical", "logger": "x", "event": "x", "request_id": "x", "n": 1})
        logger.info("real", timestamp="x", level="critical", service="x")
    first, second = lines(configured)
    assert (first["level"], first["logger"], first["event"], first["request_id"]) == ("info", *["real"] * 3)
    assert (first["field_level"], first["field_request_id"], first["n"]) == ("critical", "x", 1)
    assert (second["level"], second["service"], second["field_level"]) == ("info", "backend", "critical")


def test_the_level_is_a_real_one_also_for_exceptions(configured: Settings) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("it failed")
    (line,) = lines(configured)
    assert line["level"] == "error"
    assert line["exception"][0]["exc_type"] == "ValueError"


def test_an_exception_is_told_with_its_causes_and_without_local_variables(configured: Settings) -> None:
    def fail() -> None:
        local = "".join(("can", "ary"))
        try:
            raise KeyError("first")
        except KeyError as error:
            error.add_note("a note")
            raise ValueError(len(local)) from error

    try:
        fail()
    except ValueError as error:
        logger.error("it failed", exc_info=error)
        logging.getLogger("library").exception("it failed there, too")
    for line in lines(configured):
        broken, cause = line["exception"]
        assert (broken["exc_type"], cause["exc_type"], cause["is_cause"]) == ("ValueError", "KeyError", True)
        assert broken["frames"][-1]["name"] == "fail"
        assert cause["exc_notes"] == ["a note"]
        assert "canary" not in json.dumps(line)


def test_an_exception_that_never_ends_does(configured: Settings) -> None:
    def deeper(depth: int) -> None:
        if depth == 0:
            raise ExceptionGroup("many", [ValueError(number) for number in range(1_000)])
        deeper(depth - 1)

    try:
        deeper(500)
    except ExceptionGroup as error:
        error.__cause__ = ValueError("its cause")
        error.__cause__.__cause__ = error
        logger.error("it failed", exc_info=error)
    (line,) = lines(configured)
    group = line["exception"][0]
    assert len(group["frames"]) == 31
    assert group["frames"][-1]["name"] == "deeper"
    assert 1 < len(group["exceptions"]) < 20
    assert len(json.dumps(line)) < 16_384


def test_a_validation_errors_input_is_not_repeated(configured: Settings) -> None:
    class Form(BaseModel):
        age: int

    try:
        Form.model_validate({"age": "a sentence of a prompt"})
    except ValueError as error:
        logger.error("not valid", exc_info=error)
    (line,) = lines(configured)
    assert line["exception"][0]["exc_value"] == "age: int_parsing"
    assert "prompt" not in json.dumps(line)


def test_a_setting_that_is_wrong_is_named_without_what_was_given() -> None:
    with pytest.raises(ValueError, match="log_files") as caught:
        Settings(log_files="hunter2")  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)


def test_libraries_lines_and_warnings_come_the_same_way(configured: Settings) -> None:
    logging.getLogger("some.library").warning("a %s", "message")
    logging.getLogger("some.library").log(25, "a level of its own")
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("httpx").info("a line a call, which nobody wants")
    structlog.get_logger("another.library").warning("structlog's", number=1)
    warnings.warn("something is old", stacklevel=1)
    written = lines(configured)
    assert [(line["logger"], line["level"]) for line in written] == [
        ("some.library", "warning"),
        ("some.library", "info"),
        ("uvicorn.error", "info"),
        ("another.library", "warning"),
        ("py.warnings", "warning"),
    ]
    assert written[0]["event"] == "a message"


def test_a_message_whose_arguments_do_not_fit_is_a_line_without_them(
    configured: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    record = logging.makeLogRecord({"name": "library", "levelno": 30, "msg": "%d apples", "args": ("canary",)})
    logging.getLogger().handlers[0].handle(record)
    (line,) = lines(configured)
    assert line["event"] == "%d apples"
    assert "TypeError" in line["log_error"]
    assert "canary" not in json.dumps(line) + capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_exceptions_that_nobody_caught_become_lines(configured: Settings) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("in __del__")

    async def fail() -> None:
        raise ValueError("in a task")

    def fail_in_thread() -> None:
        raise ValueError("in a thread")

    thread = threading.Thread(target=fail_in_thread)
    thread.start()
    thread.join()
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    del task
    await asyncio.sleep(0)
    gc.collect()
    Broken()
    gc.collect()
    told = {line["exception"][0]["exc_value"]: line for line in lines(configured)}
    assert {"in a task", "in a thread", "in __del__"} <= set(told)
    assert told["in a task"]["logger"] == "asyncio"
    assert told["in a thread"]["thread"] == thread.name


def test_a_program_that_ends_by_an_exception_says_so_in_a_line(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from app.core.config import Settings\n"
        "from app.core.logging_config import configure_logging, logger\n"
        f"configure_logging(Settings(log_dir=Path({str(tmp_path)!r})))\n"
        "logger.info('the last but one')\n"
        "raise ValueError('for anna@example.org')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": "backend"}, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    first, last = (json.loads(line) for line in (tmp_path / "application.log").read_text().splitlines())
    assert first["event"] == "the last but one"
    assert (last["level"], last["exception"][0]["exc_value"]) == ("critical", "for [redacted:email]")


def test_a_service_that_is_told_to_stop_writes_its_last_line(tmp_path: Path) -> None:
    program = BackendProcess(tmp_path)
    program.start()
    program.stop()
    events = [json.loads(line)["event"] for line in (tmp_path / "logs" / "application.log").read_text().splitlines()]
    assert "stopped" in events
    assert events[-1].startswith("Finished server process")


def test_lines_below_the_level_are_not_written(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, log_level="WARNING")
    before = logging.getLogger().handlers[:]
    configure_logging(settings)
    logger.info("no")
    logger.warning("yes")
    logging.getLogger("library").info("no")
    assert [line["event"] for line in lines(settings)] == ["yes"]
    logging.getLogger().handlers[:] = before


def test_lines_are_counted_by_level(configured: Settings) -> None:
    before = metrics.registry.get_sample_value("log_messages_total", {"level": "warning"}) or 0
    logger.warning("one")
    logging.getLogger("library").warning("two")
    close_logging()
    assert metrics.registry.get_sample_value("log_messages_total", {"level": "warning"}) == before + 2


def test_replicas_write_folders_of_their_own(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, log_per_host=True)
    before = logging.getLogger().handlers[:]
    configure_logging(settings)
    logger.info("here")
    close_logging()
    logging.getLogger().handlers[:] = before
    assert "here" in (tmp_path / "logs" / socket.gethostname() / "application.log").read_text()


def test_user_ids_are_keyed_hashes(tmp_path: Path) -> None:
    one, other = make_settings(tmp_path, user_hash_key="a"), make_settings(tmp_path, user_hash_key="b")
    assert hash_user("alice", one) == hash_user("alice", one) != hash_user("bob", one)
    assert hash_user("alice", one) != hash_user("alice", other)
    assert "alice" not in hash_user("alice", one)

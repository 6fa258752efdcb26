"""A line as it is stored: redacted, of bounded length, valid JSON, and harmless in a terminal."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from app.core import redaction
from app.core.config import Settings
from app.core.log_line import MAX_LINE_BYTES, finished, serialise
from app.core.logging_config import RequestContext, close_logging, configure_logging, emit, logger
from tests.backend.conftest import lines, make_settings


def text(settings: Settings) -> str:
    close_logging()
    return (settings.log_dir / "application.log").read_text()


def stored(**fields: Any) -> dict[str, Any]:
    line = finished(serialise({"timestamp": "2026-01-01T00:00:00.000000Z", "level": "info", **fields}))
    assert line.endswith(b"\n")
    assert len(line) <= MAX_LINE_BYTES
    told: dict[str, Any] = json.loads(line)
    return told


def test_secrets_are_in_no_part_of_a_line(configured: Settings) -> None:
    secret = "anna@example.org"
    with RequestContext("4111111111111111", secret):
        logger.info(f"of {secret}", who=secret, deep={"a": [{"b": f"to {secret}"}]}, Password="hunter2", **{secret: 1})
        logging.getLogger("library").warning("headers: %s", {"Cookie": "hunter2", "to": secret})
        emit("info", f"logger-{secret}", "event", {"x-api-key": "hunter2"})
        try:
            try:
                raise ValueError(f"no {secret}")
            except ValueError as error:
                raise KeyError("password=hunter2") from error
        except KeyError:
            logger.exception("failed")
    told = text(configured)
    assert told.count("\n") == 4
    assert "anna" not in told
    assert "hunter2" not in told
    assert "4111" not in told


def test_what_was_harmless_before_is_looked_at_again_beside_something_new(configured: Settings) -> None:
    for value in ("a", "b", "anna@example.org", "a"):
        for _ in range(3):
            emit("info", "access", "request", {"method": "GET", "value": value, "number": 1})
    emit("info", "access", "request", {"method": "GET", "value": "a", "number": 4111111111111111})
    emit("info", "access", "request", {"method": "GET", "value": ["4111111111111111"], "number": 1})
    with RequestContext("sk-abcdefgh12345678"):
        emit("info", "access", "request", {"method": "GET", "value": "a", "number": 1})
    told = text(configured)
    assert told.count("\n") == 15
    assert "anna" not in told
    assert "4111" not in told
    assert "abcdefgh" not in told


def test_ids_stay_whatever_they_look_like() -> None:
    line = stored(trace_id="4111111111111111" * 2, span_id="4111111111111111", event="to anna@example.org")
    assert line["span_id"] == "4111111111111111"
    assert line["event"] == "to [redacted:email]"


def test_redaction_can_be_switched_off(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, log_redaction=False)
    before = logging.getLogger().handlers[:]
    configure_logging(settings)
    logger.info("to anna@example.org")
    logging.getLogger().handlers[:] = before
    assert "anna@example.org" in text(settings)
    redaction.switch(True)


def test_a_line_that_cannot_be_checked_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(value: object) -> object:
        raise RecursionError

    monkeypatch.setattr(redaction, "redact", fail)
    line = stored(event="to anna@example.org", who="anna", logger="x" * 30_000)
    assert "anna" not in json.dumps(line)
    assert "withheld" in line["event"]


@pytest.mark.parametrize("letter", ["x", "é", "😀", '"', "\n", "\x9b"])
def test_a_long_text_is_cut_at_whole_characters_and_the_line_says_so(letter: str) -> None:
    line = stored(event="short", body=letter * 50_000, count=3)
    assert line["truncated"] is True
    assert line["truncated_fields"] == ["body"]
    assert (line["event"], line["count"]) == ("short", 3)
    assert set(line["body"]) == {letter}
    assert len(line["body"]) > 1_000


def test_a_long_event_is_cut_too() -> None:
    line = stored(event="x" * 100_000)
    assert line["truncated_fields"] == ["event"]
    assert len(line["event"]) > 10_000


def test_no_half_of_a_secret_is_left_where_a_text_is_cut() -> None:
    key = f"-----BEGIN PRIVATE KEY-----{'M' * 6_000}-----END PRIVATE KEY-----"  # redaction makes the text shorter
    for length in range(MAX_LINE_BYTES - len(key) - 30, MAX_LINE_BYTES - len(key) + 30):
        line = stored(event="x", body=f"{key}{'y' * length} anna@example.org {'z' * 100}")
        assert line["body"].startswith("[redacted:private key]y")
        assert "anna" not in line["body"]
        assert "@" not in line["body"]


def test_what_has_no_shorter_form_is_left_out_and_named() -> None:
    line = stored(event="short", rows=[{"number": number} for number in range(5_000)], small=[1, 2])
    assert line["truncated_fields"] == ["rows"]
    assert "rows" not in line
    assert line["small"] == [1, 2]


def test_thousands_of_fields_are_as_many_as_fit() -> None:
    line = stored(event="short", **{f"field_{number}": "x" * 20 for number in range(5_000)})
    assert line["truncated"] is True
    assert line["event"] == "short"
    assert len(line["truncated_fields"]) == 20


@pytest.mark.parametrize("letter", ["x", "é", "😀", '"', "\n", "\x01", "\x9b"])
def test_names_of_cut_fields_take_bounded_room_whatever_they_consist_of(letter: str) -> None:
    line = stored(event="short", **{f"{letter * 95}{number:05}": "x" * 900 for number in range(25)})
    assert line["event"] == "short"
    assert len(line["truncated_fields"]) > 0
    assert all(set(name) <= {letter, *"0123456789"} for name in line["truncated_fields"])


def test_a_field_with_a_long_name_is_shortened_and_costs_no_other_field() -> None:
    name = "\x01" * 199
    line = stored(event="short", logger="x", **{name: "x" * 30_000})
    assert (line["event"], line["logger"]) == ("short", "x")
    assert len(line[name]) > 10_000
    assert len(line["truncated_fields"]) == 1


@pytest.mark.parametrize("size", [180, 250, 2_000])
def test_fields_that_are_too_many_even_when_shortened_go_from_the_last_one_on(size: int) -> None:
    line = stored(event="short", **{f"field_{number}": "x" * size for number in range(100)})
    assert line["event"] == "short"
    left = [name for name in line if name.startswith("field_")]
    assert left == [f"field_{number}" for number in range(len(left))]
    assert len(left) > 50
    assert len(line["truncated_fields"]) == 20


def test_an_exception_outlives_fields_that_are_too_many() -> None:
    failure = [{"exc_type": "ValueError", "exc_value": "no", "frames": []}]
    fields = {f"field_{number}": "x" * 250 for number in range(100)}
    assert stored(event="failed", **fields, exception=failure)["exception"] == failure


def test_a_short_text_of_long_escapes_is_shortened_and_not_left_out() -> None:
    line = stored(event="\x01" * 190, **{f"field_{number}": "x" * 800 for number in range(40)})
    assert set(line["event"]) == {"\x01"}


@pytest.mark.parametrize("forged", [5, "x" * 9_000, [{}, ["x"]], ["x" * 3_000 + str(number) for number in range(15)]])
def test_a_field_named_like_a_mark_of_ours_makes_no_line_longer(forged: object) -> None:
    line = stored(event="short", logger="x", truncated_fields=forged, truncated=forged, body="x" * 30_000)
    assert (line["event"], line["truncated"]) == ("short", True)
    assert "body" in line["truncated_fields"]
    assert all(len(name) <= 100 for name in line["truncated_fields"])


def test_what_only_claims_to_be_an_id_is_redacted_and_cut() -> None:
    assert stored(event="x", trace_id="to anna@example.org")["trace_id"] == "to [redacted:email]"
    line = stored(event="x", trace_id="x" * 15_000, span_id="y" * 15_000)
    assert line["event"] == "x"


def test_a_long_exception_keeps_its_types_and_innermost_frames() -> None:
    frames = [{"filename": "f" * 100, "lineno": number, "name": "n"} for number in range(60)]
    chain = [{"exc_type": f"E{number}", "exc_value": "v" * 2_000, "frames": frames} for number in range(5)]
    line = stored(event="failed", exception=chain)
    assert [one["exc_type"] for one in line["exception"]] == ["E0", "E1", "E2", "E3", "E4"]
    assert line["exception"][0]["frames"][-1]["lineno"] == 59
    assert line["truncated_fields"] == ["exception"]


FORGED = '{"timestamp":"2026-01-01T00:00:00.000000Z","level":"critical","event":"forged"}'


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1e", "\x00"])
def test_no_text_forges_a_line_or_moves_a_terminal(configured: Settings, end: str) -> None:
    hostile = f"before{end}{FORGED}{end}\x1b[2J\x1b]0;title\x07\x9b31m\x7f\u202e"
    logger.info(hostile, field=hostile, **{hostile: 1})
    logging.getLogger("library").warning(hostile)
    written = text(configured)
    assert len(written.splitlines()) == 2  # str.splitlines knows more line ends than a shipper does
    assert all(character.isprintable() or character == "\n" for character in written)
    assert [json.loads(line)["event"] for line in written.splitlines()] == [hostile, hostile]


def test_what_json_cannot_say_is_said_as_text(configured: Settings) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError("no")

    endless: list[Any] = []
    endless.append(endless)
    logger.info("odd", path=Path("/x"), keys={1: "a"}, number=float("nan"), raw=b"\xff", broken=Broken())
    logger.info("odd", half="\ud800", large=2**80, endless=endless, names={1, 2}, broken=Broken())
    first, second = lines(configured)
    assert (first["path"], first["keys"], first["number"]) == ("/x", {"1": "a"}, None)
    assert "ValueError" in first["broken"]
    assert (second["half"], second["large"], second["names"]) == ("?", str(2**80), [1, 2])

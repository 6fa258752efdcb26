"""The access line, which is put together from parts, is the line that `emit` would write, and is looked at no less."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from app.core.logging_config import RequestContext, close_logging, configure_logging, emit, emit_access
from app.core.tracing import close_tracing, configure_tracing, end_request, start_request
from tests.backend.conftest import make_settings

MADE_HERE = "0123456789abcdef" * 2
USER = "u0123456789abcde"
SCOPE = {"path": "/items/7", "scheme": "http", "headers": []}


def lines(folder: Path, traced: bool, request_id: str, user_id: str | None, *request: Any) -> list[dict[str, Any]]:
    """The same access line by `emit_access`, twice, and by `emit`."""
    method, endpoint, status, duration, sent = request
    settings = make_settings(folder)
    configure_logging(settings)
    configure_tracing(settings)
    with RequestContext(request_id, user_id):
        started = start_request(SCOPE, {}, request_id) if traced else None
        emit_access(*request)
        emit_access(*request)
        fields = {"method": method, "endpoint": endpoint, "status": status, "duration_seconds": duration, "bytes": sent}
        emit("error" if status >= 500 else "info", "access", "request", fields)
        if started:
            end_request(started, SCOPE, request_id, method, endpoint, status, None)
    close_tracing()
    close_logging()
    written = (settings.log_dir / settings.log_file).read_bytes().splitlines()
    return [orjson.loads(line) for line in written]


@pytest.mark.parametrize("traced", [True, False])
@pytest.mark.parametrize("user_id", [USER, None])
@pytest.mark.parametrize("request_id", [MADE_HERE, "given-by.the_caller"])
@pytest.mark.parametrize("status", [200, 404, 503])
def test_it_says_what_any_line_says(
    tmp_path: Path, traced: bool, user_id: str | None, request_id: str, status: int
) -> None:
    first, second, by_emit = lines(tmp_path, traced, request_id, user_id, "GET", "/items/{item_id}", status, 0.25, 13)
    assert list(first) == list(by_emit), "the same fields in the same order"
    for line in (first, second, by_emit):
        line.pop("timestamp")
    assert first == second == by_emit
    assert first["request_id"] == request_id
    assert ("trace_id" in first) == traced


def test_a_very_short_request_has_a_duration(tmp_path: Path) -> None:
    assert lines(tmp_path, False, MADE_HERE, None, "GET", "/", 200, 0.0000016, 0)[0]["duration_seconds"] == 0.000002


@pytest.mark.parametrize(
    ("request_id", "user_id", "endpoint"),
    [
        ("jane.doe@example.com", None, "/items"),
        (MADE_HERE, "jane.doe@example.com", "/items"),
        (MADE_HERE, None, "/of/jane.doe@example.com"),
    ],
)
def test_what_is_not_of_this_application_is_redacted(
    tmp_path: Path, request_id: str, user_id: str | None, endpoint: str
) -> None:
    for line in lines(tmp_path, False, request_id, user_id, "GET", endpoint, 200, 0.25, 13):
        assert "jane" not in str(line)


def test_it_forgets_what_was_common_when_logging_is_configured_anew(tmp_path: Path) -> None:
    for name in ("one", "other"):
        settings = make_settings(tmp_path / name, service_name=name)
        configure_logging(settings)
        with RequestContext(MADE_HERE):
            emit_access("GET", "/", 200, 0.1, 1)
        close_logging()
        assert orjson.loads((settings.log_dir / settings.log_file).read_bytes())["service"] == name

"""Structured logging: one JSON object a line, for our own lines, uvicorn's and every library's alike.

timestamp (UTC, RFC 3339), level, logger, event, service, version, environment, request_id, user_id, trace_id, span_id,
and the event's own fields; an exception as structured frames, without local variables.
"""

import atexit
import contextlib
import hashlib
import hmac
import logging
import re
import socket
import sys
import time
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

import structlog
from opentelemetry.trace import get_current_span
from structlog.contextvars import get_contextvars

from app import __version__
from app.core import redaction
from app.core.config import Settings, get_settings
from app.core.exception_frames import exception_frames
from app.core.log_hooks import install_hooks, remove_hooks
from app.core.log_line import finished, serialise
from app.core.log_writer import LOOKED_AT, LogFiles, LogWriter, remove_stale_folders
from app.services.metrics_service import LOG_LEVELS, metrics

LOGGER_NAME = "portal_app"
#: Libraries that write a line a call; our own metrics count those.
NOISY = ("httpx", "httpcore", "pymongo", "qdrant_client", "aiosqlite")
_NUMBERS = {name: logging.getLevelNamesMapping()[name.upper()] for name in LOG_LEVELS}

#: Ids that were made here hold nothing of anyone's; other ones are looked at like any text.
_made_here = re.compile(r"[0-9a-f]{32}|u[0-9a-f]{15}").fullmatch


class _Values(dict[str, str]):
    """What a context puts into each line."""

    #: Those of them that were not made here: they may hold anything. A slot takes half the time of a `__dict__`.
    __slots__ = ("foreign",)
    foreign: str


_nothing = _Values()
_nothing.foreign = ""
_context: ContextVar[_Values] = ContextVar("log_context", default=_nothing)


class _Output:
    """Where lines go, and what is the same in each of them."""

    def __init__(self) -> None:
        self.writer: LogWriter | None = None
        self.common: dict[str, str] = {}
        self.second = (0, "")
        #: By method, endpoint and status: what stands before and after the ids of an access line.
        self.access: dict[tuple[str, str, int], tuple[str, str] | None] = {}


_output = _Output()


def _timestamp() -> str:
    """RFC 3339 in UTC, with microseconds; what is the same all second long is made once."""
    second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    known, text = _output.second
    if second != known:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _output.second = (second, text)
    return f"{text}.{nanoseconds // 1000:06d}Z"


def _compose(level: str, logger_name: str, event: str, fields: Mapping[str, Any]) -> bytes:
    line: dict[str, Any] = {
        "timestamp": _timestamp(),
        "level": level,
        "logger": logger_name,
        "event": event,
        **_output.common,
        **_context.get(),
    }
    span = get_current_span().get_span_context()
    if span.is_valid:
        line["trace_id"] = f"{span.trace_id:032x}"
        line["span_id"] = f"{span.span_id:016x}"
    names = len(line) + len(fields)
    line.update(fields)
    if len(line) != names:  # a field that would pass for one of ours keeps its value under another name
        own = {f"field_{name}" if name in _fixed_names() else name: value for name, value in fields.items()}
        return _compose(level, logger_name, event, own)
    return serialise(line)


def _fixed_names() -> set[str]:
    return {"timestamp", "level", "logger", "event", "trace_id", "span_id", *_output.common, *_context.get()}


def emit(level: str, logger_name: str, event: str, fields: Mapping[str, Any]) -> None:
    """Writes one line, and never raises. `level` is one of debug, info, warning, error, critical."""
    data = _compose(level, logger_name, event, fields)
    if _output.writer is not None:
        _output.writer.put(level, data, fields, (logger_name, event), _context.get().foreign)
    else:  # logging was not configured: a script, or a test
        metrics.log_messages.labels(level).inc()
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.buffer.write(finished(data))


def emit_access(method: str, endpoint: str, status: int, duration: float, sent_bytes: int) -> None:
    """Writes a request's access line, as `emit` would, in half the time.

    All of it but ids and numbers is the same whenever a route answers with a status: it is made and looked at once.
    What a caller gave as its id is looked at each time, by `emit`.
    """
    key = (method, endpoint, status)
    parts = _output.access[key] if key in _output.access else _access_parts(key)
    values = _context.get()
    if parts is None or values.foreign or _output.writer is None or "request_id" not in values:
        fields = {
            "method": method,
            "endpoint": endpoint,
            "status": status,
            "duration_seconds": round(duration, 6),
            "bytes": sent_bytes,
        }
        emit("error" if status >= 500 else "info", "access", "request", fields)
        return
    user = f'","user_id":"{values["user_id"]}' if "user_id" in values else ""
    span, ids = get_current_span().get_span_context(), ""
    if span.is_valid:
        ids = f'","trace_id":"{span.trace_id:032x}","span_id":"{span.span_id:016x}'
    line = (
        f'{{"timestamp":"{_timestamp()}{parts[0]}{values["request_id"]}{user}{ids}{parts[1]}{duration:.6f},'
        f'"bytes":{sent_bytes}}}\n'
    )
    _output.writer.put("error" if status >= 500 else "info", line.encode(), LOOKED_AT)


def _access_parts(key: tuple[str, str, int]) -> tuple[str, str] | None:
    """What is the same in each access line of this kind; None where something of it is to be redacted."""
    method, endpoint, status = key
    level = "error" if status >= 500 else "info"
    before = serialise({"level": level, "logger": "access", "event": "request", **_output.common})
    after = serialise({"method": method, "endpoint": endpoint, "status": status})
    clean = finished(before) == before and finished(after) == after
    parts = f'",{before[1:-2].decode()},"request_id":"', f'",{after[1:-2].decode()},"duration_seconds":'
    _output.access[key] = parts if clean else None
    return _output.access[key]


def _emit_event(own: logging.Logger, method: str, event_dict: MutableMapping[str, Any]) -> Any:
    """structlog's only processor. Whether a logger is listened to is asked of the standard library, as for the rest."""
    level = {"warn": "warning", "exception": "error", "fatal": "critical"}.get(method, method)
    level = level if level in _NUMBERS else "info"
    if own.isEnabledFor(_NUMBERS[level]):
        event = str(event_dict.pop("event", ""))
        exc_info = event_dict.pop("exc_info", None)
        if exc_info and (error := _exception(exc_info)) is not None:
            event_dict["exception"] = exception_frames(error)
        ours = _context.get()
        bound = {name: value for name, value in get_contextvars().items() if name not in ours}
        emit(level, own.name, event, {**bound, **event_dict})
    raise structlog.DropEvent


def _exception(exc_info: Any) -> BaseException | None:
    """The exception that `exc_info` means: itself, the one at hand (True), or the one of a triple."""
    if isinstance(exc_info, BaseException):
        return exc_info
    error = exc_info[1] if isinstance(exc_info, tuple) else sys.exc_info()[1]
    return error if isinstance(error, BaseException) else None


class _StandardHandler(logging.Handler):
    """Brings the standard library's records, and so every library's, into the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {}
        try:
            event = record.getMessage()
        except Exception as failure:  # its arguments, which may be anything, are left out
            event, fields["log_error"] = str(record.msg), f"the arguments do not fit: {type(failure).__name__}"
        if record.exc_info and (error := _exception(record.exc_info)) is not None:
            fields["exception"] = exception_frames(error)
        emit(_level_name(record.levelno), record.name, event, fields)


def _level_name(number: int) -> str:
    """The nearest of our levels below: libraries have some of their own."""
    return max((name for name in LOG_LEVELS if _NUMBERS[name] <= number), key=_NUMBERS.__getitem__, default="debug")


def configure_logging(settings: Settings | None = None) -> None:
    """Sets up structlog and the standard library's logging. Safe to repeat: the last settings hold."""
    settings = settings or get_settings()
    close_logging()
    redaction.switch(settings.log_redaction)
    folder = settings.log_dir / socket.gethostname() if settings.log_per_host else settings.log_dir
    if settings.log_per_host:
        remove_stale_folders(settings.log_dir)
    files = LogFiles(folder, settings.log_file, settings.log_max_bytes, settings.log_files)
    _output.common = {
        "service": settings.service_name,
        "version": __version__,
        "environment": settings.environment,
    }
    _output.access = {}
    _output.writer = LogWriter(files, settings.log_queue_lines, _compose_own)
    level = _NUMBERS[settings.log_level.lower()]
    root = logging.getLogger()
    root.handlers[:] = [_StandardHandler()]
    root.setLevel(level)
    logging.getLogger(LOGGER_NAME).setLevel(logging.NOTSET)
    logging.captureWarnings(True)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error"):
        own = logging.getLogger(name)
        own.handlers[:], own.propagate = [], True
    logging.getLogger("uvicorn.access").propagate = False  # the middleware's access line has more in it
    install_hooks(emit)
    atexit.register(close_logging)


def _compose_own(level: str, event: str, fields: Mapping[str, Any]) -> bytes:
    return _compose(level, "app.core.log_writer", event, fields)


def close_logging() -> None:
    """Writes what is queued and ends the writer. Lines go to stderr from then on."""
    if _output.writer is not None:
        writer, _output.writer = _output.writer, None
        remove_hooks()
        atexit.unregister(close_logging)
        writer.close()


structlog.configure(
    processors=[_emit_event],
    wrapper_class=structlog.make_filtering_bound_logger(
        logging.NOTSET
    ),  # levels can change: each call asks for its own
    logger_factory=lambda name=LOGGER_NAME: logging.getLogger(name),
    cache_logger_on_first_use=True,
)
logging.getLogger(LOGGER_NAME).setLevel(logging.INFO)  # a line is JSON from the first one on, whoever writes it

#: The application's logger.
logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(LOGGER_NAME)


class RequestContext:
    """Puts `request_id` and `user_id` into every line written inside it. Leaving a nested one restores the outer."""

    __slots__ = ("_request_id", "_tokens", "_user_id")

    def __init__(self, request_id: str, user_id: str | None = None) -> None:
        self._request_id, self._user_id = request_id, user_id
        self._tokens: list[Token[_Values]] = []

    def __enter__(self) -> "RequestContext":
        outer = _context.get()
        values = _Values(outer)
        values.foreign, values["request_id"] = outer.foreign, self._request_id
        if not _made_here(self._request_id):
            values.foreign += f" {self._request_id}"
        if self._user_id:
            values["user_id"] = self._user_id
            if not _made_here(self._user_id):
                values.foreign += f" {self._user_id}"
        self._tokens.append(_context.set(values))
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _context.reset(self._tokens.pop())


def current_request_id() -> str:
    """The id of the request at hand, or "" outside of one."""
    return _context.get().get("request_id", "")


def hash_user(user_id: str, settings: Settings) -> str:
    """A keyed hash: the same user can be followed through the lines, and nobody can tell from them who it is.

    It begins with a letter, so that no hash passes for a card number.
    """
    key = settings.user_hash_key.get_secret_value().encode()
    return "u" + hmac.new(key, user_id.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:15]

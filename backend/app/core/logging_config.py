"""Structured logging: one JSON object a line, for our own lines, uvicorn's and every library's alike.

timestamp (UTC, RFC 3339), level, logger, event, service, version, environment, request_id, user_id, and the event's own
fields; an exception as structured frames, without local variables.
"""

import hashlib
import hmac
import logging
import socket
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import Token
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer

from app import __version__
from app.core.config import Settings, get_settings
from app.core.log_writer import LogFiles, LogWriter, remove_stale_folders
from app.services.metrics_service import metrics

_frames = ExceptionDictTransformer(show_locals=False, max_frames=30)
_counts = {level: metrics.log_messages.labels(level) for level in ("debug", "info", "warning", "error", "critical")}


class _Output:
    """Where lines go, and what is the same in each of them."""

    def __init__(self) -> None:
        self.writer: LogWriter | None = None
        self.common: dict[str, str] = {}


_output = _Output()


def emit(level: str, logger_name: str, event: str, fields: Mapping[str, Any]) -> None:
    """Writes one line. `level` is one of debug, info, warning, error, critical."""
    line: dict[str, Any] = {
        "timestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": level,
        "logger": logger_name,
        "event": event,
        **_output.common,
        **structlog.contextvars.get_contextvars(),
        **fields,
    }
    _counts[level].inc()
    data = orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    if _output.writer is None:  # logging was not configured: a script, or a test
        sys.stderr.buffer.write(data)
    else:
        _output.writer.put(data)


def _emit_event(_: Any, method: str, event_dict: MutableMapping[str, Any]) -> Any:
    """structlog's last processor."""
    level = str(event_dict.pop("level", method))
    name = str(event_dict.pop("logger", "portal_app"))
    emit(level, name, str(event_dict.pop("event", "")), event_dict)
    raise structlog.DropEvent


def _exception_frames(_: Any, __: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Turns `exc_info` into frames."""
    exc_info = event_dict.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    elif isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    if exc_info and exc_info[0] is not None:
        event_dict["exception"] = _frames(exc_info)
    return event_dict


class _StandardHandler(logging.Handler):
    """Brings the standard library's records, and so every library's, into the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: dict[str, Any] = {}
            if record.exc_info and record.exc_info[0] is not None:
                fields["exception"] = _frames(record.exc_info)
            level = record.levelname.lower()
            emit(level if level in _counts else "info", record.name, record.getMessage(), fields)
        except Exception:
            self.handleError(record)


def _add_logger_name(logger: Any, _: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event_dict.setdefault("logger", logger)
    return event_dict


def configure_logging(settings: Settings | None = None) -> None:
    """Sets up structlog and the standard library's logging. Safe to repeat: the last settings hold."""
    settings = settings or get_settings()
    close_logging()
    folder = settings.log_dir / socket.gethostname() if settings.log_per_host else settings.log_dir
    if settings.log_per_host:
        remove_stale_folders(settings.log_dir)
    _output.writer = LogWriter(
        LogFiles(folder, settings.log_file, settings.log_max_bytes, settings.log_files), settings.log_queue_lines
    )
    _output.common = {
        "service": settings.service_name,
        "version": __version__,
        "environment": settings.environment,
    }
    level = logging.getLevelNamesMapping()[settings.log_level]
    _configure_structlog(level)
    root = logging.getLogger()
    root.handlers[:] = [_StandardHandler()]
    root.setLevel(level)
    logging.captureWarnings(True)
    for noisy in ("httpx", "httpcore", "pymongo", "qdrant_client", "aiosqlite"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))  # a line a call; our own metrics count those
    for name in ("uvicorn", "uvicorn.error"):
        own = logging.getLogger(name)
        own.handlers[:], own.propagate = [], True
    logging.getLogger("uvicorn.access").propagate = False  # the middleware's access line has more in it


def _configure_structlog(level: int) -> None:
    structlog.configure(
        processors=[structlog.processors.add_log_level, _add_logger_name, _exception_frames, _emit_event],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda name="portal_app": name,
        cache_logger_on_first_use=False,  # a module's logger follows the level that is set later
    )


_configure_structlog(logging.INFO)  # a line is JSON from the first one on, whoever writes it


def close_logging() -> None:
    """Writes what is queued and ends the writer. Lines go to stderr from then on."""
    if _output.writer is not None:
        writer, _output.writer = _output.writer, None
        writer.close()


#: The application's logger.
logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("portal_app")


class RequestContext:
    """Puts `request_id` and `user_id` into every line written inside it. Leaving a nested one restores the outer."""

    def __init__(self, request_id: str, user_id: str | None = None) -> None:
        self._values = {"request_id": request_id}
        if user_id:
            self._values["user_id"] = user_id
        self._tokens: Mapping[str, Token[Any]] = {}

    def __enter__(self) -> "RequestContext":
        self._tokens = structlog.contextvars.bind_contextvars(**self._values)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        structlog.contextvars.reset_contextvars(**self._tokens)


def current_request_id() -> str:
    """The id of the request at hand, or "" outside of one."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def hash_user(user_id: str, settings: Settings) -> str:
    """A keyed hash: the same user can be followed through the lines, and nobody can tell from them who it is."""
    key = settings.user_hash_key.get_secret_value().encode()
    return hmac.new(key, user_id.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:16]

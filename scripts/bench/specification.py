"""The specification's logging set-up as it stands there, faults included, to measure ours against.

Three things are added, because it needs them to run here: the log file's path is an argument, the set-up is put to use
by a middleware that writes one line a request, and that line names its request id, since the specification's context
is never merged into a line. The middleware is pure ASGI: the usual BaseHTTPMiddleware would cost more.
"""

import json
import logging
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def configure_logging(path: Path) -> None:
    """structlog through the standard library, to a file and to stderr."""

    def add_timestamp(_: Any, __: str, event_dict: Any) -> Any:
        event_dict["timestamp"] = datetime.utcnow().isoformat()  # noqa: DTZ003 - as it stands there
        return event_dict

    def add_log_level(_: Any, method_name: str, event_dict: Any) -> Any:
        event_dict["level"] = method_name.upper()
        return event_dict

    def serialize_for_loki(_: Any, __: str, event_dict: Any) -> str:
        return json.dumps(event_dict, default=str)

    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            add_log_level,
            add_timestamp,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            serialize_for_loki,
        ],
        context_class=dict,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        format="%(message)s", level=logging.INFO, handlers=[logging.FileHandler(path), logging.StreamHandler()]
    )


logger = structlog.get_logger("portal_app")


class RequestContext:
    """The specification's: bound for the request, unbound after it."""

    def __init__(self, request_id: str, user_id: str | None = None) -> None:
        self.request_id = request_id
        self.user_id = user_id

    def __enter__(self) -> "RequestContext":
        self.token = structlog.contextvars.bind_contextvars(request_id=self.request_id, user_id=self.user_id)
        return self

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        structlog.contextvars.unbind_contextvars("request_id", "user_id")


class RequestLineMiddleware:
    """One line a request, inside its `RequestContext`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, request_id = time.time(), 500, uuid.uuid4().hex

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with RequestContext(request_id):
            try:
                await self.app(scope, receive, noted)
            finally:
                logger.info(
                    "request",
                    request_id=request_id,
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    duration=time.time() - start,
                )

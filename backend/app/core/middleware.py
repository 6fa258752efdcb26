"""One pure ASGI middleware for all that every request needs: its id, its metrics, its access line, its last resort.

It is the outermost of ours and sees the real method, route template and status of whatever happens inside, streams and
exceptions included.
"""

import random
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.config import Settings
from app.core.errors import problem
from app.core.faults import board
from app.core.logging_config import RequestContext, emit_access, hash_user, logger
from app.core.redaction import redact_text
from app.core.routing import (
    CLIENT_CLOSED_REQUEST,
    METHOD_NOT_ALLOWED,
    METHODS,
    OTHER_METHOD,
    UNMATCHED,
    EndpointNames,
)  # fmt: skip
from app.core.tracing import end_request, start_request
from app.services.metrics_service import metrics

#: Asked so often and so alike that a line and a trace for each would bury the others.
QUIET_ENDPOINTS = frozenset(("/metrics", "/health", "/health/live", "/health/ready"))
#: What faults and the shedding of load leave alone: the way to see what happens, and to end it.
ALWAYS_SERVED = ("/metrics", "/health", "/internal/")

_well_formed = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch


def _request_id(headers: dict[bytes, bytes]) -> str:
    """The caller's id, or a new one. One with the form of a card number or of a key would be stored in every signal."""
    given = headers.get(b"x-request-id")
    if given and _well_formed(given) and redact_text(text := given.decode("ascii")) == text:
        return text
    return f"{random.getrandbits(128):032x}"  # it only has to be unique, and is wanted for each request


class ObservabilityMiddleware:
    """Serves each request inside its `RequestContext`, counts and times it, and writes its access line."""

    def __init__(self, app: ASGIApp, names: EndpointNames, settings: Settings) -> None:
        self.app, self._names, self._settings = app, names, settings
        self._in_progress, self._limit = 0, settings.max_concurrent_requests
        metrics.http_requests_in_progress.set_function(lambda: self._in_progress)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        user = headers.get(b"x-user-id", b"")[:128].decode("utf-8", "replace")
        scope.setdefault("state", {})["user_id"] = user_id = hash_user(user, self._settings) if user else None
        request_id = _request_id(headers)
        with RequestContext(request_id, user_id):
            exchange = _Exchange(scope, receive, send, request_id)
            started = None if scope["path"] in QUIET_ENDPOINTS else start_request(scope, headers, request_id)
            self._in_progress += 1
            try:
                if self._in_progress > self._limit or not board.empty:
                    await self._hindered(exchange)
                if exchange.status is None:
                    await self.app(scope, exchange.receive, exchange.send)
            except Exception as error:
                await self._last_resort(exchange, error)
            finally:
                self._in_progress -= 1
                method, endpoint, status = self._record(exchange)
                if started is not None:
                    end_request(started, scope, request_id, method, endpoint, status, exchange.error)

    async def _hindered(self, exchange: "_Exchange") -> None:
        """Answers one request too many itself, and lets faults strike."""
        if exchange.scope["path"].startswith(ALWAYS_SERVED):
            return
        if self._in_progress > self._limit:
            detail = f"More than {self._limit} requests at once; try again."
            await problem(503, detail, headers={"Retry-After": "1"})(exchange.scope, exchange.receive, exchange.send)
            return
        await board.delay("http_latency")
        board.fail("http_errors")

    async def _last_resort(self, exchange: "_Exchange", error: Exception) -> None:
        """What no handler expected: the client learns the id, the line has the rest."""
        exchange.error = error
        if exchange.client_gone:
            return
        logger.error("request failed", exc_info=error)
        if exchange.status is None:
            detail = "Something broke on our side; its cause is in the logs under this request id."
            await problem(500, detail)(exchange.scope, exchange.receive, exchange.send)
        # Else the answer had begun: it stays unfinished, which the server turns into a cut connection.

    def _record(self, exchange: "_Exchange") -> tuple[str, str, int]:
        """Counts the request and writes its line; returns its method, endpoint and status."""
        duration = time.perf_counter() - exchange.start
        endpoint, method = self._names.name(exchange.scope), exchange.scope["method"]
        method = method if method in METHODS else OTHER_METHOD
        status = exchange.final_status()
        # A method that a route does not have is no route's; each would be a histogram more for whoever tries them all.
        counted = UNMATCHED if exchange.status == METHOD_NOT_ALLOWED else endpoint
        metrics.track_http_request(method, counted, status, duration, exchange.response_start)
        if endpoint not in QUIET_ENDPOINTS or status in (401, 403):  # whoever guesses is seen anywhere
            emit_access(method, endpoint, status, duration, exchange.sent_bytes)
        return method, endpoint, status


class _Exchange:
    """What one request turned out to be."""

    __slots__ = (
        "_id_header", "_receive", "_send", "_server", "client_gone", "complete", "error", "response_start", "scope",
        "sent_bytes", "start", "status",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self._id_header = (b"x-request-id", request_id.encode("ascii"))
        self.start = time.perf_counter()
        self.response_start: float | None = None
        self.status: int | None = None
        self.sent_bytes = 0
        self.complete = self.client_gone = False
        self.error: Exception | None = None
        #: uvicorn's own record of the request, whose method `receive` is. It knows of a client that left while its
        #: answer was made, which a handler that never reads cannot, and to look there costs next to nothing.
        self._server = getattr(receive, "__self__", None)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.client_gone = self.client_gone or not self.complete
        return message

    async def send(self, message: Message) -> None:
        if getattr(self._server, "disconnected", False):
            self.client_gone = self.client_gone or not self.complete
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.response_start = time.perf_counter() - self.start
            message = {**message, "headers": [*message.get("headers", ()), self._id_header]}
        elif message["type"] == "http.response.body":
            self.sent_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.complete = True
        try:
            await self._send(message)
        except OSError:
            self.client_gone = True
            raise

    def final_status(self) -> int:
        """What is counted: a client that left is 499 and no success; an answer that broke off is a 500, be it by an
        error or by the end of the process.
        """
        if self.client_gone:
            return CLIENT_CLOSED_REQUEST
        if self.status is None or not self.complete:
            return 500
        return self.status

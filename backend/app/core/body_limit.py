"""No request may send more than its path allows: refused by its Content-Length, or as soon as it has sent too much."""

from collections.abc import Mapping
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import ProblemError, problem


class BodyLimit(NamedTuple):
    """The most that a body may have (bytes), and what is said to a larger one."""

    limit: int
    detail: str


class BodyLimitMiddleware:
    """Limits bodies to `default`, or to what `by_path` says for a path. Answers 413 with a problem."""

    def __init__(self, app: ASGIApp, default: BodyLimit, by_path: Mapping[str, BodyLimit] | None = None) -> None:
        self.app, self._default, self._by_path = app, default, dict(by_path or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit, detail = self._by_path.get(scope["path"], self._default)
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > limit:
            await problem(413, detail)(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise ProblemError(413, detail)  # reaches the handler of expected errors through whoever reads
            return message

        await self.app(scope, limited, send)

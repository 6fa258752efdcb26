"""Who may call what, decided before anything of a request is read. In the way only where the settings ask for it.

With API_KEYS_REQUIRED everything needs a key but what is open below, what nobody thought of included. With
INTERNAL_TOKEN_FILE what is for operators asks for that token; a key with the scope admin serves as well.
"""

import hmac
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import ProblemError, problem
from app.services.access import Refused

#: Nothing here gives data: whether the process lives, and the page, which asks for the key that its calls need.
OPEN, OPEN_FOLDER = ("/health/live", "/"), "/static/"
#: For operators: the scope admin, or the token.
OPERATIONS = ("/metrics", "/internal", "/health")
#: Probes have no credentials, and clients only their own: they get the status, and no body.
PROBED = ("/health", "/health/ready")
NEEDED = {
    "/api/v1/chat": "chat",
    "/api/v1/feedback": "chat",
    "/api/v1/experience": "chat",
    "/api/v1/documents": "documents",
    "/api/v1/indexing": "documents",
}


class AccessMiddleware:
    """Lets a request through, or answers 401, 403 or 429."""

    def __init__(self, app: ASGIApp, token: bytes, with_keys: bool) -> None:
        self.app, self._token, self._with_keys = app, token, with_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = self._needed(scope["path"]) if scope["type"] != "lifespan" else None
        if needed is None:
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":  # there is none; whoever adds one decides here who may open it
            await send({"type": "websocket.close"})
            return
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        try:
            self._check(scope, needed, given.decode("latin-1"))
        except ProblemError as error:
            if scope["path"] in PROBED and getattr(error, "reason", "") in ("missing", "scope"):
                await self.app(scope, receive, _without_body(send))
                return
            if isinstance(error, Refused):
                error.report()
            await problem(error.status_code, error.detail, headers=error.headers)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _needed(self, path: str) -> str | None:
        """The scope that a path needs; None where it is open."""
        if path in OPEN or path.startswith(OPEN_FOLDER):
            return None
        if self._with_keys and not path.startswith(OPERATIONS):
            return next((scope for prefix, scope in NEEDED.items() if path.startswith(prefix)), "admin")
        return "admin" if path.startswith(OPERATIONS) else None

    def _check(self, scope: Scope, needed: str, given: str) -> None:
        scheme, _, credential = given.partition(" ")
        if not given or scheme.lower() != "bearer":
            what = "An API key" if self._with_keys else "The operators' token"
            raise Refused("malformed" if given else "missing", f"{what} is needed, sent as `Authorization: Bearer …`.")
        if needed == "admin" and self._token and hmac.compare_digest(credential.encode("latin-1"), self._token):
            return
        if not self._with_keys:
            raise Refused("unknown", "This is not the token in the file that INTERNAL_TOKEN_FILE names.")
        scope["app"].state.services.keys.check(credential, needed)


def read_token(file: str) -> bytes:
    """The token in a file, read once, at the start; without a file none. ValueError when it has no 16 characters."""
    if not file:
        return b""
    try:
        token = Path(file).read_bytes().strip()
    except OSError as error:
        raise ValueError(f"INTERNAL_TOKEN_FILE={file} cannot be read ({error.strerror})") from None
    if len(token) < 16:
        raise ValueError(f"INTERNAL_TOKEN_FILE={file} holds {len(token)} characters: a token has 16 or more")
    return token


def _without_body(send: Send) -> Send:
    async def bare(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [(b"content-length", b"0")]}
        elif message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return bare

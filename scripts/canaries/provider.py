"""A hostile AI provider: speaks OpenAI's protocol, and puts canaries and the prompt itself into all that goes wrong.

The request id, which the backend passes on, says how it shall misbehave: `ai.chat.429.card.…` in a chat, and so on.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scripts.canaries.kinds import Canary

DIMENSIONS = 64
#: How it can misbehave, in a chat and when it embeds.
CHAT_MODES = ("400", "401", "404", "429", "500", "page", "header", "redirect", "event", "rubbish", "break", "status")
EMBEDDING_MODES = ("400", "500", "page", "wrong", "rubbish")
#: Calls with one request id that go wrong; then it behaves, or a job would come back for ever.
BAD_CALLS = 4


class Provider:
    """What it knows, and what it was sent: the headers of each call, by request id."""

    def __init__(self, canaries: list[Canary]) -> None:
        self.canaries = {canary.slug: canary for canary in canaries}
        self.headers: list[tuple[str, dict[str, str]]] = []
        self.calls: Counter[str] = Counter()
        self.url = ""


@contextmanager
def hostile(canaries: list[Canary]) -> Iterator[Provider]:
    """The provider, while the block runs."""
    provider = Provider(canaries)

    class Handler(_Handler):
        known = provider

    server = _Server(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: that clients hang up is what is provoked here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    known: Provider

    def do_GET(self) -> None:
        self._send(200, json.dumps({"object": "list", "data": [{"id": "m"}]}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode("utf-8", "replace")
        identity = self.headers.get("X-Request-ID", "")
        self.known.headers.append((identity, dict(self.headers.items())))
        self.known.calls[identity] += 1
        where, _, rest = identity.removeprefix("ai.").partition(".")
        mode, _, slug = rest.partition(".")
        canary = self.known.canaries.get(slug.partition(".")[0])
        text = canary.text if canary else "a canary of no kind"
        embeds = self.path.endswith("/embeddings")
        hostile = identity.startswith("ai.") and self.known.calls[identity] <= BAD_CALLS
        if hostile and where == ("embed" if embeds else "chat"):
            self._misbehave(mode, f"{text}\n{body}")
        elif embeds:
            self._embed(json.loads(body))
        else:
            self._answer(["I heard: ", text, "."])

    def _misbehave(self, mode: str, text: str) -> None:
        flat = " ".join(text.split())
        if mode.isdigit():
            more = {"Retry-After": f"1; {flat[:200]}"} if mode == "429" else {}
            self._send(int(mode), json.dumps({"error": {"message": text, "param": flat}}), more)
        elif mode == "header":
            self._send(500, "{}", {"X-Echo": flat[:2000]})
        elif mode == "redirect":
            self._send(302, flat, {"Location": f"/v1/elsewhere?q={flat[:500].replace(' ', '%20')}"})
        elif mode == "event":
            self._stream([{"error": {"message": text}}], done=True)
        elif mode == "rubbish":
            self._send(200, f'data: {{"choices": [{text}\n\n', {"Content-Type": "text/event-stream"})
        elif mode == "break":
            self._stream([_delta("The answer begins with "), _delta(text)], done=False)
        elif mode == "status":
            self.wfile.write(f"HTTP/1.1 {flat[:500]}\r\n\r\n".encode())
            self.close_connection = True
        elif mode == "wrong":
            self._send(200, json.dumps({"data": [{"index": 0, "embedding": [text]}]}))
        else:
            self._send(200, f"<html><title>{text}</title>", {"Content-Type": "text/html"})

    def _embed(self, asked: Mapping[str, Any]) -> None:
        texts = asked["input"]
        vectors = [{"index": n, "embedding": [1.0 + n, *[0.5] * (DIMENSIONS - 1)]} for n in range(len(texts))]
        self._send(200, json.dumps({"data": vectors, "usage": {"prompt_tokens": 5, "total_tokens": 5}}))

    def _answer(self, pieces: list[str]) -> None:
        events = [_delta(piece) for piece in pieces]
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        events.append({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
        self._stream(events, done=True)

    def _stream(self, events: list[dict[str, Any]], done: bool) -> None:
        """A stream that is cut off where it is not `done`: its length promises more."""
        data = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + ("data: [DONE]\n\n" if done else "")
        self._send(200, data, {"Content-Type": "text/event-stream"}, missing=0 if done else 100)
        if not done:
            self.close_connection = True

    def _send(self, status: int, body: str, headers: Mapping[str, str] | None = None, missing: int = 0) -> None:
        data = body.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) + missing))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def _delta(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}

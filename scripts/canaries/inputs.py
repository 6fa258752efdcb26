"""Every input there is: one request for each kind of canary and each place where a client can put it."""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from scripts.canaries.kinds import Canary
from scripts.canaries.provider import CHAT_MODES, EMBEDDING_MODES

API = "/api/v1"
#: What a traceparent looks like; the trace is sampled.
TRACEPARENT = "00-{:032x}-00f067aa0ba902b7-01"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Plant:
    """One request with one canary: `place` says where it stands.

    `file` is a form's file (name, content, type); `raw` is sent as it stands, for what is no HTTP.
    """

    place: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    file: tuple[str, bytes, str] | None = None
    service: str = "backend"
    raw: bytes = b""


def plants(canary: Canary, session: str, message: str) -> Iterator[Plant]:
    """Every request with this canary; `session` and `message` are ids that exist."""
    yield from _headers(canary)
    yield from _addresses(canary)
    yield from _rubbish(canary)
    yield from _bodies(canary, session, message)
    yield from _files(canary)
    yield from _provider(canary, session)
    yield from _alerts(canary)


def _flat(text: str) -> str:
    """In one line of ASCII, as a header wants it."""
    return " ".join(text.split()).encode("ascii", "replace").decode()


def _headers(canary: Canary) -> Iterator[Plant]:
    bare, text = _flat(canary.bare), _flat(canary.text)
    authorization = text if text.startswith(("Bearer ", "Basic ")) else f"Bearer {bare}"
    planted = {
        "Authorization": authorization,
        "Proxy-Authorization": authorization,
        "Cookie": f"session={bare}; other=1",
        "X-API-Key": bare,
        "X-User-ID": bare,
        "User-Agent": f"Mozilla/5.0 ({text})",
        "Referer": f"https://elsewhere.example/search?q={quote(bare)}&{text}",
        "X-Forwarded-For": f"203.0.113.9, {text}",
        "Accept": f"text/html; note={bare}",
        "Content-Type": f"application/{bare}",
        "traceparent": bare,
        "baggage": f"user={quote(bare)},{canary.key}={quote(bare)}",
        "X-Something": text,
    }
    for name, value in planted.items():
        yield Plant(f"header {name}", "POST", f"{API}/chat/sessions", {name: value})
    state = {
        "traceparent": TRACEPARENT.format(secrets.randbits(127) + 1),
        "tracestate": f"mara={bare.replace('=', '.')}",
    }
    yield Plant("header tracestate", "POST", f"{API}/chat/sessions", state)
    if not canary.formless:  # a word like any other: whoever makes it the request's id has chosen to have it kept
        yield Plant("header X-Request-ID", "POST", f"{API}/chat/sessions", {"X-Request-ID": bare})
        yield Plant("header X-Request-ID", "GET", f"{API}/nothing", {"X-Request-ID": bare[:128]})


def _addresses(canary: Canary) -> Iterator[Plant]:
    encoded, half = quote(canary.bare, safe=""), quote(canary.bare)
    for place, path in {
        "query, an unknown parameter": f"{API}/indexing/jobs?{canary.key}={encoded}",
        "query, a parameter that is refused": f"{API}/indexing/jobs?status={encoded}",
        "query, a number that is none": f"{API}/indexing/jobs?limit={half}",
        "query, a parameter's name": f"{API}/indexing/jobs?{encoded}=1",
        "path, no route": f"/{encoded}/{half}",
        "path, an id that is none": f"{API}/indexing/jobs/{encoded}",
        "path, a file of the page": f"/static/{half}",
        "query, of a profile": f"/internal/profile?seconds={encoded}",
        "path, above the page's files": f"/static/..%2f{encoded}",
    }.items():
        yield Plant(place, "GET", path)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    yield Plant("query, of a WebSocket", "GET", f"/{half}?token={encoded}", upgrade)
    yield Plant("method", re.sub(r"[^\w.+|~-]", "|", _flat(canary.bare)), "/")
    yield Plant("path, a session's id", "POST", f"{API}/chat/sessions/{encoded}/messages", JSON, b'{"content": "?"}')
    yield Plant("path, of alert-inbox", "GET", f"/runbooks/{encoded}?q={half}", service="alert-inbox")


def _rubbish(canary: Canary) -> Iterator[Plant]:
    """What the server refuses before the application sees it."""
    bare, text = _flat(canary.bare).encode(), _flat(canary.text).encode()
    for place, raw in {
        "a path with spaces": b"GET /%b %b HTTP/1.1\r\n\r\n" % (bare, text),
        "no method": b"%b\r\n\r\n" % text,
        "a header without a colon": b"GET / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % bare,
        "a header with a NUL": b"GET / HTTP/1.1\r\nHost: x\r\nCookie: \x00%b\r\n\r\n" % bare,
        "a length that is none": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\n\r\n" % bare,
        "a chunk that is none": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n" % bare,
        "a header that is too long": b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: %b\r\n\r\n" % (text * 5000)[:100_000],
        "a body that breaks off": b"POST /api/v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" + text,
    }.items():
        yield Plant(f"no HTTP: {place}", "", "", raw=raw)


def _json(place: str, path: str, body: Any, method: str = "POST", service: str = "backend") -> Plant:
    return Plant(place, method, path, JSON, json.dumps(body).encode(), service=service)


def _bodies(canary: Canary, session: str, message: str) -> Iterator[Plant]:
    bare, text, key = canary.bare, canary.text, canary.key
    ask = f"{API}/chat/sessions/{session}/messages"
    yield _json("chat text", ask, {"content": f"Hello. {text} What now?"})
    yield _json("chat text, streamed", ask, {"content": text, "stream": True})
    yield _json("chat text that quotes", ask, {"content": json.dumps({"said": f"so:\n{bare}\n{text}"})})
    yield _json("chat, an unknown field", ask, {"content": "Hello?", key: bare, "more": {key: [bare, {key: text}]}})
    yield _json("chat, an unknown field's name", ask, {"content": "Hello?", bare: text})
    yield _json("chat, a field of the wrong type", ask, {"content": {key: bare}, "stream": text})
    yield _json("chat, a question that is too long", ask, {"content": f"{text} " * (5000 // len(text) + 1)})
    yield _json("chat, a body that is too large", ask, {"content": f"{text} " * (80_000 // len(text))})
    yield _json("feedback, a comment", f"{API}/feedback", {"message_id": message, "score": 3, "comment": text})
    yield _json("feedback, an id that is none", f"{API}/feedback", {"message_id": bare, "score": 3, "comment": text})
    yield _json("feedback, a score that is none", f"{API}/feedback", {"message_id": message, "score": bare})
    yield _json("experience, a metric", f"{API}/experience", {"measurements": [{"metric": bare, "value": 1}]})
    yield _json(
        "experience, a value", f"{API}/experience", {"measurements": [{"metric": "first_token", "value": text}]}
    )
    yield _json("experience, an error", f"{API}/experience", {"errors": [{"kind": bare, "message": text}]})
    yield _json("experience, an unknown field", f"{API}/experience", {key: bare, bare: text})
    yield _json("a fault's name", "/internal/faults", {"fault": bare}, "PUT")
    yield _json("a logger's name", "/internal/log-level", {"logger": _flat(bare), "level": text}, "PUT")
    yield _json("what to trace, a route", "/internal/tracing", {"route": bare, key: text}, "PUT")
    if not canary.formless:
        yield _json("what to trace, a request", "/internal/tracing", {"request_id": bare, "seconds": 1}, "PUT")
    whole = json.dumps({"content": text, key: bare})
    for place, content in {
        "JSON that breaks off": whole[:-1].encode(),
        "JSON with a word too many": f"{whole} {bare}".encode(),
        "JSON in UTF-16": whole.encode("utf-16"),
        "no UTF-8": b'{"content": "\xff' + text.encode() + b'"}',
        "a form instead of JSON": f"{key}={quote(bare)}".encode(),
    }.items():
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if place.startswith("a form") else JSON
        yield Plant(f"malformed body: {place}", "POST", ask, headers, content)


def _files(canary: Canary) -> Iterator[Plant]:
    text, bare = canary.text, canary.bare
    data, plain = text.encode(), b"Mirrors are polished for weeks."
    flat = _flat(bare).replace("/", "-")
    files: dict[str, tuple[str, bytes, str]] = {
        "file name": (f"{flat}.txt", plain, "text/plain"),
        "file name, an extension": (f"notes.{flat}", plain, "application/octet-stream"),
        "file name, its type": ("notes", plain, f"application/{flat[:60]}"),
        "file content, text": ("a.txt", b"Harbours. " + data, "text/plain"),
        "file content, a title": ("a.md", f"# {text}\n\nHarbours are deep.\n".encode(), "text/markdown"),
        "file content, HTML": ("a.html", f"<title>{text}</title><p>{text}</p>".encode(), "text/html"),
        "file content, CSV": ("a.csv", f'name,note\n"{text}","{bare}"\n'.encode(), "text/csv"),
        "file content, a broken CSV": ("a.csv", f'name,note\n"{text},{bare}\n'.encode(), "text/csv"),
        "file content, JSON": ("a.json", json.dumps({canary.key: bare, bare: text}).encode(), "application/json"),
        "file content, a broken JSON": ("a.json", f'{{"{canary.key}": {text}}}'.encode(), "application/json"),
        "file content, a deep JSON": ("a.json", (f'{{"{flat}":' * 70 + "1" + "}" * 70).encode(), "application/json"),
        "file content, a broken PDF": ("a.pdf", b"%PDF-1.7\n1 0 obj <<" + data + b">> endobj\n", "application/pdf"),
        "file content, no encoding": ("a.txt", b"\x00\xff\xfe\x80" + data, "text/plain"),
    }
    for place, file in files.items():
        yield Plant(place, "POST", f"{API}/documents", file=file)


def _provider(canary: Canary, session: str) -> Iterator[Plant]:
    """Requests whose id tells the provider how to answer: `ai.chat.429.card.1`."""
    ask = f"{API}/chat/sessions/{session}/messages"
    for number, mode in enumerate(CHAT_MODES):
        headers = {**JSON, "X-Request-ID": f"ai.chat.{mode}.{canary.slug}"}
        body = {"content": f"What of {canary.text}", "stream": number % 2 == 1}
        yield Plant(f"provider, chat: {mode}", "POST", ask, headers, json.dumps(body).encode())
    for mode in EMBEDDING_MODES:
        identity = {"X-Request-ID": f"ai.embed.{mode}.{canary.slug}"}
        body = {"content": canary.text}
        yield Plant(f"provider, question: {mode}", "POST", ask, {**JSON, **identity}, json.dumps(body).encode())
        file = (f"{mode}.txt", f"Harbours. {canary.text} {mode}".encode(), "text/plain")
        yield Plant(f"provider, document: {mode}", "POST", f"{API}/documents", identity, file=file)


def _alerts(canary: Canary) -> Iterator[Plant]:
    text, bare, key = canary.text, canary.bare, canary.key

    def notification(**changes: Any) -> dict[str, Any]:
        alert = {"status": "firing", "labels": {"alertname": "Planted", "severity": "warning"}, "annotations": {}}
        return {"receiver": "log", "status": "firing", "alerts": [{**alert, **changes}]}

    def webhook(place: str, body: Any) -> Plant:
        return _json(f"alert, {place}", "/alerts", body, service="alert-inbox")

    if key != "note":  # what an alert says is there to be read: only what has a form, or a name, is taken out
        yield webhook("a secret under its name", notification(annotations={key: bare}))
        yield webhook("an annotation", notification(annotations={"summary": text, "description": f"see {text}"}))
        labels = {"alertname": "Planted", "severity": "info", "service": text}
        yield webhook("a label", notification(labels=labels, annotations={"dashboard": "http://g/d/x"}))
    yield webhook(
        "an unknown field", {**notification(), key: bare, "groupKey": text, "externalURL": f"http://a/{bare}"}
    )
    yield webhook("a field of the wrong type", notification(labels=[bare], startsAt={key: text}))
    yield webhook("a receiver", {**notification(), "receiver": text})
    body = json.dumps(notification(annotations={key: text}))[:-2].encode()
    yield Plant("alert, JSON that breaks off", "POST", "/alerts", JSON, body, service="alert-inbox")

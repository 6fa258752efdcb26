"""Loki, Tempo, Prometheus and Grafana on loopback, answering in the shapes of the real ones."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from scripts.backend_process import BackendProcess

REQUEST, TRACE, JOB_TRACE = "req-1", "0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319d"
#: 2026-11-24 22:00:00 UTC, in Unix seconds.
NOON = 1795557600.0


@dataclass
class Store:
    """One server: what it answers by path, and what it was asked."""

    address: str
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def answer(self, path: str, parameters: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append((path, parameters))
        found = self.answers.get(path, (404, "not here"))
        if callable(found):
            found = found(parameters)
        status, body = found if isinstance(found, tuple) else (200, found)
        return status, body.encode() if isinstance(body, str) else json.dumps(body).encode()


@pytest.fixture
def serve() -> Iterator[Callable[[], Store]]:
    """Starts a store; any number of times."""
    servers: list[ThreadingHTTPServer] = []

    def start() -> Store:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                parameters = {name: values[0] for name, values in parse_qs(parts.query).items()}
                status, body = store.answer(parts.path, parameters)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        store = Store(f"http://127.0.0.1:{server.server_port}")
        return store

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def line(event: str, at: float = 0.0, **fields: Any) -> dict[str, Any]:
    """A log line as the backend writes it, `at` seconds after NOON."""
    stamp = f"2026-11-24T22:00:{at:09.6f}Z"
    own = {"level": "info", "logger": "portal_app", "service": "backend", "request_id": REQUEST, "trace_id": TRACE}
    return {"timestamp": stamp, "event": event, **own, **fields}


def access(at: float, status: int = 200, **fields: Any) -> dict[str, Any]:
    level = "error" if status >= 500 else "info"
    own = {"method": "POST", "endpoint": "/api/v1/documents", "status": status, "duration_seconds": at, "bytes": 9}
    return line("request", at, **{"level": level, "logger": "access", **own, **fields})


def loki_answer(*lines: dict[str, Any] | str) -> dict[str, Any]:
    """Loki's answer: a stream for each line, with its labels and its structured metadata."""
    labels = {"service": "backend", "level": "info", "logger": "portal_app", "environment": "local"}
    result = []
    for one in lines:
        text = one if isinstance(one, str) else json.dumps(one)
        result.append({"stream": labels, "values": [[str(int(NOON * 1e9)), text]]})
    return {"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}


def span(
    name: str, start: float, end: float, *, trace: str = TRACE, identity: int = 1, parent: int = 0, **more: Any
) -> Any:
    """A span of Tempo's answer, `start` to `end` seconds after NOON, ids in base64 as Tempo gives them."""
    attributes = [{"key": key, "value": {"stringValue": text}} for key, text in more.pop("attributes", {}).items()]
    return {
        "traceId": encoded(trace),
        "spanId": encoded(f"{identity:016x}"),
        **({"parentSpanId": encoded(f"{parent:016x}")} if parent else {}),
        "name": name,
        "kind": more.pop("kind", "SPAN_KIND_INTERNAL"),
        "startTimeUnixNano": str(round((NOON + start) * 1e9)),
        "endTimeUnixNano": str(round((NOON + end) * 1e9)),
        "attributes": attributes,
        "status": {},
        **more,
    }


def encoded(identity: str) -> str:
    return base64.b64encode(bytes.fromhex(identity)).decode()


def tempo_answer(*spans: Any) -> dict[str, Any]:
    """Tempo's answer to /api/v2/traces/{id}."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "backend"}}]}
    found = [{"resource": resource, "scopeSpans": [{"scope": {"name": "specola"}, "spans": list(spans)}]}]
    return {"trace": {"resourceSpans": found} if spans else {}, "metrics": {"inspectedBytes": "1"}}


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of log and trace files that a real backend wrote: an upload, a question, and a fault."""
    folder = tmp_path_factory.mktemp("written")
    with (
        BackendProcess(folder, OTEL_EXPORTER_OTLP_ENDPOINT="", FAULTS_ENABLED="true") as backend,
        httpx.Client(base_url=backend.address, timeout=30, trust_env=False) as client,
    ):
        job = client.post(
            "/api/v1/documents",
            files={"file": ("mirror.md", b"# Mirrors\n\nThe mirror is two metres wide.\n", "text/markdown")},
            headers={"X-Request-ID": "upload-1", "X-User-ID": "ann"},
        ).headers["location"]
        for _ in range(100):
            if client.get(job).json()["status"] == "completed":
                break
            time.sleep(0.1)
        client.put("/internal/faults", json={"fault": "http_errors", "seconds": 60})
        client.get("/api/v1/indexing/jobs", headers={"X-Request-ID": "broken-1"})
    return folder / "logs"

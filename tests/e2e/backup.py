"""What the tests of backups share: a stack of processes with something in every store, and how to find it."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.backend_process import BackendProcess
from scripts.backup.run import Place
from scripts.local.apart import Apart, NotHere
from tests.e2e.shipping import until

NAMES = ("prometheus", "alertmanager", "loki", "tempo", "grafana")
LINES = 500
#: A trace of two spans, pushed as a service would, in hex.
TRACE = "5b8efff798038103d269b633813fc60c"


class Stores:
    """The parts that keep something, in one folder; started and ended together."""

    def __init__(self, folder: Path, stack: ExitStack, settings: dict[str, str] | None = None) -> None:
        try:
            self.apart = stack.enter_context(Apart(folder / "apart", NAMES, settings))
        except NotHere as missing:
            pytest.skip(str(missing))
        data = self.apart.folders.data
        (data / "backend").mkdir(parents=True)
        self.backend = BackendProcess(data / "backend")
        stack.callback(self.backend.stop)
        self.place = Place(
            data, folder / "backups", folder / "key", self.apart.url("prometheus"), self.backend.environment
        )

    def start(self) -> None:
        for name in NAMES:
            self.apart.launch(name)
        self.backend.launch()
        for name in NAMES:
            self.apart.ready(name)
        until(self.backend.ready, "the backend serves", seconds=60)

    def kill(self) -> None:
        """Ends all of it as a loss of power would."""
        for name in NAMES:
            self.apart.kill(name)
        self.backend.stop()

    def ask(self, name: str, path: str, **params: Any) -> Any:
        answer = httpx.get(self.apart.url(name) + path, params=params, timeout=30)
        assert answer.is_success, f"{answer.request.url}: {answer.text}"
        return answer.json()

    def fill(self) -> None:
        """Puts something into every store that would be missed."""
        for number, subject in enumerate(("harbour of Genoa is deep", "lighthouse is old", "market opens at six")):
            file = {"file": (f"note{number}.txt", f"The {subject}. " * 20)}
            httpx.post(f"{self.backend.address}/api/v1/documents", files=file).raise_for_status()
        session = httpx.post(f"{self.backend.address}/api/v1/chat/sessions").json()["session_id"]
        jobs = f"{self.backend.address}/api/v1/indexing/jobs?status=completed"
        until(lambda: len(httpx.get(jobs).json()["jobs"]) == 3, "three documents are indexed", seconds=60)
        messages = f"{self.backend.address}/api/v1/chat/sessions/{session}/messages"
        answer = httpx.post(messages, json={"content": "How deep is the harbour?"}, timeout=30).json()
        httpx.post(f"{self.backend.address}/api/v1/feedback", json={"message_id": answer["message_id"], "score": 4})
        self.log("kept", LINES)
        start = time.time_ns()
        spans = [
            {"traceId": TRACE, "spanId": f"{n:016x}", "name": f"span {n}", "kind": 2,
             "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 1000)}
            for n in (1, 2)
        ]  # fmt: skip
        body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": spans}]}]}
        port = self.apart.port("tempo", 4318)
        httpx.post(f"http://127.0.0.1:{port}/v1/traces", json=body).raise_for_status()
        silence = {
            "matchers": [{"name": "alertname", "value": "Kept", "isRegex": False}],
            "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "me", "comment": "kept",
        }  # fmt: skip
        httpx.post(f"{self.apart.url('alertmanager')}/api/v2/silences", json=silence).raise_for_status()
        note = {"text": "kept", "time": 1_767_225_600_000}
        httpx.post(f"{self.apart.url('grafana')}/api/annotations", json=note).raise_for_status()
        self.until_found()

    def log(self, text: str, count: int) -> None:
        """Pushes numbered lines."""
        now = time.time_ns()
        values = [[str(now + number), f"{text} {number}"] for number in range(count)]
        body = {"streams": [{"stream": {"service": text}, "values": values}]}
        httpx.post(f"{self.apart.url('loki')}/loki/api/v1/push", json=body).raise_for_status()

    def until_found(self) -> None:
        """Waits until what was filled in can be asked for."""
        until(lambda: self._trace() == ["span 1", "span 2"], "the trace is found", seconds=40)
        twice = 'count_over_time(up{job="prometheus"}[10m]) >= 2'
        until(lambda: self.ask("prometheus", "/api/v1/query", query=twice)["data"]["result"], "two scrapes", seconds=40)

    def facts(self, at: float) -> dict[str, Any]:
        """Counts and sample queries of every store; of metrics, those before a time."""
        lines = self.ask(
            "loki", "/loki/api/v1/query_range", query='{service="kept"}', limit=5000, start=int((at - 3000) * 1e9)
        )["data"]["result"]
        samples = self.ask("prometheus", "/api/v1/query", query=f'up{{job="prometheus"}}[1h] @ {at}')["data"]["result"]
        return {
            "records": self._records(at),
            "passages": self._passages(),
            "lines": sorted(line for stream in lines for _, line in stream["values"]),
            "trace": self._trace(),
            "samples": [one["values"] for one in samples],
            "silences": [one["id"] for one in self.ask("alertmanager", "/api/v2/silences")],
            "annotations": [
                one["text"] for one in self.ask("grafana", "/api/annotations", to=2_000_000_000_000, **{"from": 1})
            ],
        }

    def _records(self, before: float) -> dict[str, list[Any]]:
        found = {}
        with closing(sqlite3.connect(self.place.environment["SQLITE_PATH"])) as database:
            for name in ("messages", "sessions", "documents", "jobs", "feedback"):
                bodies = [json.loads(body) for (body,) in database.execute(f"SELECT body FROM {name} ORDER BY id")]
                found[name] = [body for body in bodies if body.get("created_at", body.get("indexed_at")) < before]
        return found

    def _passages(self) -> list[Any]:
        session = httpx.post(f"{self.backend.address}/api/v1/chat/sessions").json()["session_id"]
        messages = f"{self.backend.address}/api/v1/chat/sessions/{session}/messages"
        answer = httpx.post(messages, json={"content": "How deep is the harbour?"}, timeout=30).json()
        return [(hit["filename"], round(hit["score"], 5), hit["excerpt"]) for hit in answer["sources"]][:1]

    def _trace(self) -> list[str]:
        answer = httpx.get(f"{self.apart.url('tempo')}/api/traces/{TRACE}", timeout=30)
        if answer.status_code != 200:
            return []
        batches = answer.json()["batches"]
        return sorted(span["name"] for batch in batches for scope in batch["scopeSpans"] for span in scope["spans"])


@contextmanager
def stores(folder: Path, settings: dict[str, str] | None = None) -> Iterator[Stores]:
    """A stack that does not run yet."""
    with ExitStack() as stack:
        yield Stores(folder, stack, settings)

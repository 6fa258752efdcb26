"""What the tests of backups share: something for every store of a stack to keep, and how to find it there."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.e2e.shipping import until

LINES = 500
#: A trace of two spans, pushed as a service would, in hex.
TRACE = "5b8efff798038103d269b633813fc60c"
SUBJECTS = ("harbour of Genoa is deep", "lighthouse is old", "market opens at six")
COUNTS = {"messages": 2, "sessions": 1, "documents": 3, "jobs": 3, "feedback": 1}
Record = dict[str, Any]


@dataclass(frozen=True)
class Contents:
    """What is kept. `address`: where a service (or `tempo-otlp`) answers; `read`: the records of a collection."""

    address: Callable[[str], str]
    read: Callable[[str], list[Record]]

    def post(self, name: str, path: str, **what: Any) -> Any:
        answer = httpx.post(self.address(name) + path, timeout=30, **what)
        assert answer.is_success, f"{answer.request.url}: {answer.text}"
        return answer.json() if answer.content else None

    def get(self, name: str, path: str, **params: Any) -> Any:
        answer = httpx.get(self.address(name) + path, params=params, timeout=30)
        assert answer.is_success, f"{answer.request.url}: {answer.text}"
        return answer.json()

    def fill(self) -> None:
        """Puts something into every store that would be missed."""
        for number, subject in enumerate(SUBJECTS):
            self.post("backend", "/api/v1/documents", files={"file": (f"note{number}.txt", f"The {subject}. " * 20)})
        done = lambda: len(self.get("backend", "/api/v1/indexing/jobs", status="completed")["jobs"])  # noqa: E731
        until(lambda: done() == len(SUBJECTS), "the documents are indexed", seconds=60)
        answer = self.question()
        self.post("backend", "/api/v1/feedback", json={"message_id": answer["message_id"], "score": 4})
        self.log("kept", LINES)
        start = time.time_ns()
        spans = [
            {"traceId": TRACE, "spanId": f"{n:016x}", "name": f"span {n}", "kind": 2,
             "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 1000)}
            for n in (1, 2)
        ]  # fmt: skip
        body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": spans}]}]}
        self.post("tempo-otlp", "/v1/traces", json=body)
        silence = {
            "matchers": [{"name": "alertname", "value": "Kept", "isRegex": False}],
            "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "me", "comment": "kept",
        }  # fmt: skip
        self.post("alertmanager", "/api/v2/silences", json=silence)
        self.post("grafana", "/api/annotations", json={"text": "kept", "time": 1_767_225_600_000})
        self.until_found()
        time.sleep(5)  # Tempo has a trace on its disk three seconds after its last span (tempo/tempo.yml)

    def question(self) -> Any:
        """An answer, in a session of its own."""
        session = self.post("backend", "/api/v1/chat/sessions")["session_id"]
        question = {"content": "How deep is the harbour?"}
        return self.post("backend", f"/api/v1/chat/sessions/{session}/messages", json=question)

    def log(self, service: str, count: int) -> None:
        """Pushes numbered lines."""
        now = time.time_ns()
        values = [[str(now + number), f"{service} {number}"] for number in range(count)]
        self.post("loki", "/loki/api/v1/push", json={"streams": [{"stream": {"service": service}, "values": values}]})

    def until_found(self) -> None:
        """Waits until what was filled in can be asked for."""
        until(lambda: self._trace() == ["span 1", "span 2"], "the trace is found", seconds=40)
        twice = 'count_over_time(up{job="prometheus"}[10m]) >= 2'
        until(lambda: self.get("prometheus", "/api/v1/query", query=twice)["data"]["result"], "two scrapes", seconds=40)

    def facts(self, at: float) -> dict[str, Any]:
        """Counts and sample queries of every store; of records and metrics, those before a time."""
        lines = self.get(
            "loki", "/loki/api/v1/query_range", query='{service="kept"}', limit=5000, start=int((at - 3000) * 1e9)
        )["data"]["result"]
        samples = self.get("prometheus", "/api/v1/query", query=f'up{{job="prometheus"}}[1h] @ {at}')["data"]["result"]
        notes = self.get("grafana", "/api/annotations", **{"from": 1, "to": 2_000_000_000_000})
        records = {
            name: [one for one in self.read(name) if one.get("created_at", one.get("indexed_at")) < at]
            for name in COUNTS
        }
        best = self.question()["sources"][0]
        return {
            "records": records,
            "passage": (best["filename"], round(best["score"], 5), best["excerpt"]),
            "lines": sorted(line for stream in lines for _, line in stream["values"]),
            "trace": self._trace(),
            "samples": [one["values"] for one in samples],
            "silences": [one["id"] for one in self.get("alertmanager", "/api/v2/silences")],
            "annotations": [one["text"] for one in notes],
        }

    def _trace(self) -> list[str]:
        answer = httpx.get(f"{self.address('tempo')}/api/traces/{TRACE}", timeout=30)
        batches = answer.json()["batches"] if answer.status_code == 200 else []
        return sorted(span["name"] for batch in batches for scope in batch["scopeSpans"] for span in scope["spans"])


def assert_full(facts: dict[str, Any]) -> None:
    """Something of every store is among the facts, so that they can be compared."""
    assert {name: len(records) for name, records in facts["records"].items()} == COUNTS
    assert len(facts["lines"]) == LINES
    assert facts["trace"] == ["span 1", "span 2"]
    assert facts["passage"][0] == "note0.txt"
    assert len(facts["samples"][0]) >= 2
    assert len(facts["silences"]) == 1
    assert facts["annotations"] == ["kept"]

"""A stack that answers what a test says, in place of one that runs."""

from typing import Any

import httpx
import pytest

from scripts.find.model import Line, Span
from scripts.find.search import Story
from scripts.tour.place import NotYet, Place


class Told(Place):
    """Answers by (method, service, start of the path); 404 to whatever nobody has told it."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[tuple[str, str, str], Any] = {}
        self.stories: dict[str, Story] = {}
        self.values_of: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[tuple[str, str, str, Any]] = []

    def call(self, method: str, service: str, path: str, **more: Any) -> httpx.Response:
        self.asked.append((method, service, path, more.get("json")))
        if service == "prometheus" and path == "/api/v1/query":
            query = more["params"]["query"]
            result = next((found for part, found in self.values_of.items() if part in query), [])
            return httpx.Response(200, json={"data": {"result": result}})
        for (one, other, start), answer in self.answers.items():
            if (one, other) == (method, service) and path.startswith(start):
                return httpx.Response(answer) if isinstance(answer, int) else httpx.Response(200, json=answer)
        return httpx.Response(404)

    def story(self, identity: str) -> Story:
        if identity not in self.stories:
            raise NotYet(f"nothing of {identity}")
        return self.stories[identity]


def line(request_id: str, level: str = "info", logger: str = "access", status: int = 200, event: str = "") -> Line:
    values = {"status": status, "duration_seconds": 0.5}
    return Line(1000.5, level, logger, event or "request", "backend", request_id, "ab" * 16, values)


def span(name: str, start: float, error: str = "") -> Span:
    return Span("ab" * 16, name, "", name, "backend", "internal", start, start + 0.1, error, {}, ())


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr("scripts.tour.place.POLL_SECONDS", 0.01)
    return Told()

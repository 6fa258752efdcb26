"""Where the tour takes place: the running stack, and what its steps ask of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from scripts.addresses import address
from scripts.drill.load import QUESTION
from scripts.find.__main__ import Places, places
from scripts.find.search import Story, search

Found = TypeVar("Found")
#: Between two looks (seconds).
POLL_SECONDS = 0.5
MESSAGES = "/api/v1/chat/sessions/{session_id}/messages"


class NotYet(Exception):
    """What the step waits for has not happened; the message says what was seen instead."""


def _addresses() -> dict[str, str]:
    return {"backend": address("backend"), "inbox": address("alert-inbox")}


@dataclass
class Place:
    """The stack, and what one step leaves for a later one. Every method raises NotYet for whoever does not answer."""

    notes: dict[str, str] = field(default_factory=_addresses)
    begun: float = field(default_factory=time.time)
    where: Places = field(default_factory=places)

    def call(self, method: str, service: str, path: str, **more: Any) -> httpx.Response:
        """An answer, whatever its status."""
        try:
            return httpx.request(method, address(service) + path, timeout=30, trust_env=False, **more)
        except httpx.HTTPError as error:
            raise NotYet(f"{service} does not answer at {address(service)}: {error}") from None

    def get(self, service: str, path: str, **query: str | float) -> Any:
        """The JSON of an answer that is no error."""
        answer = self.call("GET", service, path, params=query)
        if answer.is_error:
            raise NotYet(f"{service} answers {path} with {answer.status_code}")
        return answer.json()

    def values(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus says to an expression now."""
        return list(self.get("prometheus", "/api/v1/query", query=expression)["data"]["result"])

    def number(self, expression: str) -> float:
        """The one number that Prometheus says to an expression."""
        found = self.values(expression)
        if not found:
            raise NotYet(f"Prometheus has no value yet for {expression}")
        return float(found[0]["value"][1])

    def ask(self, request_id: str) -> httpx.Response:
        """Asks the backend a question, in a session of its own."""
        opened = self.call("POST", "backend", "/api/v1/chat/sessions")
        if opened.is_error:
            raise NotYet(f"no session can be opened: {opened.status_code}")
        path = MESSAGES.format(session_id=opened.json()["session_id"])
        return self.call("POST", "backend", path, json={"content": QUESTION}, headers={"X-Request-ID": request_id})

    def story(self, identity: str) -> Story:
        """All that is known of a request, of which there must be a line and a span."""
        found = search(identity, self.where.logs, self.where.traces, self.begun - 3600)
        if found is None or not found.lines or not found.spans:
            missing = "anything" if found is None else "its trace" if found.lines else "its log lines"
            raise NotYet(f"looked for {identity}, and did not find {missing}")
        return found

    def told(self, status: str, since: float) -> bool:
        """Whether AIServiceDown arrived at alert-inbox in a state, `since` then."""
        arrived = self.get("alert-inbox", "/alerts", alertname="AIServiceDown", since=since)
        return any(one["status"] == status for one in arrived)


def wait(what: Callable[[], Found], seconds: float, say: Callable[[str], object] = lambda _: None) -> Found:
    """The first answer that is no NotYet; the last NotYet when `seconds` are over. `say` hears what is waited for."""
    until = time.monotonic() + seconds
    while True:
        try:
            return what()
        except NotYet as reason:
            if time.monotonic() >= until:
                raise
            say(str(reason))
        time.sleep(POLL_SECONDS)

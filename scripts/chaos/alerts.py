"""Which alerts somebody was owed the news of: those that fired long enough while everyone on the way was there."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from scripts.chaos.book import Finding
from scripts.drill.floor import grouping
from scripts.drill.stacks import Stack
from scripts.drill.watch import POLL_SECONDS, active
from scripts.meanwhile import meanwhile

#: Seconds beyond Alertmanager's own waits: for Prometheus to send it again, and for a delivery that failed to be tried
#: again.
SPARE_SECONDS = 15.0

Key = frozenset[tuple[str, str]]


@dataclass
class Owed:
    """`since`: from when on an alert has been firing with nothing in its way; `owed`: each time for long enough."""

    patience: Callable[[Mapping[str, str]], float]
    since: dict[Key, float] = field(default_factory=dict)
    owed: set[tuple[Key, float]] = field(default_factory=set)

    def look(self, now: float, firing: Iterable[Mapping[str, str]], held_back: set[Key]) -> None:
        """Takes note of what fires now, and of what Alertmanager holds back on purpose."""
        keys = {frozenset(labels.items()): labels for labels in firing if labels["alertname"] != "Watchdog"}
        self.since = {key: self.since.get(key, now) for key in keys if key not in held_back}
        for key, since in self.since.items():
            if now - since >= self.patience(keys[key]):
                self.owed.add((key, since))

    def compare(self, deliveries: Iterable[Mapping[str, Any]]) -> Finding:
        """Each has to have been told after it became owed, or before without being told over since."""
        told: dict[Key, list[tuple[float, str]]] = {}
        for one in deliveries:
            key = frozenset(one["labels"].items())
            told.setdefault(key, []).extend((one[at], one["status"]) for at in ("received_at", "last_received_at"))
        lost = []
        for key, since in sorted(self.owed, key=lambda owed: owed[1]):
            news = sorted(told.get(key, []))
            before = [status for at, status in news if at < since]
            if not any(at >= since and status == "firing" for at, status in news) and before[-1:] != ["firing"]:
                lost.append(", ".join(f"{name}={value}" for name, value in sorted(key)))
        return Finding("alerts that were still firing", len(self.owed), tuple(lost))


def patience(stack: Stack) -> Callable[[Mapping[str, str]], float]:
    """How long an alert may take to be told on this stack (seconds)."""
    return lambda labels: sum(grouping(stack.project, labels.get("severity", ""), labels["alertname"])) + SPARE_SECONDS


def _look(stack: Stack, client: httpx.Client, owed: Owed) -> None:
    firing: list[Mapping[str, str]] = []
    held_back: set[Key] = set()
    with contextlib.suppress(httpx.HTTPError):  # whoever is away is in the way: nothing counts as firing meanwhile
        client.get(f"{stack.address('alert-inbox')}/health/live").raise_for_status()
        known = client.get(f"{stack.address('alertmanager')}/api/v2/alerts")
        known.raise_for_status()
        held_back = {frozenset(a["labels"].items()) for a in known.json() if a["status"]["state"] == "suppressed"}
        firing = [a["labels"] for logs in (False, True) for a in active(stack, logs) if a["state"] == "firing"]
    owed.look(time.time(), firing, held_back)


@contextlib.contextmanager
def watching(stack: Stack) -> Iterator[Owed]:
    """Looks several times a second while the block runs."""
    owed = Owed(patience(stack))

    def watch(end: threading.Event) -> None:
        with httpx.Client(timeout=2, trust_env=False) as client:
            while not end.wait(2 * POLL_SECONDS):
                _look(stack, client, owed)

    with meanwhile(watch):
        yield owed

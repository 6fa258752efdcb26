"""One fault after another, the way back from each, and the comparison at the end."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from scripts.chaos import alerts
from scripts.chaos.book import (
    Book,
    Finding,
    compare_lines,
    compare_records,
    counted_by_loki,
    in_files,
    in_loki,
    records,
    traces_lost,
)  # fmt: skip
from scripts.chaos.stack import Stack
from scripts.chaos.traffic import SHIFT_MINUTES, ShiftedLines, Traffic, running

#: How long a fault lasts, and the pause before the next (seconds, by chance between the two).
AWAY_SECONDS, PAUSE_SECONDS = (0.5, 12.0), (0.5, 4.0)
#: A part that does not work again after this long has not recovered; what was acknowledged has as long to be finished.
PATIENCE = 90.0
SELECTOR = '{service=~".+"}'
RATE = 5.0
#: What of the stack's work shows that a part is back.
_REQUESTS, _LINES, _ALERTS = ("backend", "mongodb", "qdrant"), ("loki", "promtail", "logs' disk"), (
    "prometheus", "alertmanager", "alert-inbox",
)  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One fault: how long it lasted, and how long after its end the part's work went on (seconds; None: never)."""

    fault: str
    part: str
    away: float
    recovery: float | None


@dataclass
class Result:
    """All that a run has to tell."""

    seed: int
    minutes: float
    events: list[Event] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    not_done: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether something was owed and struck, nothing of it is missing, and everything came back."""
        kept = all(one.holds and (one.owed or one.only_counted) for one in self.findings)
        return bool(kept and self.findings and self.events) and all(one.recovery is not None for one in self.events)


class Chaos:
    """A run on a stack of its own."""

    def __init__(self, stack: Stack, seed: int, say: Callable[[str], None]) -> None:
        self._stack, self._say, self._seed = stack, say, seed
        self._dice = random.Random(f"{seed}:faults")  # noqa: S311 - no secret
        self._client = httpx.Client(timeout=10, trust_env=False)
        self._book = Book()
        self._traffic = Traffic(stack.address("backend"), self._book, RATE, seed)
        self._lines = ShiftedLines(stack.processes.folders.logs, seed)

    def run(self, minutes: float) -> Result:
        """Raises nothing for what was lost: the result says it."""
        result, begun = Result(self._seed, minutes), time.time()
        deck, result.not_done = self._stack.deck()
        cards: list[int] = []
        with alerts.watching(self._stack) as owed:
            with running(self._traffic, self._lines):
                self._wait(self._works_again("backend", begun), PATIENCE)
                end = time.monotonic() + 60 * minutes
                while time.monotonic() < end:
                    cards = cards or self._dice.sample(range(len(deck)), len(deck))
                    fault, part, make = deck[cards.pop()]
                    away = self._dice.uniform(*AWAY_SECONDS)
                    self._say(f"{end - time.monotonic():4.0f} s left, {self._so_far()}: {fault} {part}, {away:.1f} s")
                    with make(part):
                        time.sleep(away)
                    recovery = self._wait(self._works_again(part, time.time()), PATIENCE)
                    result.events.append(Event(fault, part, away, recovery))
                    time.sleep(self._dice.uniform(*PAUSE_SECONDS))
            self._say("what is under way is finished; then all of it is compared")
            time.sleep(5)
            result.findings = [*asyncio.run(self._records()), self._compare_lines(begun)]
        deliveries = self._client.get(f"{self._stack.address('alert-inbox')}/alerts").json()
        result.findings += [owed.compare(deliveries)]
        with httpx.Client(base_url=self._stack.address("tempo"), timeout=30, trust_env=False) as tempo:
            result.findings.append(traces_lost(tempo, self._book.traces))
        result.answers = self._book.answers
        return result

    def _so_far(self) -> str:
        book = self._book
        return f"{len(book.uploads)} uploads, {len(book.messages)} messages, {self._lines.number} shifted lines"

    def _works_again(self, part: str, since: float) -> Callable[[], bool]:
        """Asks for the work that a part is there for, done for something that began after `since`."""
        first, client = self._lines.number + 1, self._client
        seen = set(self._book.traces)

        def requests() -> bool:
            return all(self._book.last.get(kind, 0) >= since for kind in ("upload", "message"))

        def lines() -> bool:
            wanted = f'{{service="chaos"}} |= "line {first} of chaos"'
            edges = [time.time_ns() + sign * int(60e9 * (SHIFT_MINUTES + 0.5)) for sign in (-1, 1)]
            address = f"{self._stack.address('loki')}/loki/api/v1/query_range"
            answer = client.get(address, params={"query": wanted, "start": edges[0], "end": edges[1]})
            return bool(answer.is_success and answer.json()["data"]["result"])

        def alerts_arrive() -> bool:
            text = client.get(f"{self._stack.address('alert-inbox')}/metrics").text.splitlines()
            name = "watchdog_last_received_timestamp_seconds "
            return any(line.startswith(name) and float(line.split()[1]) >= since for line in text)

        def spans() -> bool:
            new = next((trace for trace in reversed(list(self._book.traces)) if trace not in seen), "")
            return bool(new) and client.get(f"{self._stack.address('tempo')}/api/traces/{new}").is_success

        if part in _REQUESTS:
            return requests
        return lines if part in _LINES else alerts_arrive if part in _ALERTS else spans

    def _wait(self, works: Callable[[], bool], patience: float) -> float | None:
        begun = time.monotonic()
        while time.monotonic() - begun < patience:
            with contextlib.suppress(httpx.HTTPError, KeyError, ValueError):
                if works():
                    return time.monotonic() - begun
            time.sleep(0.1)
        return None

    async def _records(self) -> list[Finding]:
        """Looks into the document store itself; an upload has to have been indexed, too."""
        store, book = self._stack.store(), self._book
        await store.start()
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                jobs = await records(store, "jobs", book.uploads, "status")
                if jobs == book.uploads or time.monotonic() > deadline:
                    break
                await asyncio.sleep(1)
            messages = await records(store, "messages", book.messages, "text")
            feedback = await records(store, "feedback", book.feedback, "score")
        finally:
            await store.close()
        return [
            compare_records("acknowledged uploads", book.uploads, jobs),
            compare_records("acknowledged messages", book.messages, messages),
            compare_records("acknowledged feedback", book.feedback, feedback),
        ]

    def _compare_lines(self, begun: float) -> Finding:
        """Once there are as many as in the files, or patience is over. Lines of the comparison itself come on top."""
        early, late = begun - 60 * (SHIFT_MINUTES + 1), time.time() + 60 * (SHIFT_MINUTES + 1)
        folder, deadline = self._stack.processes.folders.logs, time.monotonic() + PATIENCE
        with httpx.Client(base_url=self._stack.address("loki"), timeout=60, trust_env=False) as loki:
            while True:
                files = in_files(folder)
                time.sleep(2)  # what is in the files by then is under way
                there = in_loki(loki, int(early * 1e9), int(late * 1e9), SELECTOR)
                newer = in_files(folder) - files
                counted = counted_by_loki(loki, int(late - early), late, SELECTOR) - (newer & there).total()
                finding = compare_lines(files, there - newer, counted)
                if finding.holds or time.monotonic() > deadline:
                    return finding

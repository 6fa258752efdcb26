"""Twice and ten times the normal rate: what is too much is refused at once, memory stays, and it is over when it ends.

Normal is half of what the backend answers in a second when eight clients ask without pause: so twice is all that it can
do, and ten times five times as much.
"""

import asyncio
import contextlib
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from scripts.addresses import PROJECT
from scripts.backend_process import BackendProcess
from scripts.bench.results import Target, show_targets, write
from scripts.drill.load import QUESTION
from scripts.traffic.tally import quantile

TIMES = (1, 2, 10)
#: Clients of the measurement of what is normal, and its seconds.
CLIENTS, CALIBRATION_SECONDS = 8, 10.0
MIB = 1024**2


@dataclass
class Phase:
    """One rate (1/s) for some seconds: answers by status or error (`late`: not sent for want of time), p99 of
    the 200s (s), memory (MiB), 503s without Retry-After, and seconds until requests were answered as before."""

    times: int
    rate: float
    answers: dict[str, int]
    p99: float
    before: float
    peak: float
    after: float
    without_retry_after: int
    recovery: float

    @property
    def unanswered(self) -> int:
        """Requests that were sent and not answered at all."""
        return sum(number for what, number in self.answers.items() if not (what.isdigit() or what == "late"))


class Asker:
    """Asks questions, and keeps how they were answered."""

    def __init__(self, address: str) -> None:
        limits = httpx.Limits(max_connections=2000, max_keepalive_connections=400)
        self._client = httpx.AsyncClient(base_url=address, timeout=30, limits=limits, trust_env=False)
        self.answers, self.durations, self.without = Counter[str](), list[float](), 0
        self._paths: list[str] = []
        self._left = set[asyncio.Task[bool]]()

    async def prepare(self) -> None:
        """One document and some sessions."""
        file = {"file": ("README.md", (PROJECT / "README.md").read_bytes(), "text/markdown")}
        (await self._client.post("/api/v1/documents", files=file)).raise_for_status()
        for _ in range(50):
            session = (await self._client.post("/api/v1/chat/sessions")).json()["session_id"]
            self._paths.append(f"/api/v1/chat/sessions/{session}/messages")

    async def ask(self, number: int) -> bool:
        """One question; whether it was answered."""
        begun = time.monotonic()
        try:
            answer = await self._client.post(self._paths[number % len(self._paths)], json={"content": QUESTION})
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return False
        self.answers[str(answer.status_code)] += 1
        self.without += answer.status_code == 503 and "retry-after" not in answer.headers
        if answer.is_success:
            self.durations.append(time.monotonic() - begun)
        return answer.is_success

    async def capacity(self) -> float:
        """Requests a second with nobody pausing, in the best second: in the others, others may have had the machine."""
        begun, done = time.monotonic(), Counter[int]()

        async def client(number: int) -> None:
            while time.monotonic() - begun < CALIBRATION_SECONDS:
                answered = await self.ask(number)  # first: `+=` would add to what the count was before the question
                done[int(time.monotonic() - begun)] += answered

        await asyncio.gather(*map(client, range(CLIENTS)))
        return float(max(done.values()))

    async def steadily(self, rate: float, seconds: float) -> None:
        """Requests at their own times, however slowly the answers come."""
        start, tasks = time.monotonic(), set[asyncio.Task[bool]]()
        for number in range(int(rate * seconds)):
            wait = start + number / rate - time.monotonic()
            if wait < -1:  # this program has no time for it: to send it later would be another load
                self.answers["late"] += 1
                continue
            await asyncio.sleep(max(0.0, wait))
            tasks.add(task := asyncio.create_task(self.ask(number)))
            task.add_done_callback(tasks.discard)
        self._left = tasks

    async def recovery(self, p99: float) -> float:
        """Seconds from the last request of a load until five in a row are answered within twice the normal p99."""
        begun, in_a_row, end = time.monotonic(), 0, 0.0
        while in_a_row < 5 and time.monotonic() - begun < 60:
            asked, well = time.monotonic(), await self.ask(0)
            end = time.monotonic()
            in_a_row = in_a_row + 1 if well and end - asked <= max(2 * p99, 0.25) else 0
        await asyncio.gather(*self._left)
        return end - begun


async def measure(backend: BackendProcess, seconds: float) -> list[Phase]:
    """All rates, one after the other."""
    asker, process, phases = Asker(backend.address), psutil.Process(backend.pid), list[Phase]()
    await asker.prepare()
    normal = await asker.capacity() / 2
    peak = 0.0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, process.memory_info().rss / MIB)
            await asyncio.sleep(0.1)

    for times in TIMES:
        asker.answers, asker.durations, asker.without = Counter(), [], 0
        peak = before = process.memory_info().rss / MIB
        watcher = asyncio.create_task(watch())
        await asker.steadily(normal * times, seconds)
        answers, durations = asker.answers, asker.durations
        usual = phases[0].p99 if phases else quantile(durations, 0.99)
        back = await asker.recovery(usual)
        watcher.cancel()
        after, p99 = process.memory_info().rss / MIB, quantile(durations, 0.99)
        phases.append(Phase(times, normal * times, dict(answers), p99, before, peak, after, asker.without, back))
        await asyncio.sleep(2)
    return phases


def main(console: Console, folder: Path, results: Path | None) -> int:
    """SECONDS of each rate, 60 by default; writes `results`. 0 when every target is met."""
    with contextlib.ExitStack() as stack:
        backend = stack.enter_context(BackendProcess(folder))
        phases = asyncio.run(measure(backend, float(os.environ.get("SECONDS") or 60)))
    table = Table("times normal", "requests/s", "answers", "p99 of 200", "memory before", "peak", "after", "over after")
    for one in phases:
        answers = ", ".join(f"{status}: {number}" for status, number in sorted(one.answers.items()))
        memory = (f"{value:.0f} MiB" for value in (one.before, one.peak, one.after))
        row = (str(one.times), f"{one.rate:.0f}", answers, f"{one.p99:.2f} s", *memory, f"{one.recovery:.1f} s")
        table.add_row(*row)
    console.print(table)
    targets = [
        Target("recovery after the highest rate", max(one.recovery for one in phases), 10.0, "s"),
        Target("memory that the highest rate adds", phases[-1].peak - phases[0].peak, 64.0, "MiB"),
        Target("503 without Retry-After", sum(one.without_retry_after for one in phases), 0, ""),
        Target("requests without an answer", sum(one.unanswered for one in phases), 0, ""),
    ]
    if results:
        write(results, {"phases": [asdict(one) for one in phases]}, targets)
    return 0 if show_targets(console, targets) else 1

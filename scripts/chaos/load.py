"""Twice and ten times the normal rate: what is too much is refused at once, memory stays, and it is over when it ends.

Normal is half of what the backend answers in a second when eight clients ask without pause: so twice is all that it can
do, and ten times five times as much.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from scripts.addresses import PROJECT
from scripts.backend_process import BackendProcess
from scripts.bench.results import Target, show_targets, write
from scripts.chaos.sender import Sender
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


def prepare(address: str) -> list[str]:
    """One document and some sessions; the paths to which questions go."""
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
        file = {"file": ("README.md", (PROJECT / "README.md").read_bytes(), "text/markdown")}
        client.post("/api/v1/documents", files=file).raise_for_status()
        sessions = (client.post("/api/v1/chat/sessions").json()["session_id"] for _ in range(50))
        return [f"/api/v1/chat/sessions/{session}/messages" for session in sessions]


async def capacity(sender: Sender) -> float:
    """Requests a second with nobody pausing, in the best second: in the others, others may have had the machine."""
    begun, done = time.monotonic(), Counter[int]()

    async def client(number: int) -> None:
        while time.monotonic() - begun < CALIBRATION_SECONDS:
            answered = await sender.ask(number)  # first: `+=` would add to what the count was before the question
            done[int(time.monotonic() - begun)] += answered

    await asyncio.gather(*map(client, range(CLIENTS)))
    return float(max(done.values()))


async def recovery(sender: Sender, p99: float) -> float:
    """Seconds from now until five questions in a row are answered within twice the normal p99; 60 at most."""
    begun, in_a_row, end = time.monotonic(), 0, 0.0
    while in_a_row < 5 and time.monotonic() - begun < 60:
        asked, well = time.monotonic(), await sender.ask(0)
        end = time.monotonic()
        in_a_row = in_a_row + 1 if well and end - asked <= max(2 * p99, 0.25) else 0
    return end - begun


async def measure(backend: BackendProcess, seconds: float, say: Callable[[str], None]) -> list[Phase]:
    """All rates, one after the other."""
    paths, process, phases = prepare(backend.address), psutil.Process(backend.pid), list[Phase]()
    here = Sender(backend.address, paths)
    normal = await capacity(here) / 2
    peak = 0.0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, process.memory_info().rss / MIB)
            await asyncio.sleep(0.1)

    for times in TIMES:
        say(f"{times} times the normal rate, {normal * times:.0f}/s, for {seconds:g} s")
        peak = before = process.memory_info().rss / MIB
        watcher = asyncio.create_task(watch())
        command = [sys.executable, "-m", "scripts.chaos.sender", backend.address, str(normal * times), str(seconds)]
        sender = await asyncio.create_subprocess_exec(*command, cwd=PROJECT, stdin=PIPE, stdout=PIPE, limit=2**26)
        assert sender.stdin
        assert sender.stdout
        sender.stdin.write("\n".join(paths).encode())
        sender.stdin.close()
        await sender.stdout.readline()
        # What the first rate is answered like is not known before it is over.
        back = await recovery(here, phases[0].p99 if phases else 1.0)
        told = json.loads(await sender.stdout.readline())
        watcher.cancel()
        after, p99 = process.memory_info().rss / MIB, quantile(told["durations"], 0.99)
        rest = told["answers"], p99, before, peak, after, told["without_retry_after"], back
        phases.append(Phase(times, normal * times, *rest))
        await asyncio.sleep(2)
    return phases


def main(console: Console, folder: Path, results: Path | None) -> int:
    """SECONDS of each rate, 60 by default; writes `results`. 0 when every target is met."""
    with contextlib.ExitStack() as stack:
        backend = stack.enter_context(BackendProcess(folder))
        phases = asyncio.run(measure(backend, float(os.environ.get("SECONDS") or 60), console.print))
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

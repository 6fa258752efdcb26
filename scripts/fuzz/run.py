"""A whole run: rounds of requests, what is watched meanwhile, and the verdict.

Memory is compared between the half of the run and its end. The same uploads come round again and again, and a file that
comes again is the same document: what the embedded stores hold is complete before the half, so that whatever grows
after it is a leak.
"""

import itertools
import tempfile
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scripts.backend_process import BackendProcess
from scripts.broken_files import broken_files
from scripts.fuzz.senders import Malformed, Outcome, send_broken, send_strange

#: What the process may still grow by in the second half (bytes): what its allocator keeps for later.
SLACK_BYTES = 32 * 1024 * 1024
QUARTERS = 4
#: Lines of progress in a long run.
LONG_RUN, MORE_ROUNDS = 4_000, 10
#: Uploads that differ: about 7,000 passages, a third of what embedded Qdrant is good for.
DISTINCT_UPLOADS = 3_000
#: Shorter vectors and texts than usual, so that what is stored weighs less beside what may leak.
SETTINGS = {"AI_EMBEDDING_DIMENSIONS": "128", "MAX_TEXT_CHARS": "50000", "FAULTS_ENABLED": "false"}


@dataclass
class Watch:
    """The backend as it is seen from outside, in the course of the run."""

    client: httpx.Client
    process: psutil.Process
    memory: list[int] = field(default_factory=list)
    """Resident bytes of the process, after each quarter."""

    def series(self) -> set[tuple[str, ...]]:
        """Every series that it exposes: its name, and its labels with their values."""
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        return {
            (sample.name, *(f'{name}="{value}"' for name, value in sorted(sample.labels.items())))
            for family in families
            for sample in family.samples
        }

    def rest(self, seconds: float = 300) -> None:
        """Waits until every accepted upload is indexed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            counts = [
                self.client.get("/api/v1/indexing/jobs", params={"status": status, "limit": 1}).json()["jobs"]
                for status in ("queued", "running")
            ]
            if not any(counts):
                return
            time.sleep(0.2)
        raise TimeoutError(f"uploads still wait to be indexed after {seconds:g} s without a new one")


def fuzz(count: int, seed: int, console: Console) -> list[str]:
    """Has `count` requests answered, or a few more; returns what was wrong, in words."""
    with tempfile.TemporaryDirectory() as folder, BackendProcess(Path(folder), **SETTINGS) as backend:
        progress = Progress(
            TextColumn("requests"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
        )
        with httpx.Client(base_url=backend.address, timeout=60) as client, progress:
            task = progress.add_task("", total=count)
            outcome = Outcome(on_answer=lambda: progress.advance(task))
            watch = Watch(client, psutil.Process(backend.pid))
            known = watch.series()
            _rounds(count, seed, watch, Malformed(client), outcome, console)
            new = watch.series() - known
    console.print(f"{outcome.count:,} answers: {dict(sorted(outcome.statuses.items()))}", highlight=False)
    console.print(
        f"memory after each quarter: {', '.join(f'{one / 1e6:.0f}' for one in watch.memory)} MB", highlight=False
    )
    return verdict(outcome.failures, new, watch.memory)


def verdict(failures: list[str], new: set[tuple[str, ...]], memory: list[int]) -> list[str]:
    """What was wrong, in words; `memory` is what the process held after each quarter (bytes)."""
    wrong = failures[:20]
    if new:
        wrong.append(f"{len(new)} new series: {sorted(new)[:20]}")
    growth = memory[-1] - memory[QUARTERS // 2 - 1]
    if growth > SLACK_BYTES:
        wrong.append(f"memory grew by {growth / 1e6:.0f} MB in the second half; {SLACK_BYTES / 1e6:.0f} MB are allowed")
    return wrong


def _rounds(count: int, seed: int, watch: Watch, malformed: Malformed, outcome: Outcome, console: Console) -> None:
    """Sends everything: of each round half are uploads, a tenth strange, the rest made from the OpenAPI document."""
    rounds = MORE_ROUNDS if count >= LONG_RUN else 1
    each = max(10, count // (QUARTERS * rounds))
    begun = time.monotonic()
    distinct = min(DISTINCT_UPLOADS, rounds * (each // 2))
    files = (file for _ in itertools.count() for file in islice(broken_files(seed), distinct))
    for quarter in range(QUARTERS):
        for part in range(rounds):
            number = quarter * rounds + part
            malformed.send(each - each // 2 - each // 10, seed + number, outcome)
            send_strange(watch.client, each // 10, seed + number, outcome)
            send_broken(watch.client, islice(files, each // 2), outcome)
            console.print(
                f"{outcome.count:>7,} answers, {outcome.count / (time.monotonic() - begun):.0f}/s, "
                f"memory {watch.process.memory_info().rss / 1e6:.0f} MB, failures {len(outcome.failures)}",
                highlight=False,
            )
        watch.rest()
        watch.memory.append(watch.process.memory_info().rss)

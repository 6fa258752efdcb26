"""`make fuzz COUNT=100000`: malformed requests, made from the backend's own OpenAPI document, and broken uploads.

None may end in a 5xx (503 with Retry-After, which sheds load, aside), in a label value that was not there before, or
in a memory that grows. The backend is started for it, with its files in a temporary folder.
"""

import argparse
import contextlib
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import psutil
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.errors import Unsatisfiable
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.progress import Progress
from schemathesis import GenerationMode

from scripts.broken_files import broken_files

BACKEND = Path(__file__).resolve().parent.parent / "backend"
#: What a passage costs in memory, beyond which growth is a leak: 1,024 floats twice over, and its text (bytes).
BYTES_PER_CHUNK = 16_384
#: What a warm process may still grow by (bytes).
SLACK_BYTES = 64 * 1024 * 1024
#: Labels whose values are a service's own and may be new: a status is one of HTTP's, a bucket one of a histogram's.
OWN_LABELS = ("status", "le", "quantile")


@dataclass
class Outcome:
    """What came of it."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def take(self, answer: httpx.Response | Any, what: str) -> None:
        """Counts an answer, and keeps it when it is a failure."""
        self.statuses[answer.status_code] += 1
        shed = answer.status_code == 503 and any(name.lower() == "retry-after" for name in answer.headers)
        if answer.status_code >= 500 and not shed:
            identity = answer.headers.get("x-request-id")
            self.failures.append(f"{answer.status_code} for {what} (request id {identity})")

    @property
    def count(self) -> int:
        """How many requests were answered."""
        return sum(self.statuses.values())


@contextlib.contextmanager
def backend(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The backend with its files in a folder, and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "LOG_DIR": str(folder / "logs"),
        "SQLITE_PATH": str(folder / "specola.sqlite"),
        "QDRANT_PATH": str(folder / "qdrant"),
        "FAULTS_ENABLED": "false",
    }
    command = [sys.executable, "-m", "app.main"]
    process = subprocess.Popen(command, cwd=BACKEND, env={**os.environ, **own}, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(address + "/health/live").status_code == 200:
                    break
            time.sleep(0.1)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def label_values(address: str) -> set[tuple[str, str]]:
    """Every (label, value) in the exposition, those of `OWN_LABELS` aside."""
    families = text_string_to_metric_families(httpx.get(address + "/metrics", timeout=30).text)
    return {
        pair
        for family in families
        for sample in family.samples
        for pair in sample.labels.items()
        if pair[0] not in OWN_LABELS
    }


def send_malformed(address: str, count: int, outcome: Outcome, advance: Callable[[], None]) -> None:
    """About `count` requests, valid and not, to every operation of the OpenAPI document."""
    schema = schemathesis.openapi.from_url(address + "/openapi.json")
    operations: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    each = math.ceil(count / (2 * len(operations)))
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            with contextlib.suppress(Unsatisfiable):  # nothing can be wrong with no input
                _send_cases(operation, mode, each, address, outcome, advance)


def _send_cases(
    operation: Any, mode: GenerationMode, count: int, address: str, outcome: Outcome, advance: Callable[[], None]
) -> None:
    """Up to `count` requests to one operation, in keeping with its description or against it."""
    name = f"{operation.method.upper()} {operation.path}, {mode.value}"

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(mode))
    def send(case: Any) -> None:
        with contextlib.suppress(UnicodeError, ValueError):  # what no client could put on a wire
            outcome.take(case.call(base_url=address, timeout=30), name)
        advance()

    send()


def send_broken(address: str, count: int, seed: int, outcome: Outcome, advance: Callable[[], None]) -> None:
    """`count` broken uploads."""
    with httpx.Client(base_url=address, timeout=60) as client:
        for file in islice(broken_files(seed), count):
            part = (file.name, file.content, file.content_type) if file.content_type else (file.name, file.content)
            with contextlib.suppress(UnicodeError, ValueError):  # what no client could put on a wire
                outcome.take(client.post("/api/v1/documents", files={"file": part}), f"an upload: {file.why}")
            advance()


def chunks(address: str) -> int:
    """How many passages the accepted uploads have become, at most."""
    text = httpx.get(address + "/metrics", timeout=30).text
    wanted = ("indexing_jobs_total", {"status": "completed"})
    jobs: float = next(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if (sample.name, sample.labels) == wanted
    )
    newest = httpx.get(address + "/api/v1/indexing/jobs?status=completed&limit=200", timeout=30).json()["jobs"]
    mean: float = sum(job["chunks"] for job in newest) / max(1, len(newest))
    return math.ceil(jobs * mean)


def fuzz(count: int, seed: int, console: Console) -> list[str]:
    """Sends it all; returns what was wrong, in words."""
    outcome = Outcome()
    with (
        tempfile.TemporaryDirectory() as folder,
        backend(Path(folder)) as (address, process),
        Progress(console=console) as progress,
    ):
        task = progress.add_task("requests", total=count)

        def advance() -> None:
            progress.advance(task)

        warm_up = count // 5
        send_malformed(address, warm_up // 2, outcome, advance)
        send_broken(address, warm_up - warm_up // 2, seed, outcome, advance)
        values, memory, indexed = label_values(address), process.memory_info().rss, chunks(address)
        rest = count - warm_up
        send_malformed(address, rest // 2, outcome, advance)
        send_broken(address, rest - rest // 2, seed + 1, outcome, advance)
        new_values = label_values(address) - values
        growth = process.memory_info().rss - memory
        allowed = SLACK_BYTES + BYTES_PER_CHUNK * (chunks(address) - indexed)
    console.print(f"{outcome.count} answers: {dict(sorted(outcome.statuses.items()))}")
    console.print(f"memory after the warm-up: {memory / 1e6:.0f} MB, then {growth / 1e6:+.0f} MB")
    wrong = outcome.failures[:20]
    if new_values:
        wrong.append(f"new label values: {sorted(new_values)[:20]}")
    if growth > allowed:
        wrong.append(f"memory grew by {growth / 1e6:.0f} MB; {allowed / 1e6:.0f} MB are accounted for")
    return wrong


def main() -> int:
    """Runs it; 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=int(os.environ.get("COUNT", "100000")), help="requests to send")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "1")), help="of the broken uploads")
    options = parser.parse_args()
    console = Console()
    wrong = fuzz(options.count, options.seed, console)
    for line in wrong:
        console.print(f"[red]wrong[/red] {line}", highlight=False)
    console.print("nothing was wrong" if not wrong else "the backend's lines under a request id tell more")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

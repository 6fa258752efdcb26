"""The same variants under a real uvicorn and a real load generator: throughput, and p99 at equal load."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
from rich.console import Console
from rich.table import Table

from scripts.bench import PROJECT, Skipped, load
from scripts.bench.results import Target, show_targets, write
from scripts.bench.sink import Sink
from scripts.bench.variants import ALL_TRACED, BARE, ONE_IN_TEN, USUAL, VARIANTS

MEASURED = (BARE, ONE_IN_TEN, ALL_TRACED, USUAL)
FIRST_PORT = 27_000
ROUNDS = 3
#: The load at which latencies are compared, as a share of what the slowest variant can answer.
SHARE = 0.5
START_SECONDS = 20.0


@dataclass
class Run:
    """One variant's server and what was measured of it."""

    name: str
    url: str
    folder: Path
    throughput: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    requests: int = 0

    def lines(self) -> int:
        """How many lines there are in its files."""
        return sum(file.read_bytes().count(b"\n") for file in self.folder.glob("*.log") if not file.is_symlink())


@contextlib.contextmanager
def served(name: str, port: int, folder: Path, sink: str) -> Iterator[Run]:
    """A variant's server, in a process of its own. Raises load.LoadFailed when it does not answer."""
    folder.mkdir()
    command = [sys.executable, "-m", "scripts.bench.serve", name, str(port), str(folder), sink]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            run = Run(name, f"http://127.0.0.1:{port}/items/7", folder)
            _wait(run.url, process)
            yield run
        finally:
            process.terminate()
            process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=1, trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise load.LoadFailed(f"no server at {url}: its port may be in use")


def main(console: Console, results: Path, seconds: int = 4) -> bool:
    """Measures, prints, writes server.json. True when ours keeps up. Raises Skipped without a load generator."""
    if (absent := load.missing()) is not None:
        raise Skipped(absent)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="specola-bench-")))
        sink = stack.enter_context(Sink())
        with contextlib.ExitStack() as servers, console.status("") as status:
            runs = [
                servers.enter_context(served(name, FIRST_PORT + number, folder / name, sink.endpoint))
                for number, name in enumerate(MEASURED)
            ]
            for number in range(ROUNDS):
                for run in runs:
                    status.update(f"throughput, round {number + 1} of {ROUNDS}: {VARIANTS[run.name].title}")
                    rate, requests = load.throughput(run.url, seconds)
                    run.throughput.append(rate)
                    run.requests += requests
            rate = SHARE * min(median(run.throughput) for run in runs)
            for number in range(ROUNDS):
                for run in runs:
                    status.update(f"latency, round {number + 1} of {ROUNDS}: {VARIANTS[run.name].title}")
                    found = load.latency(run.url, rate, seconds)
                    run.p99.append(found.p99)
                    run.p50.append(found.p50)
                    run.requests += found.requests
        # The servers have ended, and with that have sent and written what they still held.
        spans = sink.take_server_spans()
        return _report(console, results, runs, rate, {name: len(names) for name, names in spans.items()})


def _report(console: Console, results: Path, runs: list[Run], rate: float, spans: dict[str, int]) -> bool:
    table = Table(
        title=f"Under uvicorn, {load.CONNECTIONS} connections; latencies at {rate:.0f} requests/s", title_justify="left"
    )
    for heading in ("variant", "requests/s", "p50", "p99", "lines kept", "spans kept"):
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    data = {}
    for run in runs:
        variant = VARIANTS[run.name]
        # A generator's last answers may be cut off after they were counted by one side alone.
        lines = min(run.lines() / run.requests, 1.0) if variant.lines else None
        kept = min(spans.get(run.name, 0) / (run.requests * variant.sampled), 1.0) if variant.sampled else None
        row = {
            "requests_per_second": round(median(run.throughput)),
            "p50_ms": round(median(run.p50) * 1e3, 2),
            "p99_ms": round(median(run.p99) * 1e3, 2),
            "lines_kept": lines,
            "spans_kept": kept,
        }
        data[run.name] = {"title": variant.title, **row}
        table.add_row(
            variant.title,
            f"{row['requests_per_second']:,}",
            f"{row['p50_ms']:.2f} ms",
            f"{row['p99_ms']:.2f} ms",
            "" if lines is None else f"{lines:.1%}",
            "" if kept is None else f"{kept:.1%}",
        )
    console.print(table)
    by_name = {run.name: run for run in runs}
    share = median(by_name[USUAL].throughput) / median(by_name[ALL_TRACED].throughput)
    slower = median(by_name[ALL_TRACED].p99) / median(by_name[USUAL].p99)
    targets = [
        Target("throughput of the usual three, as a share of ours with all traced", share, 1.0, ""),
        Target("p99 of ours with all traced, as a share of the usual three's", slower, 1.0, ""),
    ]
    write(results / "server.json", {"rate": round(rate), "variants": data}, targets)
    return show_targets(console, targets)

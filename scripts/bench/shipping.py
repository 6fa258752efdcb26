"""From the file to Loki: how many lines a second, how soon after it was written a line is found, and none lost.

`python -m scripts.bench.shipping`, or as a part of `make bench`. Real Loki and Promtail, with the project's own config
files, as processes of their own; the lines are access lines, written by the backend's own `LogFiles`.
"""

import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
from rich.console import Console

from app.core.log_writer import LogFiles
from scripts.bench import RESULTS, Skipped
from scripts.bench.results import Target, show_targets, write
from scripts.local.apart import Apart, NotHere

#: Lines that are written at once and have to arrive, and those before that are not timed.
LINES, WARM_LINES = 250_000, 20_000
#: Then, how soon a line is found: lines a second for some seconds, of which so many a second are looked for.
STEADY_RATE, STEADY_SECONDS, PROBES_PER_SECOND = 1000, 15, 20
#: Bytes of a file before the next begins: small enough that files are rotated in both parts.
MAX_BYTES = 4_000_000
#: Seconds after which lines that have not arrived count as lost.
PATIENCE = 60.0
SECOND = 1_000_000_000


class Lost(Exception):
    """Lines did not arrive, or more than were written; the message says how many."""


@dataclass(frozen=True, slots=True)
class Shipping:
    """What was measured. Times in seconds; processor time in microseconds a line; memory in MiB at its highest."""

    lines: int
    lost: int
    line_bytes: int
    rate: float
    found_p50: float
    found_p99: float
    loki_ready: float
    processor_us: dict[str, float]
    memory_mib: dict[str, float]

    def targets(self) -> list[Target]:
        """The figures beside what DESIGN.md allows; a rate as the time that a line may take."""
        return [
            Target("a line from file to Loki (40 µs: 25,000 a second)", 1e6 / self.rate, 40.0, "µs"),
            Target("lines lost", self.lost, 0, ""),
            Target("written to found, p99", self.found_p99, 2.0, "s"),
            Target("written to found, median", self.found_p50, None, "s"),
            Target("Loki ready after its start", self.loki_ready, 3.0, "s"),
            *(Target(f"processor time a line, {name}", us, None, "µs") for name, us in self.processor_us.items()),
            *(Target(f"memory, {name}", mib, None, "MiB") for name, mib in self.memory_mib.items()),
        ]


class Bench:
    """Loki and Promtail, and a folder that is written to."""

    def __init__(self, services: Apart) -> None:
        self._services, self._client = services, httpx.Client(timeout=30, trust_env=False)
        self._files = LogFiles(services.folders.logs, "application.log", MAX_BYTES, keep=1000)
        self._number = 0
        self.written = 0

    def close(self) -> None:
        """Ends what this object holds open."""
        self._files.close()
        self._client.close()

    def make(self, lines: int, logger: str = "access") -> bytes:
        """Lines of now, to be written."""
        return b"".join(self._line(logger) for _ in range(lines))

    def write(self, data: bytes) -> None:
        """Writes lines as the backend's log does."""
        self._files.write(data)
        self.written += data.count(b"\n")

    def _line(self, logger: str) -> bytes:
        self._number += 1
        line = {
            "timestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": "info",
            "logger": logger,
            "event": "request",
            "service": "bench",
            "version": "0.1.0",
            "environment": "bench",
            "request_id": f"{self._number:032x}",
            "trace_id": f"{self._number:032x}",
            "span_id": f"{self._number:016x}",
            "user_id": f"{self._number % 1000:016x}",
            "method": "POST",
            "endpoint": "/api/v1/chat/sessions/{session_id}/messages",
            "status": 200,
            "duration_seconds": 0.012345,
            "bytes": 1234,
        }
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    def sent(self) -> int:
        """Lines that Promtail had confirmed by Loki."""
        answer = self._client.get(f"{self._services.url('promtail')}/metrics")
        counts = (line.split()[-1] for line in answer.text.splitlines() if line.startswith("promtail_sent_entries_tot"))
        return int(sum(map(float, counts)))

    def counted(self) -> int:
        """Lines that Loki finds."""
        query = {"query": 'sum(count_over_time({service="bench"}[1h]))', "time": str(time.time() + 1)}
        result = self._query("query", query)
        return int(result[0]["value"][1]) if result else 0

    def probes(self, since: int) -> list[int]:
        """When the probes that Loki finds now were written, of those after `since` (ns since 1970)."""
        query = {"query": '{service="bench", logger="probe"}', "start": str(since + 1), "direction": "forward"}
        result = self._query("query_range", {**query, "end": str(time.time_ns()), "limit": "1000"})
        return sorted(int(value[0]) for stream in result for value in stream["values"])

    def _query(self, path: str, parameters: dict[str, str]) -> Any:
        answer = self._client.get(f"{self._services.url('loki')}/loki/api/v1/{path}", params=parameters)
        answer.raise_for_status()
        return answer.json()["data"]["result"]

    def arrived(self) -> float:
        """Waits until Loki finds all that was written; the seconds waited. Raises Lost."""
        beginning = time.monotonic()
        while self.sent() < self.written and time.monotonic() - beginning < PATIENCE:
            time.sleep(0.1)
        while (found := self.counted()) != self.written:
            if time.monotonic() - beginning > PATIENCE:
                raise Lost(f"{self.written} lines were written, and Loki finds {found} after {PATIENCE:g} s")
            time.sleep(0.1)
        return time.monotonic() - beginning


def measure(console: Console, services: Apart) -> Shipping:
    """Runs both parts. Raises Lost, or NotHere where a program does not start."""
    status = console.status("starting Loki and Promtail") if console.is_terminal else nullcontext()
    bench = Bench(services)
    with status:
        ready = services.start("loki")
        services.launch("promtail")
        processes = {name: psutil.Process(services.pid(name)) for name in ("promtail", "loki")}
        bench.write(bench.make(WARM_LINES))
        services.ready("promtail")  # which it is once it has found a file
        bench.arrived()
        console.print(f"{LINES:,} lines at once, in files of {MAX_BYTES // 1_000_000} MB")
        batches = [bench.make(1000) for _ in range(LINES // 1000)]  # making them is not shipping them
        before, beginning = {name: _seconds(process) for name, process in processes.items()}, time.monotonic()
        for batch in batches:
            bench.write(batch)
        bench.arrived()
        elapsed = time.monotonic() - beginning
        spent = {name: (_seconds(process) - before[name]) / LINES * 1e6 for name, process in processes.items()}
        memory = {name: process.memory_info().rss / 2**20 for name, process in processes.items()}
        console.print(f"arrived after {elapsed:.1f} s; then {STEADY_RATE} a second for {STEADY_SECONDS} s")
        delays = found_after(bench)
        bench.arrived()
    bench.close()
    rank = sorted(delays)
    return Shipping(
        lines=bench.written,
        lost=0,  # else Lost was raised
        line_bytes=len(batches[0]) // 1000,
        rate=LINES / elapsed,
        found_p50=rank[len(rank) // 2],
        found_p99=rank[int(len(rank) * 0.99)],
        loki_ready=ready,
        processor_us=spent,
        memory_mib=memory,
    )


def found_after(bench: Bench) -> list[float]:
    """Seconds from the time in each probe's line until a query finds it. Raises Lost."""
    steps = STEADY_SECONDS * PROBES_PER_SECOND

    def writing() -> None:
        beginning = time.monotonic()
        for step in range(steps):
            time.sleep(max(0.0, beginning + step / PROBES_PER_SECOND - time.monotonic()))
            bench.write(bench.make(STEADY_RATE // PROBES_PER_SECOND - 1) + bench.make(1, "probe"))

    writer = threading.Thread(target=writing, name="bench-writer")
    last, delays = time.time_ns() - SECOND, list[float]()
    writer.start()
    deadline = time.monotonic() + STEADY_SECONDS + PATIENCE
    while len(delays) < steps and time.monotonic() < deadline:
        found, now = bench.probes(last), time.time_ns()
        delays += [(now - written) / SECOND for written in found]
        last = max([last, *found])
        time.sleep(0.02)
    writer.join()
    if len(delays) < steps:
        raise Lost(f"{steps - len(delays)} of {steps} lines were not found within {PATIENCE:g} s")
    return delays


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main(console: Console, results: Path) -> bool:
    """Measures, prints the table and writes `shipping.json`. True when every target is met. Raises Skipped."""
    with tempfile.TemporaryDirectory(prefix="specola-shipping-") as folder:
        try:
            with Apart(Path(folder), ["loki", "promtail"]) as services:
                shipping = measure(console, services)
        except NotHere as missing:
            raise Skipped(str(missing)) from missing
        except Lost as lost:
            console.print(f"[red]{lost}[/]")
            return False
    targets = shipping.targets()
    console.print(
        f"{shipping.rate:,.0f} lines a second of {shipping.line_bytes} bytes, none of {shipping.lines:,} lost"
    )
    met = show_targets(console, targets)
    write(results / "shipping.json", asdict(shipping), targets)
    return met


if __name__ == "__main__":
    try:
        sys.exit(0 if main(Console(), RESULTS) else 1)
    except Skipped as reason:
        sys.exit(f"skipped: {reason}")

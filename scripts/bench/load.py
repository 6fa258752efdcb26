"""The load generators: wrk for throughput, hey for latency at a given rate. Both are programs of their own."""

import csv
import io
import re
import shutil
import subprocess
from dataclasses import dataclass
from statistics import quantiles

#: Connections at once. More would measure the queue, not the application.
CONNECTIONS = 16


class LoadFailed(Exception):
    """A load generator did not do what was asked of it, or the server did not answer it."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Of the requests of one run: how many, at what rate they were really sent (1/s), and their p50 and p99 (s)."""

    requests: int
    rate: float
    p50: float
    p99: float


def missing() -> str | None:
    """What is needed and not here, with the way to get it; None when all is."""
    absent = [name for name in ("wrk", "hey") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not found: apt-get install {' '.join(absent)}" if absent else None


def throughput(url: str, seconds: int) -> tuple[float, int]:
    """As many requests as it answers: how many a second, and how many in all. Raises LoadFailed."""
    text = _run("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url)
    return read_wrk(text)


def read_wrk(text: str) -> tuple[float, int]:
    """The rate and the number of requests in wrk's summary. Raises LoadFailed."""
    rate, requests = re.search(r"Requests/sec:\s+([\d.]+)", text), re.search(r"(\d+) requests in", text)
    if rate is None or requests is None or "Non-2xx" in text or "Socket errors" in text:
        raise LoadFailed(f"wrk saw errors:\n{text}")
    return float(rate[1]), int(requests[1])


def latency(url: str, rate: float, seconds: int) -> Latency:
    """Requests at this rate, evenly. Raises LoadFailed when the rate could not be kept, or an answer was not a 200."""
    each = f"{rate / CONNECTIONS:.3f}"
    found = read_hey(_run("hey", "-z", f"{seconds}s", "-c", str(CONNECTIONS), "-q", each, "-o", "csv", url), seconds)
    if found.rate < 0.9 * rate:
        raise LoadFailed(f"{url}: {found.rate:.0f} requests a second were sent where {rate:.0f} were wanted")
    return found


def read_hey(text: str, seconds: float) -> Latency:
    """What hey's table says. Raises LoadFailed."""
    rows = list(csv.DictReader(io.StringIO(text)))
    bad = sum(row["status-code"] != "200" for row in rows)
    if bad or len(rows) < 100:
        raise LoadFailed(f"hey sent {len(rows)} requests, {bad} were not answered with 200")
    times = quantiles((float(row["response-time"]) for row in rows), n=100)
    return Latency(len(rows), len(rows) / seconds, times[49], times[98])


def _run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if ended.returncode:
        raise LoadFailed(f"{command[0]} ended with {ended.returncode}: {ended.stderr[-500:]}")
    return ended.stdout

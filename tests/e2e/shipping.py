"""What the tests of the way from the file to the stores share: real programs, lines written, lines read back."""

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from scripts.local.apart import PROJECT, Apart, NotHere

SECOND = 1_000_000_000
#: What Loki returns at most to one query.
LIMIT = 5000


class Line(NamedTuple):
    """One line as Loki has it. `labels` are the stream's, `metadata` the line's own."""

    labels: frozenset[tuple[str, str]]
    timestamp: int
    text: str
    metadata: frozenset[tuple[str, str]] = frozenset()


@contextlib.contextmanager
def running(place: Path, *names: str, settings: Mapping[str, str] | None = None) -> Iterator[Apart]:
    """The named services, not yet started; skips by name where a program is missing."""
    try:
        services = Apart(place, names, settings)
    except NotHere as missing:
        pytest.skip(str(missing))
    with services:
        yield services


def until(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Waits until a condition returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx.TransportError):  # it is starting
            if value := condition():
                return value
        assert time.monotonic() < deadline, f"did not happen within {seconds:g} s: {what}"
        time.sleep(0.1)


@dataclass
class Loki:
    """Asks a Loki."""

    url: str

    def get(self, path: str, headers: Mapping[str, str] | None = None, **params: Any) -> Any:
        answer = httpx.get(f"{self.url}/loki/api/v1/{path}", params=params, headers=headers, timeout=30)
        assert answer.is_success, f"{answer.request.url}: {answer.text}"
        return answer.json()["data"]

    def count(self, selector: str) -> int:
        """How many lines a metric query counts over the last hour."""
        result = self.get("query", query=f"sum(count_over_time({selector}[1h]))", time=time.time() + 1)["result"]
        return int(result[0]["value"][1]) if result else 0

    def lines(self, selector: str, start: int, end: int) -> list[Line]:
        """Every line of a time range (ns), however many there are: labels and metadata apart."""
        data = self.get(
            "query_range",
            {"X-Loki-Response-Encoding-Flags": "categorize-labels"},
            query=selector, start=start, end=end, limit=LIMIT, direction="forward",
        )  # fmt: skip
        found = [
            Line(_pairs(stream["stream"]), int(at), text, _pairs(more.get("structuredMetadata", {})))
            for stream in data["result"]
            for at, text, more in stream["values"]
        ]
        if len(found) < LIMIT:
            return found
        parts = 8
        edges = [start + (end - start) * part // parts for part in range(parts + 1)]
        return [line for one, next_ in pairwise(edges) for line in self.lines(selector, one, next_)]


def _pairs(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


class Writing:
    """A process that writes numbered lines into a folder, a few thousand in a second."""

    def __init__(self, folder: Path, rate: int, seconds: float) -> None:
        self._folder, self.start = folder, time.time_ns() - SECOND
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.shipping_writer", str(folder), str(rate), str(seconds)],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.DEVNULL,
        )

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def ended(self) -> Counter[str]:
        """Waits for its end; the lines that reached its files."""
        assert self._process.wait(90) == 0
        return Counter(line for path in self._folder.rglob("*.*.log") for line in path.read_text().splitlines())

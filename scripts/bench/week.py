"""A week of the stack's series in a Prometheus: what a backend exposes, by so many replicas, and what rules record.

A sample a minute, on waves of a day, written by promtool into blocks. Recorded series have the label sets to which
their rules come on that very data.
"""

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.progress import track

from monitoring import exposition, rules
from monitoring.dashboards.exposition import FROM_PROMETHEUS
from monitoring.dashboards.promql import Use, parse, uses
from scripts.backend_process import BackendProcess
from scripts.bench import Skipped
from scripts.bench.containers import run
from scripts.bench.usage import StackFailed, until_ready
from scripts.local.lookup import look
from scripts.local.ports import free_port

STEP = 60
#: Hours of a block, and of the text that it is made from: a few hundred megabytes of it at a time.
BLOCK_HOURS = 6
#: Traffic from which label sets and the pace of every counter are taken (requests a second, seconds).
RATE, SECONDS = 20, 15


@dataclass(frozen=True)
class Series:
    """A counter gains `value` a minute, a gauge stays around it. With `replica` there is one for each replica."""

    name: str
    labels: Mapping[str, str]
    value: float
    counter: bool = False
    replica: bool = False


def exposed(folder: Path) -> list[Series]:
    """What a backend exposes after traffic."""
    with BackendProcess(folder) as backend:
        arguments = ["--rate", str(RATE), "--seconds", str(SECONDS), "--url", backend.address]
        run([sys.executable, "-m", "scripts.traffic", *arguments], backend.environment)
        families = list(text_string_to_metric_families(httpx.get(f"{backend.address}/metrics", trust_env=False).text))
    found = []
    for family in families:
        counter = family.type in ("counter", "histogram", "summary")
        pace = 60 / SECONDS if counter else 1
        labels = {"job": "backend"}
        found += [Series(s.name, {**s.labels, **labels}, s.value * pace, counter, True) for s in family.samples]
    return [*found, Series("up", {"job": "backend"}, 1, replica=True)]


def of_others(asked: Iterable[Use], here: Iterable[Series]) -> list[Series]:
    """One series of each of the other parts' metrics that is asked for, with such labels as are asked for."""
    known = {(one.name, one.labels["job"]) for one in here}
    found: dict[tuple[str, str], Series] = {}
    for use in asked:
        matched = {matcher.name: _fitting(matcher.value) for matcher in use.matchers}
        for job in sorted(file.stem for file in exposition.FOLDER.glob("*.txt")):
            series = {**exposition.recorded(job), **FROM_PROMETHEUS}.get(use.metric)
            if series and (use.metric, job) not in known and use.metric != "ALERTS":
                labels = {**dict.fromkeys(series.labels, "any"), **matched, "job": job, "instance": f"{job}:80"}
                kept = {name: value for name, value in labels.items() if name in series.labels}
                found[use.metric, job] = Series(use.metric, kept, 10, series.kind not in ("gauge", "info"))
    return list(found.values())


def _fitting(pattern: str) -> str:
    """Something that a matcher's value, be it a pattern or not, finds."""
    return re.sub(r"\.[*+]", "any", pattern.split("|")[0].strip("(")).replace("\\", "").replace("..", "00")


def recording(expressions: Iterable[str]) -> list[list[rules.Rule]]:
    """The rules whose series are asked for, each in a later list than those that it is made from."""
    made: dict[str, list[rules.Rule]] = {}
    for rule in rules.read():
        if rule.record:
            made.setdefault(rule.name, []).append(rule)
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in depths:
            depths[name] = 0  # one that reads itself stands on nothing else
            read = {use.metric for rule in made[name] for use in uses(parse(rule.expr))}
            depths[name] = 1 + max((depth(one) for one in read if one in made), default=0)
        return depths[name]

    for name in {use.metric for expression in expressions for use in uses(parse(expression))} & made.keys():
        depth(name)
    return [
        [rule for name in depths if depths[name] == level for rule in made[name]]
        for level in sorted({*depths.values()})
    ]


def load(
    folder: Path, series: list[Series], replicas: int, end: int, days: float, console: Console | None = None
) -> None:
    """Has promtool write blocks that end at a moment (Unix seconds). Raises StackFailed and Skipped."""
    program = needed("promtool")
    minutes = int(days * 1440)
    wave = [1 + 0.8 * math.sin(minute / 1440 * math.tau) for minute in range(minutes)]
    total = list(accumulate(wave))
    per_block = BLOCK_HOURS * 60

    def block(first: int) -> None:
        text = folder.with_name(f"{folder.name}-{first}.txt")
        span = range(first, min(first + per_block, minutes))
        times = [f" {end - (minutes - minute) * STEP}" for minute in span]
        with text.open("wb") as file:
            for one in series:
                course = (
                    [total[minute] for minute in span] if one.counter else [wave[minute] / 2 + 0.5 for minute in span]
                )
                digits = 0 if one.counter and one.value == int(one.value) else 6
                points = [
                    f"{one.value * at:.{digits}f}{when}\n".encode() for at, when in zip(course, times, strict=True)
                ]
                for replica in range(replicas if one.replica else 1):
                    instance = {"instance": f"10.0.0.{replica}:8000"} if one.replica else {}
                    prefix = _selector(one.name, {**one.labels, **instance})
                    file.write(prefix + prefix.join(points))
            file.write(b"# EOF\n")
        run([program, "tsdb", "create-blocks-from", "openmetrics", f"--max-block-duration={BLOCK_HOURS}h", "-q",
             str(text), str(folder)], {})  # fmt: skip
        text.unlink()

    firsts = range(0, minutes, per_block)
    with ThreadPoolExecutor(2) as workers:
        written = workers.map(block, firsts)
        list(track(written, folder.name, len(firsts), console=console) if console else written)


def settle(folder: Path, console: Console) -> None:
    """Lets Prometheus join blocks of the same hours, which it else does while it is asked. Raises StackFailed."""
    deadline = time.monotonic() + 900
    with console.status(f"{folder.name}: blocks of the same hours are joined"), prometheus(folder, joins=True):
        while apart(folder):
            if time.monotonic() > deadline:
                raise StackFailed(f"Prometheus has not joined the blocks of {folder} within 15 minutes")
            time.sleep(1)


def apart(folder: Path) -> bool:
    """Whether there are blocks of the same hours."""
    try:
        begins = [json.loads(meta.read_text())["minTime"] for meta in folder.glob("*/meta.json")]
    except FileNotFoundError:
        return True  # one of them was joined just now
    return len(begins) > len({*begins})


def _selector(name: str, labels: Mapping[str, str]) -> bytes:
    quoted = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{quoted}}} ".encode()


def load_records(folder: Path, expressions: Iterable[str], end: int, days: float) -> None:
    """Adds the series that rules record, with the label sets and values to which their rules come."""
    for level in recording(expressions):
        with prometheus(folder) as address:
            made = [one for rule in level for one in _made(rule, address, end)]
        load(folder, made, 1, end, days)


def _made(rule: rules.Rule, address: str, end: int) -> list[Series]:
    # With a sample a minute nothing grows within a minute.
    expression = re.sub(r"\[(\d+s|1m)\]", "[5m]", rule.expr)
    found = ask(httpx.Client(base_url=address, timeout=60), "query", query=expression, time=end - STEP)["result"]
    values = [({**one["metric"], **rule.labels}, float(one["value"][1])) for one in found] or [(dict(rule.labels), 1.0)]
    return [
        Series(rule.name, {k: v for k, v in labels.items() if k != "__name__"}, value if math.isfinite(value) else 1.0)
        for labels, value in values
    ]


def ask(client: httpx.Client, kind: str, **parameters: Any) -> Any:
    """The `data` of an answer."""
    answer = client.get(f"/api/v1/{kind}", params=parameters)
    if answer.is_error:
        raise ValueError(f"Prometheus answers {answer.status_code}: {answer.text[:300]}")
    return answer.json()["data"]


class Address(str):
    """Where a program answers, and its process."""

    pid: int

    def processor_time(self) -> float:
        """Seconds that all its threads have taken so far, to the nanosecond; 0 where the system does not say."""
        total = 0
        for thread in Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                total += int(thread.read_text().split()[0])
        return total / 1e9


@contextmanager
def prometheus(folder: Path, *, joins: bool = False) -> Iterator[Address]:
    """A Prometheus over these blocks, which scrapes nothing and, unless it joins them, leaves them; its address."""
    port = free_port()
    config = folder.with_name("empty.yml")
    config.write_text("{}\n")
    whole = f"{BLOCK_HOURS}h"
    arguments = [f"--config.file={config}", f"--storage.tsdb.path={folder}", f"--web.listen-address=127.0.0.1:{port}",
                 f"--storage.tsdb.min-block-duration={whole}", f"--storage.tsdb.max-block-duration={whole}",
                 f"--{'' if joins else 'no-'}storage.tsdb.allow-overlapping-compaction",
                 "--storage.tsdb.retention.time=60d", "--log.level=error"]  # fmt: skip
    process = subprocess.Popen([needed("prometheus"), *arguments], stderr=subprocess.DEVNULL)
    try:
        until_ready(f"http://127.0.0.1:{port}/-/ready", 60)
        address = Address(f"http://127.0.0.1:{port}")
        address.pid = process.pid
        yield address
    finally:
        process.terminate()
        process.wait()


def needed(name: str) -> str:
    """A program's path. Raises Skipped."""
    if path := look(name):
        return path
    raise Skipped(f"{name} is not here: put it on PATH or into .tools/, or name its folder in TOOLS_PATH")


def now() -> int:
    """The end of the newest whole block."""
    whole = BLOCK_HOURS * 3600
    return int(time.time()) // whole * whole

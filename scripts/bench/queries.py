"""What a look costs: every query of every panel over a week of ten replicas.

What is recorded is timed beside one replica too, and beside what it would cost without the record.
"""

import math
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from monitoring import rules
from monitoring.dashboards.promql import parse, uses
from scripts.bench import week
from scripts.bench.records import before
from scripts.bench.results import Target, show_targets, write
from scripts.report import board as boards

REPLICAS, DAYS = 10, 7
#: How often each is asked; what is slow for want of a record less often.
RUNS, RUNS_UNRECORDED = 20, 6
#: Seconds: the most that a query may take at its 95th percentile; which of a few runs is the slowest.
LONGEST = 0.5
#: Time of recorded panels with ten replicas over that with one; below so many seconds a panel is all overhead.
GROWTH, SHORTEST = 1.2, 0.02
#: Columns for the same without a record.
OF_COUNTERS = ("unrecorded p95", "processor ", "samples ")
#: The rules of panels, of which it is said what they cost; and a window that holds as many samples as theirs do.
RULES, REAL_WINDOW = "panels.yml", "[12m]"


@dataclass
class Look:
    """A panel's query over a window (seconds): how long it took each time, what it read and gave.

    `runs` are seconds by the clock, `processor` those of processor time, which other work hardly moves.

    `before` is the same of the counters themselves, where it asks for what is recorded of them.
    """

    board: str
    panel: str
    ref: str
    query: str
    parameters: dict[str, Any]
    window: float
    runs: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    samples: int = 0
    series: int = 0
    before: "Look | None" = None

    @property
    def recorded(self) -> bool:
        """Whether it asks for nothing but what rules record."""
        return all(":" in use.metric for use in uses(parse(self.query)))

    @property
    def p95(self) -> float:
        """The time that nineteen of twenty took at most; of a few, the slowest."""
        return sorted(self.runs)[math.ceil(0.95 * len(self.runs)) - 1]

    def take(self, client: httpx.Client, address: week.Address) -> None:
        """Asks once and remembers how long that took."""
        taken, begun = address.processor_time(), time.perf_counter()
        kind = "query_range" if "step" in self.parameters else "query"
        data = week.ask(client, kind, query=self.query, stats="all", **self.parameters)
        self.runs.append(time.perf_counter() - begun)
        self.processor.append(address.processor_time() - taken)
        self.samples, self.series = data["stats"]["samples"]["totalQueryableSamples"], len(data["result"])


def looks(end: int) -> Iterator[Look]:
    """Every query to Prometheus at its page's own range, and at seven days."""
    for board in boards.boards():
        chosen = boards.choices(board, lambda _: [".*"])
        for seconds in sorted({board.own, DAYS * 86_400.0}):
            window = boards.Window(end - seconds, end, ZoneInfo("UTC"))
            for panel in board.panels:
                values = {**chosen, **boards.windows(panel, window, week.STEP)}
                step = boards.step(panel, window, week.STEP)
                ranged = {"start": window.start // step * step, "end": end // step * step, "step": step}
                for target in panel.get("targets", []):
                    if target["datasource"]["uid"] != "prometheus":
                        continue
                    at: dict[str, Any] = {"time": end} if target.get("instant") else ranged
                    now, once = (boards.fill(query, values) for query in (target["expr"], before(target["expr"])))
                    look = Look(board.title, panel["title"], target["refId"], now, at, seconds)
                    if once != now:
                        look.before = Look(look.board, look.panel, look.ref, once, at, seconds)
                    yield look


@dataclass
class Found:
    """Looks over ten replicas and, of what is recorded, over one; series in all; what the rules of panels cost."""

    many: list[Look]
    one: list[Look]
    series: int
    rule_seconds: float = 0.0
    rule_series: int = 0

    @property
    def pairs(self) -> list[tuple[Look, Look]]:
        """What is recorded, over ten replicas and over one."""
        return [pair for pair in zip(self.many, self.one, strict=True) if pair[1].runs]


def fill(console: Console, folder: Path, days: float = DAYS) -> Found:
    """Fills the stores `one` and `ten` in a folder, for `ask` to be called with at once. Raises Skipped."""
    end = week.now()
    found = Found(list(looks(end - week.STEP)), list(looks(end - week.STEP)), 0)
    asked = [query for look in found.many for query in (look.query, look.before.query if look.before else look.query)]
    console.print("a backend after traffic")
    (folder / "backend").mkdir()
    series = week.exposed(folder / "backend")
    needed = [*asked, *(rule.expr for level in week.recording(asked) for rule in level)]
    used = [use for query in needed for use in uses(parse(query))]
    others, names = week.of_others(used, series), {use.metric for use in used}
    asked_for = [one for one in series if one.name in names]
    for replicas, store in ((1, folder / "one"), (REPLICAS, folder / "ten")):
        count = len(series) * replicas + len(others)
        samples = (len(asked_for) * replicas + len(others)) * days * 1440
        console.print(f"{days} days of {replicas} replicas: {count:,} series, {samples:,.0f} samples")
        week.load(store, [*asked_for, *others], replicas, end, days, console)
        # What nobody asks for costs a query nothing but its place in the index.
        week.load(store, [one for one in series if one.name not in names], replicas, end, week.BLOCK_HOURS / 24)
        week.load_records(store, asked, end, days)
        week.settle(store, console)
    found.series = len(series) * REPLICAS + len(others)
    return found


def ask(console: Console, folder: Path, found: Found) -> None:
    """Times every look, in turn with what it is compared with: whatever else the machine does falls on all alike."""
    with week.prometheus(folder / "ten") as ten, week.prometheus(folder / "one") as alone:
        clients = [httpx.Client(base_url=address, timeout=120, trust_env=False) for address in (ten, alone)]
        for large, small in track(list(zip(found.many, found.one, strict=True)), "queries", console=console):
            for number in range(RUNS):
                large.take(clients[0], ten)
                if large.recorded:
                    small.take(clients[1], alone)
                if large.before and number < RUNS_UNRECORDED:
                    large.before.take(clients[0], ten)
        end = found.many[0].parameters.get("time") or found.many[0].parameters["end"]
        for rule in rules.read():
            if rule.file == RULES:
                times = [Look("", rule.name, "", rule.expr.replace("[1m]", REAL_WINDOW), {"time": end}, 0)] * RUNS
                for look in times:
                    look.take(clients[0], ten)
                found.rule_seconds += median(times[0].processor)
                found.rule_series += times[0].series


def show(console: Console, found: list[Look], rows: int = 25) -> None:
    """The slowest, now or before there were records."""
    table = Table(title=f"The slowest of {len(found)} looks", title_justify="left")
    for heading in ("dashboard", "panel", "query", "window", "p95", "processor", "samples", *OF_COUNTERS):
        table.add_column(heading, justify="left" if heading in ("dashboard", "panel", "query") else "right")
    for look in sorted(found, key=lambda look: -max(look.p95, look.before.p95 if look.before else 0))[:rows]:
        told = [
            text
            for one in (look, look.before)
            if one
            for text in (f"{one.p95 * 1000:.0f} ms", f"{median(one.processor) * 1000:.0f} ms", f"{one.samples:,}")
        ]
        table.add_row(look.board, look.panel, look.ref, f"{look.window / 3600:g} h", *told)
    console.print(table)


def growth(*pairs: tuple[Look, Look]) -> float:
    """Processor time with ten replicas over that with one, of the cheapest runs: what is above it is no query's."""
    large, small = (sum(min(pair[number].processor) for pair in pairs) for number in (0, 1))
    return max(large, SHORTEST) / max(small, SHORTEST)


def by_panel(pairs: Iterable[tuple[Look, Look]]) -> list[list[tuple[Look, Look]]]:
    """The looks of each panel over each window."""
    found: dict[tuple[str, str, float], list[tuple[Look, Look]]] = {}
    for pair in pairs:
        found.setdefault((pair[0].board, pair[0].panel, pair[0].window), []).append(pair)
    return list(found.values())


def targets(found: Found) -> list[Target]:
    """What is promised."""
    week_long = [look for look in found.many if look.window == DAYS * 86_400]
    own = [look for look in found.many if look not in week_long]
    together = growth(*found.pairs)
    processor = max(median(look.processor) for look in found.many) * 1000
    slow = sum(look.p95 > LONGEST for look in found.many)
    once = sum((look.before or look).p95 > LONGEST for look in found.many)
    longest = LONGEST * 1000
    return [
        Target("a panel's query at its own range, p95 of the slowest", max(o.p95 for o in own) * 1000, longest, "ms"),
        Target(
            "a panel's query at seven days, p95 of the slowest", max(o.p95 for o in week_long) * 1000, longest, "ms"
        ),
        Target("processor time of the slowest", processor, longest, "ms"),
        Target("recorded panels: processor time with ten replicas over that with one", together, GROWTH, ""),
        Target(
            "the same of the one that grows most", max(growth(*panel) for panel in by_panel(found.pairs)), GROWTH, ""
        ),
        Target("queries slower than that", slow, None, f"of {len(found.many)}"),
        Target("queries slower than that without records", once, None, f"of {len(found.many)}"),
        Target("processor time of the panels' rules, every 30 s", found.rule_seconds * 1000, None, "ms"),
        Target("series that they record, ten replicas", found.rule_series, None, f"beside {found.series}"),
    ]


def row(look: Look, small: Look) -> dict[str, Any]:
    """A look in the file."""
    plain: dict[str, Any] = {
        "dashboard": look.board, "panel": look.panel, "query": look.ref, "window_hours": look.window / 3600,
        **_measured(look), "recorded": look.recorded,
    }  # fmt: skip
    if look.before:
        plain["without_record"] = _measured(look.before)
    if small.runs:
        plain["one_replica"] = _measured(small)
        plain["growth"] = round(growth((look, small)), 2)
    return plain


def _measured(look: Look) -> dict[str, Any]:
    times = {"p50_ms": round(median(look.runs) * 1000, 1), "p95_ms": round(look.p95 * 1000, 1)}
    times["processor_ms"] = round(median(look.processor) * 1000, 1)
    return {**times, "samples": look.samples, "series": look.series}


def main(console: Console, results: Path) -> bool:
    """Measures, prints the table and writes `queries.json`. True when every target is met. Raises Skipped."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="specola-queries-") as folder:
        found = fill(console, Path(folder))
        ask(console, Path(folder), found)
    show(console, found.many)
    rows = [row(large, small) for large, small in zip(found.many, found.one, strict=True)]
    promised = targets(found)
    plain = {"days": DAYS, "replicas": REPLICAS, "series": found.series, "load_before": load}
    plain["load_after"] = os.getloadavg()[0]
    write(results / "queries.json", {**plain, "looks": rows}, promised)
    return show_targets(console, promised)

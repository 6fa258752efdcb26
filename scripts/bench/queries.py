"""What a look costs: every query of every panel over a week of ten replicas; what is recorded beside one replica."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from rich.table import Table

from monitoring.dashboards.promql import parse, uses
from scripts.bench import week
from scripts.bench.results import Target, show_targets, write
from scripts.report import board as boards

REPLICAS, DAYS = 10, 7
RUNS = 6
#: Seconds: the most that a query may take at its 95th percentile; which of a few runs is the slowest.
LONGEST = 0.5
#: Time of recorded panels with ten replicas over that with one.
GROWTH = 1.2


@dataclass
class Look:
    """A panel's query over a window (seconds): how long it took each time (seconds), what it read and gave."""

    board: str
    panel: str
    ref: str
    query: str
    parameters: dict[str, Any]
    window: float
    runs: list[float] = field(default_factory=list)
    samples: int = 0
    series: int = 0

    @property
    def recorded(self) -> bool:
        """Whether it asks for nothing but what rules record."""
        return all(":" in use.metric for use in uses(parse(self.query)))

    @property
    def p95(self) -> float:
        """The slowest of a few."""
        return max(self.runs)

    def take(self, client: httpx.Client) -> None:
        """Asks once and remembers how long that took."""
        begun = time.perf_counter()
        kind = "query_range" if "step" in self.parameters else "query"
        data = week.ask(client, kind, query=self.query, stats="all", **self.parameters)
        self.runs.append(time.perf_counter() - begun)
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
                    if target["datasource"]["uid"] == "prometheus":
                        query, at = (
                            boards.fill(target["expr"], values),
                            {"time": end} if target.get("instant") else ranged,
                        )
                        yield Look(board.title, panel["title"], target["refId"], query, at, seconds)


def measure(console: Console, folder: Path, days: float = DAYS) -> tuple[list[Look], list[Look], int]:
    """Over ten replicas and over one, and how many series the ten have. Raises Skipped."""
    end = week.now()
    many, one = list(looks(end - week.STEP)), list(looks(end - week.STEP))
    asked = [look.query for look in many]
    console.print("a backend after traffic")
    (folder / "backend").mkdir()
    series = week.exposed(folder / "backend")
    needed = [*asked, *(rule.expr for level in week.recording(asked) for rule in level)]
    used = [use for query in needed for use in uses(parse(query))]
    others, names = week.of_others(used, series), {use.metric for use in used}
    asked_for = [one for one in series if one.name in names]
    stores = {1: folder / "one", REPLICAS: folder / "ten"}
    for replicas, store in stores.items():
        count = len(series) * replicas + len(others)
        samples = (len(asked_for) * replicas + len(others)) * days * 1440
        console.print(f"{days} days of {replicas} replicas: {count:,} series, {samples:,.0f} samples")
        week.load(store, [*asked_for, *others], replicas, end, days)
        # What nobody asks for costs a query nothing but its place in the index.
        week.load(store, [one for one in series if one.name not in names], replicas, end, week.BLOCK_HOURS / 24)
        week.load_records(store, asked, end, days)
    with week.prometheus(stores[REPLICAS]) as ten, week.prometheus(stores[1]) as alone:
        clients = [httpx.Client(base_url=address, timeout=120, trust_env=False) for address in (ten, alone)]
        for large, small in zip(many, one, strict=True):
            for _ in range(RUNS):
                large.take(clients[0])
                if large.recorded:
                    small.take(clients[1])  # in turn, so that whatever else the machine does falls on both
    return many, [look for look in one if look.runs], len(series) * REPLICAS + len(others)


def show(console: Console, found: list[Look], rows: int = 25) -> None:
    """The slowest, and those that read most."""
    table = Table(title=f"The slowest of {len(found)} looks", title_justify="left")
    for heading in ("dashboard", "panel", "query", "window", "p50", "p95", "samples", "series"):
        table.add_column(heading, justify="left" if heading in ("dashboard", "panel", "query") else "right")
    for look in sorted(found, key=lambda look: -look.p95)[:rows]:
        times = (f"{median(look.runs) * 1000:.0f} ms", f"{look.p95 * 1000:.0f} ms")
        read = (f"{look.samples:,}", str(look.series))
        table.add_row(look.board, look.panel, look.ref, f"{look.window / 3600:g} h", *times, *read)
    console.print(table)


def main(console: Console, results: Path) -> bool:
    """Measures, prints the table and writes `queries.json`. True when every target is met. Raises Skipped."""
    with tempfile.TemporaryDirectory(prefix="specola-queries-") as folder:
        found, alone, series = measure(console, Path(folder))
    show(console, found)
    recorded = [look for look in found if look.recorded]
    ratio = sum(median(look.runs) for look in recorded) / sum(median(look.runs) for look in alone)
    slowest = {
        seven: max(look.p95 for look in found if (look.window == DAYS * 86_400) == seven) for seven in (False, True)
    }
    targets = [
        Target("a panel's query at its own range, p95 of the slowest", slowest[False] * 1000, LONGEST * 1000, "ms"),
        Target("a panel's query at seven days, p95 of the slowest", slowest[True] * 1000, LONGEST * 1000, "ms"),
        Target("recorded panels: time with ten replicas over that with one", ratio, GROWTH, ""),
        Target("queries slower than that", sum(look.p95 > LONGEST for look in found), None, f"of {len(found)}"),
    ]
    rows = [
        {
            "dashboard": look.board, "panel": look.panel, "query": look.ref, "window_hours": look.window / 3600,
            "p50_ms": round(median(look.runs) * 1000, 1), "p95_ms": round(look.p95 * 1000, 1),
            "samples": look.samples, "series": look.series, "recorded": look.recorded,
        }
        for look in found
    ]  # fmt: skip
    write(results / "queries.json", {"days": DAYS, "replicas": REPLICAS, "series": series, "looks": rows}, targets)
    return show_targets(console, targets)

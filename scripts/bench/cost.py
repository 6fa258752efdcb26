"""Processor time of one request over a bare FastAPI route: ours beside the libraries that others use.

Each variant runs in a process of its own and is driven through a pipe, one at a time, a round of each in turn, so that
whatever else the machine does falls on all alike. A variant's figure is the minimum of its rounds, less the bare
route's.
"""

import multiprocessing
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.bench.checks import NotDone, check_spans
from scripts.bench.plots import plot_cost
from scripts.bench.results import Target, show_targets, write
from scripts.bench.sink import Sink
from scripts.bench.subject import Place
from scripts.bench.variants import ALL_TRACED, BARE, METRICS_AND_LINE, ONE_IN_TEN, USUAL, USUAL_LEAN, VARIANTS, Variant
from scripts.bench.worker import Round, run

ROUNDS, REQUESTS = 15, 3000
#: Seconds until a worker has answered; a round takes well under two.
PATIENCE = 120


@dataclass
class Figures:
    """What the rounds of one variant came to (seconds a request)."""

    rounds: list[Round] = field(default_factory=list)

    @property
    def process(self) -> float:
        """All threads, those that send spans too."""
        return min(one.process for one in self.rounds)

    @property
    def without_exporters(self) -> float:
        """Without the threads that send spans."""
        return min(one.without_exporters for one in self.rounds)


class Measured:
    """A variant's process, its pipe and its figures."""

    def __init__(self, variant: Variant, folder: Path, sink: Sink) -> None:
        self.variant, self._sink, self.figures = variant, sink, Figures()
        self._place = Place(folder, sink.endpoint, variant.name)
        folder.mkdir()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=run, args=(variant.name, self._place, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def check(self) -> None:
        """Raises NotDone when the variant does not do what it claims."""
        self._count_spans(self._call("check"))

    def round(self, requests: int) -> None:
        """One more round. Raises NotDone when lines or spans of it are missing: whoever drops them is faster."""
        lines = self._lines()
        one = self._call("round", requests)
        if self.variant.lines and self._lines() - lines != requests:
            raise NotDone(f"{self.variant.title}: {self._lines() - lines} lines of {requests} requests")
        self._count_spans(requests)
        self.figures.rounds.append(one)

    def end(self) -> None:
        """Ends the process."""
        if self._process.is_alive():
            self._pipe.send(("stop",))
        self._process.join(10)
        self._process.kill()

    def _count_spans(self, requests: int) -> None:
        check_spans(self.variant, requests, self._sink.take_server_spans()[self.variant.name])

    def _lines(self) -> int:
        return self._place.log_file.read_bytes().count(b"\n") if self.variant.lines else 0

    def _call(self, *command: Any) -> Any:
        self._pipe.send(command)
        if not self._pipe.poll(PATIENCE):
            raise NotDone(f"{self.variant.title} has not answered for {PATIENCE} s")
        try:
            done, result = self._pipe.recv()
        except EOFError:
            raise NotDone(f"{self.variant.title}: its process ended") from None
        if not done:
            raise NotDone(f"{self.variant.title}: {result}")
        return result


def measure(
    variants: Iterable[Variant], rounds: int, requests: int, progress: Callable[[str], None]
) -> dict[str, Figures]:
    """The figures of each variant by its name. Raises NotDone when one does not do its job."""
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="specola-bench-") as folder, Sink() as sink:
        try:
            for variant in variants:
                progress(f"checking: {variant.title}")
                measured.append(Measured(variant, Path(folder) / variant.name, sink))
                measured[-1].check()
            for number in range(rounds + 1):
                for one in measured:
                    progress(f"round {number} of {rounds}: {one.variant.title}")
                    one.round(requests if number else max(requests // 10, 1))  # the first warms up
            for one in measured:
                one.figures.rounds.pop(0)
        finally:
            for one in measured:
                one.end()
    return {one.variant.name: one.figures for one in measured}


def targets(figures: dict[str, Figures]) -> list[Target]:
    """DESIGN's targets, in microseconds over the bare route; a ratio where one is asked for."""

    def over(name: str, table: str) -> float:
        return float(getattr(figures[name], table) - getattr(figures[BARE], table)) * 1e6

    found = [
        Target("metrics and access line", over(METRICS_AND_LINE, "process"), 20.0, "µs"),
        Target("all three signals, one request in ten traced", over(ONE_IN_TEN, "process"), 30.0, "µs"),
    ]
    for table, says in (
        ("process", "exporting threads counted"),
        ("without_exporters", "exporting threads not counted"),
    ):
        for name in (USUAL, USUAL_LEAN):
            ratio = over(ALL_TRACED, table) / over(name, table)
            binding = name == USUAL
            found.append(
                Target(
                    f"all traced, as a share of {VARIANTS[name].title}, {says}", ratio, 0.25 if binding else None, ""
                )
            )
    return found


def table(figures: dict[str, Figures], attribute: str, title: str) -> Table:
    """One of the two tables."""
    made = Table(title=title, title_justify="left")
    made.add_column("variant")
    made.add_column("µs a request", justify="right")
    made.add_column("over the bare route", justify="right")
    bare = getattr(figures[BARE], attribute)
    for name, one in figures.items():
        value = getattr(one, attribute)
        made.add_row(VARIANTS[name].title, f"{value * 1e6:.1f}", "" if name == BARE else f"+{(value - bare) * 1e6:.1f}")
    return made


def main(console: Console, results: Path, rounds: int = ROUNDS, requests: int = REQUESTS) -> bool:
    """Measures, prints both tables and the targets, writes cost.json and cost.png. True when every target is met."""
    with console.status("") as status:
        figures = measure(VARIANTS.values(), rounds, requests, status.update)
    console.print(table(figures, "process", "Processor time, exporting threads counted"))
    console.print(table(figures, "without_exporters", "Processor time, exporting threads not counted"))
    found = targets(figures)
    data = {
        "unit": "microseconds of processor time a request",
        "method": f"minimum of {rounds} rounds of {requests} requests, in-process ASGI, variants interleaved",
        "variants": {
            name: {
                "title": VARIANTS[name].title,
                "all_threads": round(one.process * 1e6, 2),
                "without_exporters": round(one.without_exporters * 1e6, 2),
                "over_bare_all_threads": round((one.process - figures[BARE].process) * 1e6, 2),
                "over_bare_without_exporters": round(
                    (one.without_exporters - figures[BARE].without_exporters) * 1e6, 2
                ),
            }
            for name, one in figures.items()
        },
    }
    plot_cost(write(results / "cost.json", data, found), results / "cost.png")
    return show_targets(console, found)

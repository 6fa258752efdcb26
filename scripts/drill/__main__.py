"""`make drill ALERT=AIServiceDown` on the stack in use, `make drill ALL=1` on one of its own with shortened timings.

ALERT with ALL=1 runs that drill, or several, on the stack of its own. Exit status 1 when a drill failed, 2 when it was
asked nonsense. What could not be run is listed, and is no success. RESULTS=1 writes docs/bench/drills.json, FACTOR=20
is how much shorter the timings are.
"""

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from scripts.addresses import PROJECT, told
from scripts.drill import shorten
from scripts.drill.drills import DRILLS, WITHOUT, Drill
from scripts.drill.run import Result, run
from scripts.drill.stacks import InUse, Stack, own
from scripts.local.apart import NotHere


class Ended(Exception):
    """Raised within a drill when the command was interrupted."""


RESULTS = PROJECT / "docs" / "bench" / "drills.json"


def follow_all(stack: Stack, drills: list[Drill], console: Console) -> list[Result]:
    """Runs the drills, those of one fault at once, and at the same time those that do not disturb each other."""
    waiting = [list(group) for _, group in groupby(drills, key=lambda drill: id(drill.fault))]
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    results: list[Result] = []
    end = threading.Event()
    running: dict[Future[list[Result]], frozenset[str]] = {}
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(4) as pool, end_of(end):
        while waiting or running:
            for group in list(waiting):
                busy = frozenset().union(*running.values())
                if not group[0].fault.uses & busy:
                    waiting.remove(group)
                    running[pool.submit(_run, stack, group, progress, end)] = group[0].fault.uses
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                results += future.result()
    order = [drill.alert for drill in drills]
    return sorted(results, key=lambda result: order.index(result.alert))


@contextlib.contextmanager
def end_of(event: threading.Event) -> Iterator[None]:
    """Sets the event when the block is left, however: drills that still run make good their fault and end."""
    try:
        yield
    finally:
        event.set()


def _run(stack: Stack, group: list[Drill], progress: Progress, end: threading.Event) -> list[Result]:
    names = ", ".join(drill.alert for drill in group)
    task = progress.add_task(f"{names}: {group[0].fault.words}")
    last = ""

    def say(text: str) -> None:
        nonlocal last
        if end.is_set():
            raise Ended
        if text == last:
            return
        last = text
        progress.update(task, description=text)
        if not progress.console.is_terminal:
            progress.console.print(f"{datetime.now(UTC):%H:%M:%S} {text}", markup=False)

    try:
        return run(stack, group, say)
    except Exception as error:  # one that goes wrong in a way that nobody foresaw must not cost the others
        return [Result(drill.alert, drill.fault.words, problem=f"{type(error).__name__}: {error}") for drill in group]
    finally:
        progress.remove_task(task)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"


def table(results: list[Result]) -> Table:
    """The results for people."""
    shown = Table("alert", "fault", "fired after", "delivered after", "resolved after", "floor", "ratio", "")
    for one in results:
        times = map(_time, (one.fired, one.delivered, one.resolved, one.floor))
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        verdict = f"not run: {one.not_run}" if one.not_run else one.problem and f"FAILED: {one.problem}"
        shown.add_row(one.alert, one.fault, *times, ratio, verdict or "as it should")
    return shown


def chosen(alerts: str) -> list[Drill]:
    """The drills of one alert, or of several. Raises LookupError saying why one has none."""
    names, known = alerts.split(), [drill.alert for drill in DRILLS]
    for name in names:
        if name not in known:
            reason = WITHOUT.get(name, "no such alert")
            raise LookupError(f"{name} has no drill: {reason}. There are drills of {', '.join(known)}")
    return [drill for drill in DRILLS if drill.alert in names]


def main() -> int:
    """Runs what ALERT or ALL asks for."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 130)
    everything, alert = os.environ.get("ALL") == "1", os.environ.get("ALERT", "")
    factor = float(os.environ.get("FACTOR", shorten.FACTOR))
    if not everything and not alert:
        console.print("Say which: make drill ALERT=AIServiceDown, or make drill ALL=1", markup=False)
        return 2
    begun = time.monotonic()
    try:
        drills = chosen(alert) if alert else list(DRILLS)
        if everything:
            with tempfile.TemporaryDirectory(prefix="specola-drill-") as folder, own(Path(folder), factor) as stack:
                results = follow_all(stack, drills, console)
        else:
            results = follow_all(InUse(), drills, console)
    except KeyboardInterrupt:
        console.print("Interrupted: the faults are made good")
        return 130
    except (LookupError, NotHere, ValueError) as error:
        console.print(str(error), markup=False)
        return 2
    if not alert:
        results += [Result(name, "", not_run=reason) for name, reason in WITHOUT.items()]
    console.print(table(results))
    failed, not_run = sum(bool(one.problem) for one in results), sum(bool(one.not_run) for one in results)
    passed = len(results) - failed - not_run
    minutes = (time.monotonic() - begun) / 60
    console.print(f"{passed} passed, {failed} failed, {not_run} not run, in {minutes:.1f} minutes")
    if os.environ.get("RESULTS") == "1":
        rows = [{**asdict(one), "ratio": one.ratio} for one in results]
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps({"factor": factor if everything else 1, "drills": rows}, indent=1) + "\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(told(main))

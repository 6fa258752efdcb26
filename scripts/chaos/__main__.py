"""`make chaos MINUTES=10`; SEED=7 repeats a run's faults, RESULTS=1 writes docs/bench/chaos.json.

LOAD=1 sends twice and ten times the normal rate instead (scripts/chaos/load.py). Exit status 1 when something that was
acknowledged is not there at the end or a part did not come back, 2 when there can be no run here.
"""

import os
import secrets
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.addresses import PROJECT, told
from scripts.bench.results import write
from scripts.chaos import load
from scripts.chaos.run import Chaos, Result
from scripts.chaos.stack import own
from scripts.local.apart import NotHere

RESULTS = PROJECT / "docs" / "bench"


def show(console: Console, result: Result) -> None:
    """Both tables, and what was not done."""
    recovery = Table("part", "fault", "times", "away", "works again after, median", "longest", title="Recovery")
    for fault, part in sorted({(one.fault, one.part) for one in result.events}):
        events = [one for one in result.events if (one.fault, one.part) == (fault, part)]
        back = [one.recovery for one in events if one.recovery is not None]
        away = f"{min(one.away for one in events):.1f} to {max(one.away for one in events):.1f} s"
        last = f"{max(back):.1f} s" if len(back) == len(events) else "[red]NEVER[/]"
        recovery.add_row(part, fault, str(len(events)), away, f"{median(back):.1f} s" if back else "", last)
    console.print(recovery)
    book = Table("acknowledged, or in a file", "owed", "lost", "doubled", "", title="The book")
    for one in result.findings:
        verdict = "[green]holds[/]" if one.holds else "[red]LOST[/]"
        row = (str(one.owed), str(len(one.lost)), str(one.doubled), "counted only" if one.only_counted else verdict)
        book.add_row(one.what, *row)
    console.print(book)
    for one in result.findings:
        for lost in () if one.only_counted else one.lost[:5]:
            console.print(f"  lost of {one.what}: {lost[:300]}", markup=False)
    console.print(f"answers: {dict(result.answers.most_common())}; seed {result.seed}", markup=False)
    for reason in result.not_done:
        console.print(f"not done: {reason}", markup=False)


def as_json(result: Result) -> dict[str, Any]:
    """The result with counts in place of what was lost."""
    findings = [{**asdict(one), "lost": len(one.lost), "holds": one.holds} for one in result.findings]
    events = [asdict(one) for one in result.events]
    return vars(result) | {
        "events": events,
        "findings": findings,
        "answers": dict(result.answers),
        "holds": result.holds,
    }


def main() -> int:
    """Runs what MINUTES or LOAD asks for."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 130)
    keep = os.environ.get("RESULTS") == "1"
    with tempfile.TemporaryDirectory(prefix="specola-chaos-") as folder:
        if os.environ.get("LOAD") == "1":
            return load.main(console, Path(folder), RESULTS / "load.json" if keep else None)
        seed = int(os.environ.get("SEED") or secrets.randbelow(10_000))

        def say(text: str) -> None:
            console.print(f"{datetime.now(UTC):%H:%M:%S} {text}", markup=False)

        try:
            with own(Path(folder)) as stack:
                result = Chaos(stack, seed, say).run(float(os.environ.get("MINUTES") or 10))
        except NotHere as missing:
            console.print(str(missing), markup=False)
            return 2
    show(console, result)
    if keep:
        write(RESULTS / "chaos.json", as_json(result), [])
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(told(main))

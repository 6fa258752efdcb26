"""`make bench`, or `python -m scripts.bench [cost|metrics|queries|server|shipping|stack] …`: all of them by default."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from scripts.bench import RESULTS, Skipped
from scripts.bench.checks import NotDone
from scripts.bench.load import LoadFailed
from scripts.bench.usage import StackFailed


def _cost(console: Console, results: Path) -> bool:
    from scripts.bench import cost

    return cost.main(console, results)


def _server(console: Console, results: Path) -> bool:
    from scripts.bench import server

    return server.main(console, results)


def _stack(console: Console, results: Path) -> bool:
    from scripts.bench import stack

    return stack.main(console, results)


def _metrics(console: Console, results: Path) -> bool:
    from scripts.bench import scrape

    return scrape.main(console, results)


def _queries(console: Console, results: Path) -> bool:
    from scripts.bench import queries

    return queries.main(console, results)


def _shipping(console: Console, results: Path) -> bool:
    from scripts.bench import shipping

    return shipping.main(console, results)


PARTS: dict[str, Callable[[Console, Path], bool]] = {
    "cost": _cost,
    "metrics": _metrics,
    "queries": _queries,
    "server": _server,
    "shipping": _shipping,
    "stack": _stack,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the parts that are named. 0 when every target of theirs is met, 1 when one is missed or not to be had."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder for the JSON files and the plot")
    options = parser.parse_args(arguments)
    if unknown := set(options.part) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    console = Console(width=None if sys.stdout.isatty() else 130)
    options.results.mkdir(parents=True, exist_ok=True)
    missed = []
    for name in options.part or PARTS:
        console.rule(name)
        try:
            met = PARTS[name](console, options.results)
        except Skipped as reason:
            console.print(f"[yellow]{name} is skipped: {reason}[/]")
            met = True
        except (NotDone, LoadFailed, StackFailed) as error:
            console.print(f"[red]{name}: {error}[/]")
            met = False
        if not met:
            missed.append(name)
    if missed:
        console.print(f"[red]missed: {', '.join(missed)}[/]")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

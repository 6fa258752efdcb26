"""`python -m scripts.live`: asks the running stack everything that the dashboards would ask, and says what comes back.

Every query of every panel over its dashboard's own time, with everything chosen and with each value of each variable
alone. A panel may be empty where its own text says what that means; one that is refused is a failure.
"""

import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from scripts.addresses import told
from scripts.find.model import SourceError
from scripts.report import board as boards
from scripts.report.ask import Answer, Context, Stores, ask
from scripts.report.board import Board, Json, Window
from scripts.report.page import stores

DATA, EMPTY, FAILED = "data", "empty", "FAILED"


@dataclass(frozen=True)
class Seen:
    """What a panel shows: `verdict` with everything chosen; `text` says why it is empty, or what went wrong."""

    board: str
    panel: str
    verdict: str
    text: str
    asked: int


def look(board: Board, where: Stores, end: float) -> Iterator[Seen]:
    """Every panel of a dashboard that ends at a moment (Unix seconds). Raises SourceError without Prometheus."""
    window = Window(end - board.own, end, ZoneInfo("UTC"))
    everything, alone = choices(board, window, where)
    for panel in board.panels:
        if panel["type"] == "row":
            continue
        errors, filled, asked = [], 0, 0
        for target in panel["targets"]:
            text = target.get("expr") or target.get("query", "")
            named = [one for one in alone if re.search(rf"\$\{{?{one[0]}\b", text)]
            for chosen in ({}, *({name: value} for name, value in named)):
                asked += 1
                values = {**everything, **chosen}
                try:
                    answer = ask({**panel, "targets": [target]}, Context(board, window, values), where)
                except SourceError as error:
                    errors.append(f"{target['refId']} with {chosen or 'everything'}: {error}")
                else:
                    filled += not chosen and has_data(answer)
        yield judged(board, panel, filled, errors, asked)


def judged(board: Board, panel: Json, filled: int, errors: list[str], asked: int) -> Seen:
    """The verdict on one panel, of whose queries so many gave data and others these errors."""
    explained = panel["fieldConfig"]["defaults"].get("noValue", "")
    queries = len(panel["targets"])
    if errors:
        verdict, text = FAILED, "; ".join(errors)
    elif filled:
        verdict, text = DATA, "" if filled == queries else f"{queries - filled} of {queries} queries empty"
    elif explained:
        verdict, text = EMPTY, explained
    else:
        verdict, text = FAILED, "is empty, and has no text (noValue) that says why"
    return Seen(board.title, panel["title"], verdict, text, asked)


def has_data(answer: Answer) -> bool:
    """Whether there is anything to see: a number, a line, a trace."""
    numbers = any(isfinite(value) for series in answer.series for value in series.values)
    return numbers or bool(answer.lines) or (not answer.series and any(table.rows for table in answer.tables))


def choices(board: Board, window: Window, where: Stores) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Everything chosen; and each value of each variable, with the variable's name."""

    def listed(query: str) -> list[str]:
        return where.prometheus.label_values(query, window)

    everything = boards.choices(board, listed)
    lists = [one for one in board.variables if one.get("type", "query") == "query"]
    return everything, [(one["name"], v) for one in lists for v in listed(boards.fill(one["query"], everything))]


def show(found: list[Seen], console: Console) -> bool:
    """Prints the table. True when nothing failed."""
    table = Table()
    for heading in ("dashboard", "panel", "shows", ""):
        table.add_column(heading, overflow="fold")
    colours = {DATA: "green", EMPTY: "yellow", FAILED: "red"}
    for one in found:
        table.add_row(one.board, one.panel, f"[{colours[one.verdict]}]{one.verdict}[/]", one.text)
    console.print(table)
    counts = {verdict: sum(one.verdict == verdict for one in found) for verdict in colours}
    console.print(
        f"{len({one.board for one in found})} dashboards, {sum(one.asked for one in found)} questions asked: "
        f"of {len(found)} panels {counts[DATA]} have data, {counts[EMPTY]} are empty and say why, "
        f"{counts[FAILED]} failed"
    )
    return not counts[FAILED]


def main() -> int:
    """1 when a panel is refused or empty without a reason, 2 when no stack answers."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    where, end = stores(), time.time()
    try:
        found = [seen for board in boards.boards() for seen in look(board, where, end)]
    except SourceError as error:
        console.print(f"{error}: make up starts the stack that LIVE=1 asks", markup=False)
        return 2
    return 0 if show(found, console) else 1


if __name__ == "__main__":
    sys.exit(told(main))

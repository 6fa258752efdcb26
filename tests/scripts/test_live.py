"""`make check LIVE=1`: what each panel of a running stack shows, and when that is a failure."""

import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from scripts import live
from scripts.find.model import SourceError
from scripts.report.ask import Stores
from scripts.report.board import Board
from scripts.report.logfiles import Files
from scripts.report.stores import Loki, Series, Tempo


@dataclass
class Standin:
    """Answers every query with these values, refuses what it is told to refuse, and remembers what it was asked."""

    values: list[float]
    refused: str = "nothing"
    asked: list[str] = field(default_factory=list)

    def range(self, query: str, *_: Any) -> list[Series]:
        self.asked.append(query)
        if self.refused in query:
            raise SourceError("Prometheus answers 400: parse error")
        return [Series({}, [0.0] * len(self.values), self.values)] if self.values else []

    def label_values(self, query: str, _: Any) -> list[str]:
        return ["a", "b"] if "instance" in query else []


def panel(*queries: str, empty: str = "Nobody asked") -> dict[str, Any]:
    targets = [
        {"refId": ref, "expr": query, "datasource": {"type": "prometheus"}}
        for ref, query in zip("AB", queries, strict=False)
    ]
    return {"type": "timeseries", "title": "Load", "targets": targets, "fieldConfig": {"defaults": {"noValue": empty}}}


def seen(standin: Standin, *panels: dict[str, Any]) -> list[live.Seen]:
    variable = {
        "name": "instance",
        "type": "query",
        "query": "label_values(up, instance)",
        "current": {"value": "$__all"},
    }
    board = Board("x", "Board", "", 3600, [{"type": "row", "title": "Heading"}, *panels], [variable], [])
    where = Stores(cast(Any, standin), Loki("http://x"), Tempo("http://x"), Files(Path("/nowhere")), "", 5)
    return list(live.look(board, where, 1_800_000_000))


def test_a_panel_with_a_number_has_data() -> None:
    assert seen(Standin([1.0]), panel("up")) == [live.Seen("Board", "Load", live.DATA, "", 1)]


def test_each_value_of_a_variable_is_chosen_alone_where_a_query_names_it() -> None:
    standin = Standin([1.0])
    (one,) = seen(standin, panel('up{instance=~"$instance"}', "1"))
    assert standin.asked == ['up{instance=~".*"}', 'up{instance=~"a"}', 'up{instance=~"b"}', "1"]
    assert one.asked == 4


@pytest.mark.parametrize("values", [[], [math.nan, math.inf]])
def test_an_empty_panel_says_why_or_fails(values: list[float]) -> None:
    explained, unexplained = seen(Standin(values), panel("up"), panel("up", empty=""))
    assert (explained.verdict, explained.text) == (live.EMPTY, "Nobody asked")
    assert (unexplained.verdict, unexplained.text) == (live.FAILED, "is empty, and has no text (noValue) that says why")


def test_a_refused_query_is_named_with_what_was_chosen_though_others_have_data() -> None:
    (one,) = seen(Standin([1.0], refused='"b"'), panel("up", 'up{instance="$instance"}'))
    assert one.verdict == live.FAILED
    assert one.text == "B with {'instance': 'b'}: Prometheus answers 400: parse error"


def test_the_table_ends_with_the_counts_and_fails_with_a_panel() -> None:
    console = Console(file=io.StringIO(), width=140)
    found = [*seen(Standin([1.0]), panel("up")), *seen(Standin([]), panel("up"), panel("up", empty=""))]
    assert live.show(found[:2], console)
    assert not live.show(found, console)
    said = cast(io.StringIO, console.file).getvalue().splitlines()[-1]
    assert said == ("1 dashboards, 3 questions asked: of 3 panels 1 have data, 1 are empty and say why, 1 failed")


def test_without_a_stack_it_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT_PROMETHEUS", "9")
    assert live.main() == 2
    assert "does not run: make up starts the stack that LIVE=1 asks" in capsys.readouterr().out

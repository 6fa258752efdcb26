"""Dashboards' files, their variables and windows."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from scripts.report.board import Board, Window, boards, choices, fill, scrape_interval, step, windows
from scripts.report.options import Options, OptionsError, parse, time_zone
from scripts.report.units import write
from tests.scripts.report.conftest import DAY, END, HOUR, ZONE, Places, page, panel


def variable(name: str, value: Any = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "query", "current": {"value": value}, **more}


def board(*variables: dict[str, Any]) -> Board:
    return Board("a", "A", "", 3600, [], variables, [])


def test_all_matches_everything_and_a_choice_itself() -> None:
    some = board(
        variable("all", ["$__all"]),
        variable("own", ["$__all"], allValue="backend.*"),
        variable("one", "a.b"),
        variable("two", ["a.b", "c"]),
        variable("asked", "", query='label_values(up{job=~"$one"}, job)'),
        variable("typed", "", type="textbox", query=""),
    )
    asked: list[str] = []

    def label_values(query: str) -> list[str]:
        asked.append(query)
        return ["first", "second"]

    assert choices(some, label_values) == {
        "all": ".*", "own": "backend.*", "one": "a.b", "two": r"(a\.b|c)", "asked": "first", "typed": "",
    }  # fmt: skip
    assert asked == ['label_values(up{job=~"a.b"}, job)']


def test_variables_are_replaced_however_they_are_written() -> None:
    assert fill("$a ${a} ${a:pipe} [[a]] $b", {"a": "1"}) == "1 1 1 1 $b"


def test_what_is_chosen_is_told_in_grafanas_words() -> None:
    assert fill("${a:text}, ${b:text}, $a", {"a": ".*", "b": "x"}) == "All, x, .*"


def test_a_chosen_value_narrows_the_query(places: Places) -> None:
    number = panel("stat", 'wave{kind=~"$kind"}', query={"instant": True})
    assert len(page([number], places.stores, variables=[variable("kind", ["$__all"])]).numbers) == 2
    assert page([number], places.stores, variables=[variable("kind", "line")]).numbers == [48.0]
    first = variable("kind", "", query="label_values(wave, kind)")
    assert page([number], places.stores, variables=[first]).numbers == [48.0], "line comes before sine"


@pytest.mark.parametrize(
    ("width", "interval", "hours", "expected"),
    [(24, "30s", 1, 30), (24, "", 1, 10), (12, "30s", 6, 120), (24, "1m", 24 * 7, 1200), (24, "1d", 24 * 7, 86_400)],
)
def test_a_step_is_one_of_grafanas(width: int, interval: str, hours: float, expected: float) -> None:
    plain = {"gridPos": {"w": width}, "interval": interval}
    assert step(plain, Window(END - hours * HOUR, END, ZONE), scrape=5) == expected


def test_windows_are_made_as_grafana_makes_them() -> None:
    plain = {"gridPos": {"w": 24}, "interval": "30s"}
    found = windows(plain, Window(END - HOUR, END, ZONE), scrape=5)
    assert (found["__interval"], found["__rate_interval"], found["__range"]) == ("30s", "35s", "3600s")
    assert windows({"gridPos": {"w": 24}}, Window(END - 60, END, ZONE), scrape=5)["__rate_interval"] == "20s"
    assert scrape_interval() == 5, "what prometheus.yml has"


def test_a_dashboard_is_found_by_uid_title_or_file(tmp_path: Path) -> None:
    assert [one.uid for one in boards("sistema-overview")] == ["sistema-overview"]
    assert [one.uid for one in boards("Sistema Overview")] == ["sistema-overview"]
    assert [one.uid for one in boards("system-overview")] == ["sistema-overview"]
    assert boards()[0].uid == "sistema-overview"
    with pytest.raises(OptionsError, match="there is no dashboard 'nosuch'; there are ai-chat-analytics"):
        boards("nosuch")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Options("", None, END, False)),
        ({"DASHBOARD": "slo", "SINCE": "7d", "FORMAT": "pdf"}, Options("slo", 7 * DAY, END, True)),
        ({"FROM": "2026-03-15 10:00"}, Options("", 3 * HOUR, END, False)),
        ({"FROM": "2026-03-14", "TO": "2026-03-15"}, Options("", DAY, END - 13 * HOUR, False)),
        ({"TO": "2036-01-01"}, Options("", None, END, False)),
    ],
)
def test_what_is_asked_for(environment: dict[str, str], expected: Options) -> None:
    assert parse(environment, END, ZoneInfo("Europe/Rome")) == expected


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"SINCE": "week"}, "SINCE='week' is no time: write it like 90m, 6h or 7d"),
        ({"FROM": "yesterday"}, "FROM='yesterday' is no time"),
        ({"FROM": "2026-03-15", "SINCE": "1h"}, "give one of them"),
        ({"FROM": "2026-03-15", "TO": "2026-03-14"}, "is not before TO"),
        ({"FORMAT": "doc"}, "FORMAT='doc' is neither html nor pdf"),
    ],
)
def test_nonsense_is_refused(environment: dict[str, str], reason: str) -> None:
    with pytest.raises(OptionsError, match=reason):
        parse(environment, END, ZONE)


def test_a_time_zone_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMEZONE", "Mars/Olympus")
    with pytest.raises(OptionsError, match="Mars/Olympus"):
        time_zone()


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.0123, "s", None, "12.3 ms"),
        (0.0, "s", None, "0 s"),
        (90.0, "s", None, "1.5 min"),
        (86_400.0, "s", 0, "1 day"),
        (0.719, "percentunit", 1, "71.9%"),
        (12.0, "percent", None, "12%"),
        (1234.0, "short", None, "1.23 K"),
        (-5.0, "currencyUSD", 2, "-$5.00"),
        (1536.0, "bytes", None, "1.5 KiB"),
        (0.25, "suffix:msg/s", None, "0.25 msg/s"),
        (0.25, "reqps", None, "0.25 req/s"),
        (3.0, "lightyears", None, "3 lightyears"),
        (END * 1000, "dateTimeAsIso", None, "2026-03-15 13:00:00"),
        (float("nan"), "s", None, "–"),  # noqa: RUF001
        (float("inf"), "s", None, "∞"),
        ("text", "s", None, "text"),
    ],
)
def test_values_are_written_as_grafana_writes_them(value: Any, unit: str, decimals: int | None, text: str) -> None:
    assert write(value, unit, decimals, ZONE) == text


def test_the_clock_is_the_dashboards_own() -> None:
    assert write(END * 1000, "dateTimeAsIso", None, ZoneInfo("UTC")) == "2026-03-15 12:00:00"
    assert datetime.fromtimestamp(END, ZONE).hour == 13

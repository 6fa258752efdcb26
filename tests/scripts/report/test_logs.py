"""Lines of log panels: from Loki, or from the files that it would be fed from."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.find.model import SourceError
from scripts.report.board import Window
from scripts.report.logfiles import Files
from tests.scripts.find.conftest import NOON, line, loki_answer
from tests.scripts.report.conftest import ZONE, Places, page, panel, without_loki

WINDOW = Window(NOON - 60, NOON + 60, ZONE)
LINES = [
    line("chat answered", 1, status=200),
    line("chat failed", 2, level="error", reason="ai down", service="backend"),
    line("alert received", 3, service="alert-inbox", request_id="req-2"),
    line("too late", 3) | {"timestamp": "2026-11-25T22:00:00Z"},
]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "application.log").write_text("".join(json.dumps(one) + "\n" for one in LINES) + '{"half')
    return Files(tmp_path)


def test_lines_of_loki_are_shown_with_their_fields(places: Places) -> None:
    places.loki.answers["/loki/api/v1/query_range"] = loki_answer(*LINES[:2])
    query = '{service=~".+"} |= "chat"'
    found = page([panel("logs", query, source="loki", query={"maxLines": 100})], places.stores, WINDOW)
    assert "24 Nov 23:00:02 chat failed" in found.text, "newest first, by the dashboards' clock"
    assert "chat failed reason=ai down" in found.text
    assert "reason ai down" in found.text
    assert found.text.index("chat failed") < found.text.index("chat answered")
    asked = places.loki.asked[-1][1]
    assert (asked["query"], asked["limit"], asked["direction"]) == (query, "100", "backward")


def test_without_loki_the_files_are_read_and_the_panel_says_so(places: Places, files: Files, tmp_path: Path) -> None:
    stores = without_loki(places.stores, tmp_path)
    found = page([panel("logs", '{level="error"}', source="loki")], stores, WINDOW)
    assert "chat failed" in found.text
    assert "alert received" not in found.text
    assert "from the log files, since no Loki runs" in found.text


def test_a_loki_that_refuses_is_not_passed_over(places: Places, files: Files, tmp_path: Path) -> None:
    places.loki.answers["/loki/api/v1/query_range"] = (400, "parse error at line 1")
    found = page([panel("logs", "{", source="loki")], places.stores, WINDOW)
    assert "parse error at line 1" in found.text


def test_numbers_over_time_come_from_loki_alone(places: Places, tmp_path: Path) -> None:
    matrix: dict[str, Any] = {"resultType": "matrix", "result": [
        {"metric": {"level": "error"}, "values": [[NOON, "3"], [NOON + 30, "4"]]}]}  # fmt: skip
    places.loki.answers["/loki/api/v1/query_range"] = {"data": matrix}
    counts = panel("timeseries", 'sum by (level) (count_over_time({service=~".+"}[$__auto]))', source="loki",
                   query={"legendFormat": "{{level}}"}, interval="30s")  # fmt: skip
    assert page([counts], places.stores, WINDOW).numbers == [4.0]
    assert "[30s]" in places.loki.asked[-1][1]["query"]
    assert "Not drawn: Loki at http://127.0.0.1:1 does not run" in page(
        [counts], without_loki(places.stores, tmp_path), WINDOW
    ).text  # fmt: skip


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('{service=~".+"}', ["alert received", "chat failed", "chat answered"]),
        ('{service="backend", level!="error"}', ["chat answered"]),
        ('{service=~"alert.*|other"}', ["alert received"]),
        ('{service=~"alert"}', []),
        ('{service!~"alert.*"} |= "chat" != "failed"', ["chat answered"]),
        ("{service=~`.+`} |~ `fail(ed|ure)`", ["chat failed"]),
        ('{service=~".+"} !~ "chat"', ["alert received"]),
        ('{service=~".+"} | json | request_id="req-2"', ["alert received"]),
        ('{service=~".+"} | request_id="req-2" or reason=~"ai.*"', ["alert received", "chat failed"]),
        ('{service=~".+"} |= "\\"reason\\""', ["chat failed"]),
    ],
)
def test_the_files_answer_as_loki_would(files: Files, query: str, expected: list[str]) -> None:
    assert [one.event for one in files.newest(query, WINDOW, 10)] == expected


def test_the_newest_lines_are_given(files: Files) -> None:
    assert [one.event for one in files.newest('{service=~".+"}', WINDOW, 1)] == ["alert received"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ('{service=~".+"} | pattern `<_>`', "not understood for the log files:  | pattern"),
        ('{service=~".+"} | json kind="exception[0].exc_type"', "not understood for the log files:  kind="),
        ("sum(rate({a=`b`}[1m]))", "cannot be asked for numbers"),
    ],
)
def test_a_query_that_the_files_cannot_answer_is_refused(files: Files, query: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason.replace("|", r"\|")):
        files.newest(query, WINDOW, 10)


def test_numbers_of_the_whole_window_are_asked_once(places: Places) -> None:
    vector = [{"metric": {"kind": "Timeout"}, "value": [NOON, "12"]}]
    places.loki.answers["/loki/api/v1/query"] = {"data": {"resultType": "vector", "result": vector}}
    query = {"queryType": "instant", "legendFormat": "{{kind}}"}
    bars = panel("bargauge", "sum by (kind) (count_over_time({a=`b`}[$__range]))", source="loki", query=query)
    found = page([bars], places.stores, WINDOW)
    assert found.numbers == [12.0]
    assert "Timeout" in found.text
    assert places.loki.asked[-1][1]["query"] == "sum by (kind) (count_over_time({a=`b`}[120s]))"

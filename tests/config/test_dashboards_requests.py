"""What the dashboards on requests, errors, usage, logs and traces promise beyond the rules for all."""

import json
from typing import Any
from urllib.parse import unquote

import pytest

from monitoring.dashboards import limits
from tests.config.dashboards.boards import committed, panel

BOARDS = committed()
API, ERRORS, USAGE, LOGS = (BOARDS[f"{name}.json"] for name in ("api-performance", "errors", "usage", "logs-traces"))
PANELS = [found for board in BOARDS.values() for found in board["panels"] if found["type"] != "row"]
BARS = [found for found in USAGE["panels"] if found.get("interval") in ("1d", "7d")]


def custom(found: Any) -> Any:
    return found["fieldConfig"]["defaults"]["custom"]


@pytest.mark.parametrize("bars", BARS, ids=lambda found: str(found["title"]))
def test_a_bar_of_a_day_stands_at_that_day_and_is_there_before_the_day_is_over(bars: Any) -> None:
    (target,) = bars["targets"]
    assert f"[{bars['interval']}] offset -{bars['interval']})" in target["expr"]
    assert (custom(bars)["drawStyle"], custom(bars)["barAlignment"]) == ("bars", 1)


def test_usage_is_shown_by_day_and_by_week() -> None:
    assert {bars["interval"] for bars in BARS} == {"1d", "7d"}


def test_the_month_is_measured_against_the_one_budget() -> None:
    steps = panel(USAGE, "At This Rate, a Month Costs")["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, 0.8 * limits.MONTHLY_BUDGET_USD, limits.MONTHLY_BUDGET_USD]


@pytest.mark.parametrize("title", ["Requests, Beside Last Week", "Duration, Beside Last Week"])
def test_what_is_usual_is_recorded_and_has_its_spread_above_and_below(title: str) -> None:
    now, usual, upper, lower = (target["expr"] for target in panel(API, title)["targets"])
    record = now.removesuffix(" >= 0")
    assert usual == f"{record}_avg1h_1w"
    assert upper == f"{usual} + 2 * {record}_stddev1h_1w"
    assert lower == f"clamp_min({usual} - 2 * {record}_stddev1h_1w, 0)"


def test_an_exception_is_new_when_the_day_before_had_none_of_its_type_and_is_named() -> None:
    new = panel(ERRORS, "Which Are New?")
    counted, before = new["targets"][0]["expr"].split(" unless ")
    assert before == counted.replace("[1h]", "[24h] offset 1h")
    assert new["options"]["textMode"] == "value_and_name"
    assert new["options"]["reduceOptions"]["values"]


def test_no_id_means_any_request_and_an_id_is_found_in_lines_and_spans() -> None:
    lines, spans = (
        panel(LOGS, f"{title}?") for title in ("What Does This Request Say", "Where Did This Request Spend Its Time")
    )
    assert '| request_id=~"${request}.*"' in lines["targets"][0]["expr"]
    assert spans["targets"][0]["query"] == '{ span.request.id =~ "${request}.*" }'


def test_the_same_trace_is_a_link_away_where_grafana_does_not_put_the_id_into_a_panel() -> None:
    (query,) = panel(LOGS, "Where Did This Request Spend Its Time?")["targets"]
    link = panel(LOGS, "Where Did This Request Spend Its Time?")["links"][0]["url"]
    state = json.loads(unquote(link.removeprefix("/explore?left=")))
    assert state["queries"][0]["query"] == query["query"]


def test_a_trace_too_short_to_have_a_duration_is_not_told_to_be_none() -> None:
    lists = [found for found in PANELS if found["type"] == "table" and found["datasource"]["uid"] == "tempo"]
    assert len(lists) >= 3
    for found in lists:
        (override,) = found["fieldConfig"]["overrides"]
        assert override["matcher"]["options"] == "Duration"
        assert override["properties"] == [{"id": "noValue", "value": "< 1 ms"}]

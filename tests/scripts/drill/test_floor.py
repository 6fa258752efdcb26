"""The floor: the soonest that an alert can arrive."""

from datetime import datetime

import httpx
import pytest

from scripts.drill import floor
from scripts.drill.drills import DRILLS, Drill
from scripts.drill.floor import Rule
from scripts.drill.run import Result, find_rule
from scripts.drill.shorten import PROJECT
from scripts.drill.watch import Way

METRIC = Rule("AIServiceDown", "ai_service_health == 0", hold=60, keep=60, evaluation=5, logs=False)
LOGS = Rule("LogErrorBurst", "count_over_time({a=~'b'}[5m]) > 1", hold=60, keep=0, evaluation=15, logs=True)


def test_it_is_the_sum_of_what_cannot_be_shortened() -> None:
    assert floor.floor(METRIC, held_after=7, scrape=5, group_wait=10) == 7 + 5 + 5 + 60 + 10


def test_lines_are_not_scraped() -> None:
    assert floor.floor(LOGS, held_after=7, scrape=5, group_wait=30) == 7 + 15 + 60 + 30


def test_the_real_rules_are_read_with_their_times() -> None:
    rules = {drill.alert: find_rule(floor.rules(PROJECT), drill) for drill in DRILLS}
    assert (rules["AIServiceDown"].hold, rules["AIServiceDown"].evaluation) == (60, 5)
    assert not rules["AIServiceDown"].logs
    assert (rules["LogErrorBurst"].evaluation, rules["LogErrorBurst"].logs) == (15, True)
    assert rules["LogErrorBurst"].window == 300
    assert rules["LatencyBudgetBurn"].evaluation == 30, "its group has an interval of its own"


def test_grouping_is_that_of_the_severitys_route() -> None:
    assert floor.grouping(PROJECT, "critical") == (10, 60)
    assert floor.grouping(PROJECT, "warning") == (30, 300)
    assert floor.grouping(PROJECT, "critical", "HighErrorRateAbsolute") == (180, 60), "a route of its own"
    assert floor.grouping(PROJECT, "unknown") == (10, 60), "the root's"


@pytest.mark.parametrize(
    ("clock", "severity", "quiet"),
    [("21:30", "warning", "quiet-hours"), ("21:30", "critical", ""), ("03:00", "warning", "quiet-hours"),
     ("20:30", "warning", ""), ("06:30", "warning", "")],
)  # fmt: skip
def test_warnings_are_held_back_by_night_in_rome(clock: str, severity: str, quiet: str) -> None:
    now = datetime.fromisoformat(f"2026-01-15T{clock}+00:00")
    assert floor.quiet(PROJECT, severity, now) == quiet


@pytest.mark.parametrize(
    ("rule", "path"), [(METRIC, "/api/v1/query_range"), (LOGS, "/loki/api/v1/query_range")], ids=["metric", "logs"]
)
def test_the_first_moment_of_any_series_counts(rule: Rule, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    series = [{"metric": {}, "values": [[30.5, "1"], [31, "1"]]}, {"metric": {}, "values": [[12, "0"]]}]
    asked: list[str] = []

    def get(url: str, **_: object) -> httpx.Response:
        asked.append(url)
        return httpx.Response(200, json={"data": {"result": series}}, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    assert floor.first_held("http://here", rule, 10, 40, 1) == 12
    assert asked == [f"http://here{path}"]
    series.clear()
    assert floor.first_held("http://here", rule, 10, 40, 1) is None


def test_the_ratio_needs_both_a_delivery_and_a_floor() -> None:
    assert Result("A", "f", delivered=12.0, floor=10.0).ratio == pytest.approx(1.2)
    assert Result("A", "f", delivered=12.0).ratio is None
    assert Result("A", "f", floor=10.0).ratio is None


def test_a_way_is_in_the_furthest_state_that_it_reached() -> None:
    way = Way(Drill("AIServiceDown", DRILLS[0].fault), METRIC)
    states = [way.state]
    for state in ("pending", "firing", "delivered", "resolved"):
        setattr(way, state, 1.0)
        states.append(way.state)
    assert states == ["nothing yet", "pending", "firing", "delivered", "resolved"]

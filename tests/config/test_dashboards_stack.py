"""What the dashboards on objectives, capacity and the stack promise beyond the rules that every dashboard keeps."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from monitoring import absent, rules
from monitoring.dashboards import capacity, slo, stack_health, stack_ways
from monitoring.dashboards.limits import BAD, WARNING
from monitoring.slo import load
from tests.config.dashboards.boards import panel

OBJECTIVES = load().objectives


def built(text: str) -> Any:
    return json.loads(text)


def steps(found: Any) -> dict[float, str]:
    """The colours of a panel, by the value from which they hold."""
    listed = found["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return {step["value"]: step["color"] for step in listed if step["value"] is not None}


def asked(found: Any) -> str:
    return " ".join(target["expr"] for target in found["targets"])


@pytest.mark.parametrize("name", [objective.name for objective in OBJECTIVES])
def test_a_burn_rate_is_coloured_where_its_alerts_fire(name: str) -> None:
    found = panel(built(slo.build()), f"{name.capitalize()}: Burn Rate")
    assert steps(found) == {1.0: WARNING, 6.0: BAD, 14.4: BAD}
    assert [target["legendFormat"] for target in found["targets"]] == ["5m", "30m", "1h", "6h", "3d"]
    assert all(f'slo="{name}"' in target["expr"] for target in found["targets"])


def test_an_objective_that_is_added_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = replace(OBJECTIVES[0], name="uploads", alert="UploadsBudgetBurn")
    monkeypatch.setattr(slo, "KNOWN", replace(slo.KNOWN, objectives=(*OBJECTIVES, uploads)))
    panels = [found for found in built(slo.build())["panels"] if found["type"] != "row"]
    shown = [found["title"] for found in panels if found["title"].startswith("Uploads: ")]
    assert [title.removeprefix("Uploads: ") for title in shown] == [
        "Budget Left",
        "Used Up On",
        "Burn Rate",
        "How the Budget Went",
        "Bad Events in an Hour",
    ]
    assert len({found["id"] for found in panels}) == len(panels)


def test_each_alert_on_a_budget_leads_to_its_own_burn_rate() -> None:
    board = built(slo.build())
    for objective in OBJECTIVES:
        number = int(objective.dashboard.removeprefix("slo?viewPanel="))
        (title,) = [found["title"] for found in board["panels"] if found["id"] == number]
        assert title == f"{objective.name.capitalize()}: Burn Rate"


def test_what_is_never_full_is_said_in_words_and_what_is_not_known_is_not_green() -> None:
    found = panel(built(capacity.build()), "Disk Full On")
    words = found["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert words["0"]["text"] == "not within a year"
    assert found["fieldConfig"]["defaults"]["unit"] == "dateTimeAsIso"
    unknown, *known = found["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert unknown["color"] not in {step["color"] for step in known}


def test_every_resource_that_is_recorded_has_its_date() -> None:
    recorded = {rule.labels["resource"] for rule in rules.read() if rule.name == "capacity:used:ratio" and rule.labels}
    dates = [asked(found) for found in built(capacity.build())["panels"] if found["title"].endswith(" Full On")]
    patterns = [found[1] for query in dates if (found := re.search(r'resource=~"([^"]+)"', query))]
    undated = {name for name in recorded if not any(re.fullmatch(pattern, name) for pattern in patterns)}
    assert undated == {"history"}, "full, it is forgotten by age: that is no end"


def test_what_is_lost_in_all_is_what_its_panel_shows_by_reason() -> None:
    board = built(stack_health.build())
    for title, detail, losses in (
        ("Rules Failed", "Which Rules Fail?", stack_ways.RULES),
        ("Alerts Lost", "Where Are Alerts Lost?", stack_ways.ALERTS),
        ("Lines Lost", "Where Are Lines Lost?", stack_ways.LINES),
        ("Spans Lost", "Where Are Spans Lost?", stack_ways.SPANS),
    ):
        for _, counter, _ in losses:
            assert f"increase({counter}[$__range])" in asked(panel(board, title))
            assert f"increase({counter}[$__rate_interval])" in asked(panel(board, detail))


@pytest.mark.parametrize(
    ("title", "alert"),
    [
        ("Watchdog Last Heard", "WatchdogNotArriving"),
        ("How Far Behind Is the Shipper?", "PromtailLagging"),
        ("Does Loki Answer?", "LokiRequestErrors"),
        ("How Old Is the Newest Backup?", "BackupTooOld"),
    ],
)
def test_a_watcher_is_coloured_where_its_alert_fires(title: str, alert: str) -> None:
    assert max(steps(panel(built(stack_health.build()), title))) == rules.limit(alert)


def test_what_is_recorded_for_a_dashboard_alone_is_not_missed_by_an_alert() -> None:
    needed = absent.needed(rules.read())
    assert "node_memory_MemAvailable_bytes" not in needed["node-exporter"]
    assert "http_requests_total" in needed["backend"], "which alerts read through what is recorded of it"

"""The objectives: their arithmetic is the SRE workbook's, and the committed rules are what it gives."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.services.metrics_service import HTTP_BUCKETS
from monitoring import slo
from monitoring.slo import __main__ as command
from monitoring.slo.rules import render

KNOWN = slo.load()


# Google, The Site Reliability Workbook, chapter 5, tables 5-6 and 5-8: an objective over 30 days.
@pytest.mark.parametrize(
    ("budget", "long", "rate"), [(0.02, "1h", 14.4), (0.05, "6h", 6.0), (0.10, "3d", 1.0), (0.10, "1d", 3.0)]
)
def test_burn_rates_are_those_of_the_workbook(budget: float, long: str, rate: float) -> None:
    assert slo.burn_rate(budget, long, "30d") == rate


def test_the_alerts_are_those_of_the_workbook() -> None:
    found = [(slo.burn_rate(one.budget, one.long, KNOWN.window), one.long, one.short) for one in KNOWN.alerts]
    assert found == [(14.4, "1h", "5m"), (6.0, "6h", "30m"), (1.0, "3d", "6h")]
    for alert in KNOWN.alerts:
        assert slo.seconds(alert.short) * 12 == slo.seconds(alert.long), "the workbook's 1/12"


@pytest.mark.parametrize(
    ("window", "rate"), [("28d", 13.44), ("4w", 13.44), ("34d", 16.32), ("90d", 43.2), ("7d", 3.36)]
)
def test_other_windows_have_burn_rates_of_their_own(window: str, rate: float) -> None:
    assert slo.burn_rate(0.02, "1h", window) == rate


def test_an_alert_that_would_fire_while_the_objective_is_kept_is_refused() -> None:
    with pytest.raises(slo.SloError, match=r"10% of the budget of 28d within 3d is a burn rate of 0\.933"):
        slo.burn_rate(0.10, "3d", "28d")


def test_the_committed_rules_are_what_the_objectives_give() -> None:
    assert command.main(["--check"]) == 0


def test_each_objective_has_its_records_and_an_alert_for_each_pair_of_windows() -> None:
    (group,) = yaml.safe_load(render(KNOWN))["groups"]
    made = [(rule.get("alert") or rule["record"], rule.get("labels", {}).get("slo")) for rule in group["rules"]]
    for objective in KNOWN.objectives:
        assert made.count((objective.alert, None)) == len(KNOWN.alerts)
        for record in ("slo:objective:ratio", "slo:events:increase30s", "slo:bad_events:increase30s"):
            assert made.count((record, objective.name)) == 1
    assert made.count(("slo:error_budget:remaining", None)) == 1


def test_the_budget_of_each_objective_follows_from_it() -> None:
    assert {one.name: (one.objective, one.budget) for one in KNOWN.objectives} == {
        "availability": (0.99, 0.01),
        "latency": (0.95, 0.05),
        "chat": (0.99, 0.01),
    }


def test_what_is_called_fast_is_a_bound_of_the_histogram() -> None:
    for objective in KNOWN.objectives:
        bounds = re.findall(r'le="([\d.]+)"', objective.good)
        assert all(float(bound) in HTTP_BUCKETS for bound in bounds), "any other bound is no series"


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("objective: 95%", "objective: 0.95", "0.95 is no share such as 99.9%"),
        ("objective: 95%", "objective: 100%", "the objective 'latency' has to lie between 0% and 100%: 100%"),
        ("window: 30d", "window: a month", "'a month' is no duration such as 30d, 6h or 5m"),
        ("window: 30d", "windows: 30d", "the key 'window' is missing"),
        ("long: 1h, short: 5m", "long: 1h, short: 2h", "the short window 2h is not shorter than the long one, 1h"),
        ("name: latency", "name: chat", "two objectives share a name or an alert"),
        ("    good: http", "    better: http", "the objective 'latency' needs exactly alert, dashboard, events,"),
        ("window: 30d", "window: [30d", "while parsing a flow sequence"),
    ],
)
def test_a_mistake_in_the_objectives_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], right: str, wrong: str, message: str
) -> None:
    text = slo.FILE.read_text(encoding="utf-8")
    assert right in text
    file = tmp_path / "slo.yml"
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    rules = tmp_path / "rules.yml"
    assert command.main(["--objectives", str(file), "--rules", str(rules)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("slo.yml: ")
    assert message in said
    assert not rules.exists()


def test_rules_that_are_not_current_are_named_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "rules.yml"
    assert command.main(["--rules", str(rules)]) == 0
    assert command.main(["--rules", str(rules), "--check"]) == 0
    rules.write_text(rules.read_text().replace("vector(0.95)", "vector(0.9)"), encoding="utf-8")
    assert command.main(["--rules", str(rules), "--check"]) == 1
    said = capsys.readouterr().err
    assert "-        expr: vector(0.9)\n" in said
    assert "+        expr: vector(0.95)\n" in said
    assert "python -m monitoring.slo" in said


def test_a_lower_objective_changes_the_budget_and_nothing_else() -> None:
    def rules(text: str) -> Any:
        return yaml.safe_load(text)["groups"][0]["rules"]

    lower = [dataclasses.replace(one, objective=0.9) for one in KNOWN.objectives]
    pairs = zip(rules(render(KNOWN)), rules(render(dataclasses.replace(KNOWN, objectives=tuple(lower)))), strict=True)
    changed = [one for one, other in pairs if one.get("expr") != other.get("expr")]
    assert [rule["record"] for rule in changed] == ["slo:objective:ratio"] * 3

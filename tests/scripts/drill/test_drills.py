"""The table of drills, compared with the rule files and the backend."""

import pytest

from app.core.faults import FAULT_NAMES
from scripts.drill import __main__ as command
from scripts.drill.drills import DRILLS, WITHOUT
from scripts.drill.floor import rules
from scripts.drill.run import find_rule
from scripts.drill.shorten import PROJECT


def test_every_alert_has_a_drill_or_a_reason_and_never_both() -> None:
    drilled = {drill.alert for drill in DRILLS}
    assert drilled | WITHOUT.keys() == {rule.name for rule in rules(PROJECT)}
    assert not drilled & WITHOUT.keys()
    assert all(WITHOUT.values())


def test_every_drill_finds_the_rule_that_it_is_about() -> None:
    for drill in DRILLS:
        rule = find_rule(rules(PROJECT), drill)
        assert rule.name == drill.alert
        assert rule.labels.get("window") == drill.labels.get("window")


def test_a_drill_of_an_alert_that_is_not_there_is_an_error() -> None:
    with pytest.raises(LookupError, match="no rule file has an alert AIServiceDown"):
        find_rule([], command.chosen("AIServiceDown")[0])


def test_faults_of_the_backend_are_those_that_it_knows() -> None:
    words = {drill.fault.words.split()[0] for drill in DRILLS if " %" in drill.fault.words}
    assert words <= set(FAULT_NAMES)
    assert words == set(FAULT_NAMES), "each fault is of use to some drill"


def test_an_alert_without_a_drill_says_why(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT", "SeriesGrowth")
    monkeypatch.setenv("ALL", "")
    assert command.main() == 2
    assert "SeriesGrowth has no drill: it compares with yesterday" in " ".join(capsys.readouterr().out.split())


def test_without_an_alert_it_says_how_to_name_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALERT", raising=False)
    monkeypatch.delenv("ALL", raising=False)
    assert command.main() == 2
    assert "make drill ALERT=AIServiceDown" in capsys.readouterr().out

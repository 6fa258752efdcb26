"""The mutation check: which mistakes it tries, and that it names those which no test notices."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import rules_mutation
from scripts.rules_mutation import MutationError, main, mutants
from tests.programs import program

RULE: dict[str, Any] = {
    "alert": "TooHot",
    "expr": 'max by (room) (degrees{job="house", kind!="oven"}) > 30',
    "for": "2m",
    "labels": {"severity": "warning"},
    "annotations": {"summary": "It is too hot"},
}


def mistakes(**changed: Any) -> list[str]:
    document = {"groups": [{"name": "house", "rules": [{**RULE, **changed}]}]}
    return [mutant.mistake for mutant in mutants("house.yml", document)]


def test_every_kind_of_mistake_is_tried() -> None:
    assert mistakes() == [
        "> 30 -> 300",
        "> 30 -> 3",
        "no for: 2m",
        "job renamed at 23",
        'without job="house"',
        'without kind!="oven"',
        "by (room): room renamed",
        "label severity renamed",
    ]


@pytest.mark.parametrize(
    ("expr", "tried"),
    [
        ("up == 0", ["== 0 -> 1", "== 0 -> -1"]),
        ("errors > 0", ["> 0 -> 10", "> 0 -> -1"]),
        ("a > 14.4 and b >= 10", ["> 14.4 -> 144", "> 14.4 -> 1.44", ">= 10 -> 100", ">= 10 -> 1"]),
        ("a > b", []),
    ],
)
def test_each_limit_is_moved_both_ways(expr: str, tried: list[str]) -> None:
    assert [mistake for mistake in mistakes(expr=expr) if "->" in mistake] == tried


def test_a_matcher_is_left_out_wherever_it_stands() -> None:
    document = {"groups": [{"name": "g", "rules": [{"record": "r", "expr": 'a{x="1", y="2"} / b{x="1"}'}]}]}
    exprs = [m.rules["groups"][0]["rules"][0]["expr"] for m in mutants("r.yml", document) if m.kind == "matcher"]
    assert exprs == ['a{y="2"} / b{}', 'a{x="1", } / b{x="1"}']


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one rule and tests of it, in place of Prometheus' own."""
    monkeypatch.setattr(rules_mutation, "find_promtool", lambda: program("promtool"))
    for folder in ("rules", "tests"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "rules", {"groups": [{"name": "house", "rules": [RULE]}]})
    return tmp_path


def write(folder: Path, document: Any) -> None:
    (folder / "house.yml").write_text(yaml.safe_dump(document), encoding="utf-8")


def a_test(series: dict[str, str], *checks: tuple[str, bool]) -> Any:
    fires = [{"exp_labels": {"room": "attic", "severity": "warning"}, "exp_annotations": RULE["annotations"]}]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": when, "alertname": "TooHot", "exp_alerts": fires if firing else []} for when, firing in checks
        ],
    }


def test_tests_that_notice_everything_leave_no_survivor(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attic = 'degrees{job="house", room="attic", kind="air"}'
    oven = 'degrees{job="house", room="kitchen", kind="oven"}'
    street = 'degrees{job="street", room="attic", kind="air"}'
    tests = [
        a_test({attic: "35x10", oven: "200x10"}, ("1m", False), ("5m", True)),
        a_test({attic: "25x10", street: "40x10"}, ("5m", False)),
    ]
    write(house / "tests", {"rule_files": ["../rules/house.yml"], "evaluation_interval": "1m", "tests": tests})
    assert main(["--folder", str(house)]) == 0
    assert capsys.readouterr().out == "8 mutants of 1 rules (2 limit, 1 for, 3 label, 2 matcher): 0 survive\n"


def test_what_no_test_notices_is_named(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attic = 'degrees{job="house", room="attic", kind="air"}'
    tests = [a_test({attic: "35x10"}, ("5m", True))]
    write(house / "tests", {"rule_files": ["../rules/house.yml"], "evaluation_interval": "1m", "tests": tests})
    assert main(["--folder", str(house)]) == 1
    said = capsys.readouterr().out
    for mistake in ("> 30 -> 3", "no for: 2m", 'without kind!="oven"', 'without job="house"'):
        assert f"house.yml: TooHot: {mistake}: no test notices\n" in said
    assert said.endswith(": 4 survive\n")


def test_a_rule_without_tests_survives_every_mistake(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(house)]) == 1
    assert capsys.readouterr().out.endswith(": 8 survive\n")


def test_tests_that_do_not_run_are_no_proof(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tests = [a_test({"degrees{": "35x10"}, ("5m", True))]
    write(house / "tests", {"rule_files": ["../rules/house.yml"], "evaluation_interval": "1m", "tests": tests})
    assert main(["--folder", str(house)]) == 1
    assert "promtool does not run house.yml with TooHot, > 30 -> 300:" in capsys.readouterr().err


def test_an_unknown_alert_is_named(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(house), "--alert", "TooCold"]) == 1
    assert capsys.readouterr().err == "no rule is called TooCold\n"


def test_promtool_that_is_nowhere_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TOOLS_PATH", "")
    monkeypatch.setattr(rules_mutation, "PROJECT", tmp_path)
    with pytest.raises(MutationError, match="promtool is not here: put it on PATH"):
        rules_mutation.find_promtool()

"""A figure is held against its target, and the file that keeps it says what it depends on."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from scripts.bench.__main__ import PARTS, main
from scripts.bench.checks import NotDone
from scripts.bench.cost import Figures, targets
from scripts.bench.results import Target, show_targets, write
from scripts.bench.variants import ALL_TRACED, BARE, METRICS_AND_LINE, ONE_IN_TEN, USUAL, USUAL_LEAN
from scripts.bench.worker import Round


def figures(**over_bare: float) -> dict[str, Figures]:
    """Each variant with what it adds to a bare route of 50 µs (µs), and 10 µs more where spans are sent."""
    names = {"bare": BARE, "line": METRICS_AND_LINE, "tenth": ONE_IN_TEN, "all": ALL_TRACED, "usual": USUAL}
    names["lean"] = USUAL_LEAN
    made = {}
    for key, name in names.items():
        seconds = (50 + over_bare.get(key, 0)) / 1e6
        slower = Round(seconds * 2, seconds * 2)
        made[name] = Figures([slower, Round(seconds, seconds), slower])
    return made


def verdicts(found: list[Target]) -> list[bool]:
    """Of those that have a limit."""
    return [target.met for target in found if target.limit is not None]


def test_the_fastest_round_counts_and_the_bare_route_is_subtracted() -> None:
    found = targets(figures(line=15, tenth=29, all=50, usual=400, lean=300))
    assert [round(target.value, 3) for target in found[:2]] == [15, 29]
    assert {round(target.value, 3) for target in found[2:]} == {0.125, 0.167}
    assert all(verdicts(found))


@pytest.mark.parametrize("missed", [{"line": 21}, {"tenth": 31}, {"all": 90}])
def test_each_target_can_be_missed(missed: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    found = targets(figures(**{"line": 15, "tenth": 29, "all": 50, "usual": 320, "lean": 280, **missed}))
    assert not all(verdicts(found))
    assert show_targets(Console(), found) is False
    assert "MISSED" in capsys.readouterr().out


def test_the_file_has_figures_targets_and_versions(tmp_path: Path) -> None:
    written = write(tmp_path / "new" / "x.json", {"figure": 1}, [Target("a", 2.0, 1.0, "µs")])
    read = json.loads((tmp_path / "new" / "x.json").read_text())
    assert read == written
    assert read["figure"] == 1
    assert read["targets"] == [{"name": "a", "value": 2.0, "limit": 1.0, "unit": "µs", "met": False}]
    assert read["packages"]["fastapi"][0].isdigit()
    assert {"date", "python", "processor", "cores"} <= set(read)


def test_a_missed_target_and_a_refused_variant_end_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(console: Console, results: Path) -> bool:
        raise NotDone("it makes no spans")

    monkeypatch.setitem(PARTS, "cost", refuse)
    monkeypatch.setitem(PARTS, "metrics", lambda console, results: True)
    monkeypatch.setitem(PARTS, "server", lambda console, results: False)
    arguments = ["--results", str(tmp_path)]
    assert main(["metrics", *arguments]) == 0
    assert main(["server", *arguments]) == 1
    assert main(["cost", *arguments]) == 1
    assert "it makes no spans" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["speed", *arguments])

"""The bench of the way from file to Loki, on few lines: it counts what it wrote, and says when lines are lost."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from scripts.bench import Skipped, shipping


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LINES": 3000, "WARM_LINES": 100, "STEADY_SECONDS": 2}.items():
        monkeypatch.setattr(shipping, name, value)


def measured(results: Path) -> tuple[bool, str]:
    console = Console(record=True, width=130)
    try:
        met = shipping.main(console, results)
    except Skipped as reason:
        pytest.skip(str(reason))
    return met, console.export_text()


def test_it_finds_every_line_and_writes_its_figures_with_their_targets(tmp_path: Path) -> None:
    _, text = measured(tmp_path)
    assert "none of 5,100 lost" in text
    result = json.loads((tmp_path / "shipping.json").read_text())
    assert result["lines"] == 3000 + 100 + 2 * shipping.STEADY_RATE
    assert 0.05 < result["found_p50"] <= result["found_p99"]
    targets = {target["name"]: target["met"] for target in result["targets"]}
    assert targets["lines lost"] is True
    assert "written to found, p99" in targets


def test_lines_that_do_not_arrive_are_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shipping.Bench.counted
    monkeypatch.setattr(shipping, "PATIENCE", 3.0)
    monkeypatch.setattr(shipping.Bench, "counted", lambda bench: real(bench) - 1)
    met, text = measured(tmp_path)
    assert not met
    assert "100 lines were written, and Loki finds 99" in text
    assert not (tmp_path / "shipping.json").exists()

"""One drill for real: backend, Prometheus, Alertmanager and alert-inbox as processes, at a twentieth of the time."""

from pathlib import Path

import pytest

from scripts.drill import stacks
from scripts.drill.__main__ import chosen
from scripts.drill.run import run
from scripts.local.apart import NotHere


@pytest.mark.timeout(400)
def test_a_fault_is_told_ends_and_is_told_to_be_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "FURTHER", ())  # what this alert needs
    said: list[str] = []
    try:
        with stacks.own(tmp_path, factor=20) as stack:
            results = run(stack, chosen("AIServiceDown"), said.append)
            nowhere = run(stack, chosen("LokiDown"), said.append)
    except NotHere as missing:
        pytest.skip(str(missing))
    (result,) = results
    assert result.fired
    assert result.delivered
    assert result.floor
    assert result.resolved, result.problem
    assert result.fired <= result.delivered
    assert 3 < result.floor < 30, "the minute of its `for` is three seconds here"
    assert "AIServiceDown pending" in said
    (skipped,) = nowhere
    assert skipped.not_run.startswith("loki does not run here")
    assert not skipped.problem

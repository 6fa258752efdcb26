"""The mistakes that drills make in configurations fit the configurations that there are."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.drill import broken
from scripts.drill.shorten import PROJECT
from tests.programs import program


def mistaken(file: str, change: Callable[[Any], None]) -> Any:
    config = yaml.safe_load((PROJECT / file).read_text())
    change(config)
    return config


def test_a_second_alertmanager_stands_beside_the_first() -> None:
    config = mistaken("prometheus/prometheus.yml", broken.second_alertmanager)
    (only,) = config["alerting"]["alertmanagers"]
    assert only["static_configs"] == [{"targets": ["alertmanager:9093", broken.NOBODY]}]


def test_the_watchdog_goes_to_a_second_address_and_nothing_else_does() -> None:
    before = yaml.safe_load((PROJECT / "monitoring/alertmanager/alertmanager.yml").read_text())
    after = mistaken("monitoring/alertmanager/alertmanager.yml", broken.second_webhook)
    changed = [new for old, new in zip(before["receivers"], after["receivers"], strict=True) if old != new]
    assert [one["name"] for one in changed] == ["watchdog"]
    assert changed[0]["webhook_configs"][-1] == {"url": f"http://{broken.NOBODY}/"}


@pytest.mark.parametrize(
    ("change", "accepted"), [(broken.metric_lost, True), (broken.second_alertmanager, True), (broken.unreadable, False)]
)
def test_prometheus_refuses_the_one_that_is_to_be_refused(
    change: Callable[[Any], None], accepted: bool, tmp_path: Path
) -> None:
    config = mistaken("prometheus/prometheus.yml", change)
    config["rule_files"] = []
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [program("promtool"), "check", "config", str(tmp_path / "prometheus.yml")]
    assert (subprocess.run(command, capture_output=True, check=False).returncode == 0) == accepted

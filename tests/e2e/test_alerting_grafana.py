"""Grafana's own alerts: provisioned into a real Grafana, silent until they are switched on, delivered then.

Everything happens at a thirtieth of the time, but for Grafana's evaluation, of which ten seconds is the shortest.
"""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from monitoring.rules import alerts, limit
from scripts.timing import shortened
from tests.e2e.alerting import Receiver, exposing, free_port, prometheus, receiving, running
from tests.e2e.stack import PROJECT, until
from tests.programs import look, program

pytestmark = pytest.mark.timeout(240)
PROVISIONING = PROJECT / "grafana/provisioning"
FACTOR = 30
SIX = {"HighErrorRate", "HighResponseTime", "LowDiskSpace", "HighMemoryUsage", "IndexingJobsFailing", "AIServiceDown"}


def rules() -> dict[str, dict[str, Any]]:
    """Grafana's rules by title."""
    (group,) = yaml.safe_load((PROVISIONING / "alerting/rules.yml").read_text())["groups"]
    return {rule["title"]: rule for rule in group["rules"]}


def test_they_are_the_specified_six_with_the_limits_times_and_labels_of_prometheus() -> None:
    theirs = {rule.name: rule for rule in alerts()}
    assert set(rules()) == SIX
    for title, rule in rules().items():
        (expression,) = [part["model"]["expression"] for part in rule["data"] if part["refId"] == rule["condition"]]
        assert float(re.split(r"[<>=]+ ", expression)[1]) == limit(title), title
        assert rule["for"] == theirs[title].hold
        assert rule["labels"] == dict(theirs[title].labels)
        assert rule["annotations"]["summary"] == theirs[title].annotations["summary"]
        onward = f"/d/{rule['dashboardUid']}?viewPanel={rule['panelId']}"
        for annotations in (rule["annotations"], theirs[title].annotations):
            assert annotations["dashboard"].endswith(onward)


def grafana_program() -> list[str]:
    """Grafana's server, with its home; skips by name where it is not."""
    path = look("grafana-server") or program("grafana")
    resolved = Path(path).resolve()
    homes = [
        home for home in (*resolved.parents[1:3], Path("/usr/share/grafana")) if (home / "conf/defaults.ini").is_file()
    ]
    if not homes:
        pytest.skip(f"{path} has no home folder with conf/defaults.ini beside it")
    return [path, *([] if path.endswith("-server") else ["server"]), f"--homepath={homes[0]}"]


@contextmanager
def grafana(folder: Path, prometheus: str, receiver: Receiver, executes: str) -> Iterator[str]:
    """A Grafana with the repository's provisioning, its data kept in the folder for the next one."""
    provisioning = folder / "provisioning"
    shutil.copytree(PROVISIONING, provisioning, dirs_exist_ok=True)
    shutil.rmtree(provisioning / "dashboards")
    for file in provisioning.rglob("*.yml"):
        text = file.read_text().replace("http://prometheus:9090", prometheus)
        text = text.replace("http://alert-inbox:8001", receiver.url).replace(
            "interval: 1m\n    rules", "interval: 5m\n    rules"
        )
        file.write_text(shortened(text, FACTOR) if file.parent.name == "alerting" else text)
    port = free_port()
    variables = {
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_PATHS_PROVISIONING": str(provisioning),
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "data"),
        "GF_PATHS_PLUGINS": str(folder / "data/plugins"),
        "GF_LOG_MODE": "console",
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Editor",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_UNIFIED_ALERTING_EXECUTE_ALERTS": executes,
    }
    address = f"http://127.0.0.1:{port}"
    with running(grafana_program(), f"{address}/api/health", folder / "grafana.log", variables):
        yield address


def listed(address: str) -> set[str]:
    """The rules that Grafana shows."""
    folders = httpx.get(f"{address}/api/ruler/grafana/api/v1/rules", timeout=10).raise_for_status().json()
    groups = [group for groups in folders.values() for group in groups]
    return {rule["grafana_alert"]["title"] for group in groups for rule in group["rules"]}


def test_they_are_listed_and_silent_until_they_are_switched_on(tmp_path: Path) -> None:
    values = {"ai_service_health": 0.0, "disk_free_percent": 50.0, "memory_usage_percent": 40.0}
    with exposing(values) as target, prometheus(tmp_path, target) as source, receiving() as receiver:
        with grafana(tmp_path, source, receiver, "false") as address:
            assert listed(address) == SIX
            time.sleep(25)  # two evaluations, had there been any
            assert receiver.received == []
        with grafana(tmp_path, source, receiver, "true") as address:
            assert listed(address) == SIX
            until(lambda: receiver.names(), "the AI provider's absence is told", seconds=60)
            alert = receiver.alerts()[0]
            assert (alert["labels"]["alertname"], alert["receiver"]) == ("AIServiceDown", "grafana")
            assert (alert["labels"]["severity"], alert["labels"]["service"]) == ("critical", "backend")
            assert "(health 0, 1 is well)" in alert["annotations"]["description"]
            assert alert["annotations"]["runbook_url"] == "http://localhost:8001/runbooks/AIServiceDown"
            assert alert["annotations"]["dashboard"] == "http://localhost:3000/d/ai-chat-analytics?viewPanel=2"
            values["ai_service_health"] = 1.0
            until(lambda: receiver.names(status="resolved"), "its return is told", seconds=60)
        assert set(receiver.names()) == {"AIServiceDown"}, "what is well is not told"

"""A real Prometheus whose Alertmanager is away while an alert fires: nothing is lost once it is back.

Everything happens at a thirtieth of the time: ten minutes are twenty seconds.
"""

import time
from pathlib import Path

import httpx

from tests.e2e.alerting import alertmanager, exposing, free_port, prometheus, receiving, routing
from tests.e2e.stack import until

FACTOR = 30
TEN_MINUTES = 600 / FACTOR


def firing(prometheus: str) -> list[str]:
    """What fires, by name, in Prometheus' eyes."""
    alerts = httpx.get(f"{prometheus}/api/v1/alerts", timeout=5).json()["data"]["alerts"]
    return [alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"]


def test_what_fires_while_alertmanager_is_away_is_told_when_it_is_back(tmp_path: Path) -> None:
    values = {"ai_service_health": 1.0, "disk_free_percent": 50.0, "memory_usage_percent": 40.0}
    port = free_port()
    with receiving() as receiver, exposing(values) as target, prometheus(tmp_path, target, port, FACTOR) as source:
        config = routing(tmp_path, receiver.url, FACTOR)
        with alertmanager(tmp_path, config, port):
            values["disk_free_percent"] = 5.0
            until(lambda: receiver.names() == ["LowDiskSpace"], "the first alert, before it goes away", seconds=20)
        values["ai_service_health"] = 0.0
        until(lambda: sorted(firing(source)) == ["AIServiceDown", "LowDiskSpace"], "both fire", seconds=20)
        time.sleep(TEN_MINUTES)
        assert receiver.names() == ["LowDiskSpace"]
        values["disk_free_percent"] = 50.0  # over before anybody can be told
        time.sleep(2 * 300 / FACTOR)  # keep_firing_for, and as much again
        with alertmanager(tmp_path, config, port):
            until(lambda: "AIServiceDown" in receiver.names("page"), "what fired meanwhile", seconds=20)
            until(lambda: "LowDiskSpace" in receiver.names("page", "resolved"), "what ended meanwhile", seconds=20)
            values["ai_service_health"] = 1.0
            until(lambda: "AIServiceDown" in receiver.names("page", "resolved"), "its end", seconds=20)
    assert receiver.names("page") == ["LowDiskSpace", "AIServiceDown"], "once each"
    down = next(alert for alert in receiver.alerts() if alert["labels"]["alertname"] == "AIServiceDown")
    assert "grafana_url" not in down["labels"], "what makes the links is not a label of the alert"
    assert down["annotations"]["runbook_url"] == "http://inbox.test/runbooks/AIServiceDown"
    assert down["annotations"]["dashboard"].startswith("http://grafana.test/d/")

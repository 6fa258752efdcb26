"""What is held back while something else is told: each inhibition of the routing, by a real Alertmanager."""

import time
from pathlib import Path

from tests.e2e.alerting import alertmanager, free_port, post, receiving, routing
from tests.e2e.stack import until
from tests.e2e.test_alerting_delivery import DAY, SOON, alert

FACTOR = 30
#: What is told and what is held back, by service: name, severity, and labels besides.
Told = tuple[str, str, dict[str, str]]
CASES: dict[str, tuple[list[Told], list[Told]]] = {
    "backend": (
        [("BackendDown", "critical", {}), ("CriticalUnresolved", "escalation", {"source_alert": "BackendDown"})],
        [
            ("AIServiceDown", "critical", {}),
            ("TargetDown", "warning", {}),
            ("CriticalUnresolved", "escalation", {"source_alert": "AIServiceDown"}),
        ],
    ),
    "a cause": (
        [("DatabaseUnreachable", "critical", {}), ("LowDiskSpace", "critical", {})],
        [
            ("HighErrorRate", "critical", {}),
            ("LatencyBudgetBurn", "critical", {"window": "1h"}),
            ("CriticalUnresolved", "escalation", {"source_alert": "HighErrorRate"}),
            ("IndexingStuck", "warning", {}),
        ],
    ),
    "a cause that is over": (
        [("FailureAftermath", "info", {"source_alert": "VectorStoreUnreachable"})],
        [
            ("HighErrorRateAbsolute", "critical", {}),
            ("CriticalUnresolved", "escalation", {"source_alert": "ChatSuccessBudgetBurn"}),
        ],
    ),
    "a cause that left a warning": (
        [("FailureAftermath", "info", {"source_alert": "VectorStoreUnreachable"})],
        [("RagSuccessLow", "warning", {})],
    ),
    "errors": (
        [("HighErrorRate", "critical", {}), ("LatencyBudgetBurn", "critical", {"window": "1h"})],
        [
            ("HighErrorRateAbsolute", "critical", {}),
            ("AvailabilityBudgetBurn", "critical", {"window": "1h"}),
            ("CriticalUnresolved", "escalation", {"source_alert": "HighErrorRateAbsolute"}),
        ],
    ),
    "errors that are over": (
        [("FailureAftermath", "info", {"source_alert": "HighErrorRate"})],
        [
            ("AvailabilityBudgetBurn", "critical", {"window": "1h"}),
            ("CriticalUnresolved", "escalation", {"source_alert": "ChatSuccessBudgetBurn"}),
        ],
    ),
    "new errors after others": (
        [("FailureAftermath", "info", {"source_alert": "HighErrorRate"}), ("HighErrorRate", "critical", {})],
        [],
    ),
    "another cause after one": (
        [("FailureAftermath", "info", {"source_alert": "DatabaseUnreachable"}), ("AIServiceDown", "critical", {})],
        [],
    ),
    "an outage that spent the budget": (
        [
            ("BudgetAftermath", "info", {"source_alert": "HighErrorRate"}),
            ("AvailabilityBudgetBurn", "critical", {"window": "1h"}),
        ],
        [
            ("LatencyBudgetBurn", "critical", {"window": "6h"}),
            ("CriticalUnresolved", "escalation", {"source_alert": "LatencyBudgetBurn", "window": "6h"}),
        ],
    ),
    "prometheus": ([("AlertmanagerDown", "critical", {})], [("PrometheusNotificationsFailing", "critical", {})]),
    "alert-inbox": ([("PromtailDown", "warning", {})], [("ServiceSilent", "warning", {})]),
}


def names(service: str, group: list[Told]) -> set[tuple[str, ...]]:
    return {(service, name, extra.get("source_alert", ""), extra.get("window", "")) for name, _, extra in group}


def test_what_follows_from_a_cause_is_held_back_and_what_does_not_is_told(tmp_path: Path) -> None:
    with (
        receiving() as receiver,
        alertmanager(tmp_path, routing(tmp_path, receiver.url, FACTOR, changes=DAY), free_port()) as address,
    ):
        post(
            address,
            *(
                alert(name, severity, service, **extra)
                for service, (told, held) in CASES.items()
                for name, severity, extra in (*told, *held)
            ),
        )
        expected = set().union(*(names(service, told) for service, (told, _) in CASES.items()))

        def arrived() -> set[tuple[str, ...]]:
            return {
                tuple(one["labels"].get(label, "") for label in ("service", "alertname", "source_alert", "window"))
                for one in receiver.alerts()
            }

        until(lambda: arrived() >= expected, "what is news is told", seconds=15)
        time.sleep(SOON)
        assert arrived() == expected


def test_an_inhibition_ends_with_its_cause(tmp_path: Path) -> None:
    """An aftermath's end is an end like any other: what still fires then is told."""
    with (
        receiving() as receiver,
        alertmanager(tmp_path, routing(tmp_path, receiver.url, FACTOR, changes=DAY), free_port()) as address,
    ):
        aftermath = alert("FailureAftermath", "info", source_alert="AIServiceDown")
        away = alert("FailureAftermath", "info", "alertmanager", source_alert="AlertmanagerDown")
        post(address, aftermath, alert("HighErrorRate"), away, alert("WatchdogNotArriving", service="alert-inbox"))
        until(lambda: receiver.names("log").count("FailureAftermath") == 2, "both are noted", seconds=10)
        assert set(receiver.names()) == {"FailureAftermath"}
        post(address, aftermath | {"endsAt": "2020-01-01T00:00:00Z", "startsAt": "2019-01-01T00:00:00Z"})
        until(lambda: "HighErrorRate" in receiver.names("page"), "errors that go on are told", seconds=15)

"""Where an alert is on its way: pending and firing in Prometheus or Loki, delivered and resolved in alert-inbox."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from scripts.drill.drills import Drill
from scripts.drill.floor import Rule
from scripts.drill.stacks import Stack

#: Of one look; the inbox's own clock says when it was told, so that this adds nothing to what is measured.
POLL_SECONDS = 0.2
_EXPLAINS = {"BackendDown", "AIServiceDown", "DatabaseUnreachable", "VectorStoreUnreachable", "HighErrorRate"}
_EXPLAINS |= {"FailureAftermath"}
#: One for all: a client of its own for each look would cost more than the look.
_client = httpx.Client(timeout=5, trust_env=False)


@dataclass
class Way:
    """One alert under way; each state with the Unix time at which it was reached."""

    drill: Drill
    rule: Rule
    pending: float | None = None
    firing: float | None = None
    delivered: float | None = None
    resolved: float | None = None

    @property
    def state(self) -> str:
        """The furthest state reached."""
        states = ("resolved", "delivered", "firing", "pending")
        return next((state for state in states if getattr(self, state) is not None), "nothing yet")


def evaluator(stack: Stack, rule: Rule) -> str:
    """Where the rule is evaluated."""
    return stack.address("loki" if rule.logs else "prometheus")


def _get(address: str, **parameters: str | float) -> Any:
    """What is answered; None from whoever is away, which may be the fault itself."""
    try:
        answer = _client.get(address, params=parameters)
        return answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return None


def _fits(labels: Mapping[str, str], drill: Drill) -> bool:
    wanted = {"alertname": drill.alert, **drill.labels}
    return all(labels.get(name) == value for name, value in wanted.items())


def active(stack: Stack, logs: bool) -> list[dict[str, Any]]:
    """The alerts that are pending or firing now."""
    path = f"{stack.address('loki')}/prometheus" if logs else stack.address("prometheus")
    answer = _get(f"{path}/api/v1/alerts")
    return list(answer["data"]["alerts"]) if answer else []


def is_firing(stack: Stack, drill: Drill, rule: Rule, any_labels: bool = False) -> bool:
    """Whether the alert fires now; with `any_labels`, whether any alert of its name does."""
    return any(
        one["state"] == "firing"
        and (one["labels"]["alertname"] == drill.alert if any_labels else _fits(one["labels"], drill))
        for one in active(stack, rule.logs)
    )


def holds_back(stack: Stack, service: str, severity: str) -> list[str]:
    """The names of firing alerts because of which Alertmanager would hold back others of this service.

    A warning is held back by everything critical, the rest by what explains it (monitoring/alertmanager).
    """
    return sorted(
        {
            one["labels"]["alertname"]
            for one in active(stack, logs=False)
            if one["state"] == "firing"
            and one["labels"].get("service") == service
            and (
                one["labels"]["alertname"] in _EXPLAINS
                or (severity == "warning" and one["labels"].get("severity") == "critical")
            )
        }
    )


def last_told(stack: Stack, alert: str) -> tuple[float, bool] | None:
    """When alert-inbox was last told of an alert of this name, and whether the end of one is yet to be told.

    None: it never was told.
    """
    told = _get(f"{stack.address('alert-inbox')}/alerts", alertname=alert) or []
    ended = {_which(one) for one in told if one["status"] == "resolved"}
    lasts = any(_which(one) not in ended for one in told)
    return (max(one["last_received_at"] for one in told), lasts) if told else None


def _which(told: Mapping[str, Any]) -> tuple[str, str]:
    return told["fingerprint"], told["startsAt"]


def look(stack: Stack, way: Way, since: float, ended: float | None) -> None:
    """Brings a way up to date. `since`: the fault's beginning; `ended`: its end, None while it lasts."""
    now = time.time()
    if way.firing is None:
        for one in active(stack, way.rule.logs):
            if _fits(one["labels"], way.drill):
                way.pending = way.pending or now
                if one["state"] == "firing":
                    way.firing = now
    for one in _get(f"{stack.address('alert-inbox')}/alerts", alertname=way.drill.alert, since=since) or []:
        if not _fits(one["labels"], way.drill):
            continue
        at = one["received_at"]
        if one["status"] == "firing" and at >= since:
            way.delivered = min(at, way.delivered or at)
            way.firing = way.firing or at
        if one["status"] == "resolved" and ended is not None and at >= ended:
            way.resolved = min(at, way.resolved or at)

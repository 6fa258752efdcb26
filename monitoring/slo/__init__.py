"""Objectives, read from monitoring/slo.yml, and the arithmetic of error budgets.

After "Alerting on SLOs", chapter 5 of Google's SRE workbook: multiple windows, multiple burn rates.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from monitoring import durations

FILE: Final = Path(__file__).resolve().parents[1] / "slo.yml"
_KEYS: Final = frozenset(
    {"name", "title", "alert", "objective", "promise", "events", "minimum_bad", "service", "dashboard"}
)


class SloError(Exception):
    """monitoring/slo.yml cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Alert:
    """Tell somebody when this share of the budget (0 to 1) went within the long window, and it goes on."""

    budget: float
    long: str
    short: str
    hold: str
    severity: str


@dataclass(frozen=True)
class Objective:
    """A promise. `objective` is the share of events (0 to 1) that have to be good; `bad` and `good`: one is empty."""

    name: str
    title: str
    alert: str
    objective: float
    promise: str
    events: str
    bad: str
    good: str
    minimum_bad: int
    service: str
    dashboard: str

    @property
    def budget(self) -> float:
        """The share of events that may be bad."""
        return round(1 - self.objective, 12)


@dataclass(frozen=True)
class Objectives:
    """The whole file."""

    window: str
    interval: str
    alerts: tuple[Alert, ...]
    objectives: tuple[Objective, ...]


def seconds(duration: str) -> int:
    """The length of a duration such as 30d or 1h30m. Raises SloError where it is none."""
    if not re.fullmatch(r"(\d+[smhdw])+", duration):
        raise SloError(f"{duration!r} is no duration such as 30d, 6h or 5m")
    return int(durations.seconds(duration))


def burn_rate(budget: float, long: str, window: str) -> float:
    """How many times too fast the budget is being spent when this share of it goes within the long window.

    Raises SloError below 1: the objective would be kept although somebody is told that it is not.
    """
    rate = round(budget * seconds(window) / seconds(long), 6)
    if rate < 1:
        raise SloError(
            f"{budget:.0%} of the budget of {window} within {long} is a burn rate of {rate:g}, at which the objective "
            "is kept: choose a larger share or a shorter long window"
        )
    return rate


def load(file: Path = FILE) -> Objectives:
    """The objectives. Raises SloError."""
    try:
        known = yaml.safe_load(file.read_text(encoding="utf-8"))
        return _objectives(known)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, SloError) as error:
        raise SloError(f"{file.name}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return f"the key {error} is missing" if isinstance(error, KeyError) else str(error)


def _objectives(known: Mapping[str, Any]) -> Objectives:
    alerts = tuple(
        Alert(_share(one["budget"]), one["long"], one["short"], one["for"], one["severity"]) for one in known["alerts"]
    )
    for alert in alerts:
        burn_rate(alert.budget, alert.long, known["window"])
        if seconds(alert.short) >= seconds(alert.long):
            raise SloError(f"the short window {alert.short} is not shorter than the long one, {alert.long}")
    objectives = tuple(_objective(one) for one in known["objectives"])
    names = [one.name for one in objectives] + [one.alert for one in objectives]
    if len(set(names)) < len(names):
        raise SloError("two objectives share a name or an alert")
    return Objectives(known["window"], known["interval"], alerts, objectives)


def _objective(one: Mapping[str, Any]) -> Objective:
    missing, strange = _KEYS - one.keys(), one.keys() - _KEYS - {"bad", "good"}
    if missing or strange or ("bad" in one) == ("good" in one):
        raise SloError(
            f"the objective {one.get('name', '')!r} needs exactly {', '.join(sorted(_KEYS))} and one of bad and good"
        )
    share = _share(one["objective"])
    if not 0 < share < 1:
        raise SloError(f"the objective {one['name']!r} has to lie between 0% and 100%: {one['objective']}")
    return Objective(**{"bad": "", "good": "", **one, "objective": share})


def _share(percent: str) -> float:
    """A share (0 to 1) from a text such as 99.9%."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)%", str(percent))
    if not found:
        raise SloError(f"{percent!r} is no share such as 99.9%")
    return round(float(found[1]) / 100, 12)

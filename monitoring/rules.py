"""Rules, read from prometheus/rules/ or a folder of Loki's: the one place where an alert's limit stands."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).resolve().parents[1] / "prometheus" / "rules"
#: A comparison with a number, such as `> 0.05`.
COMPARISON: Final = re.compile(r"(?P<operator>[=!<>]=|[<>])\s*(?P<number>-?\d+(?:\.\d+)?)(?![\w.])")


@dataclass(frozen=True)
class Rule:
    """An alert, or with `record` a series that is computed once for all who ask for it. Durations as in Prometheus."""

    file: str
    group: str
    name: str
    expr: str
    record: bool = False
    hold: str = ""
    keep: str = ""
    interval: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def read(folder: Path = FOLDER) -> list[Rule]:
    """Every rule, in the order of the files."""
    return [
        _rule(file.name, group, rule)
        for file in sorted(folder.glob("*.yml"))
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def alerts(folder: Path = FOLDER) -> list[Rule]:
    """Every alert. A name can occur more than once, with other labels."""
    return [rule for rule in read(folder) if not rule.record]


def limit(alert: str, folder: Path = FOLDER) -> float:
    """The first number that an alert compares with, in the unit of its expression.

    Raises ValueError where there is no such alert, or where it compares with no number.
    """
    if alert not in (known := _limits(folder)):
        raise ValueError(f"{folder} has no alert {alert} that compares with a number")
    return known[alert]


@cache
def _limits(folder: Path) -> Mapping[str, float]:
    """Every alert's, read once: dashboards ask for dozens, and reading the files takes a tenth of a second and more."""
    found: dict[str, float] = {}
    for rule in alerts(folder):
        if number := COMPARISON.search(rule.expr):
            found.setdefault(rule.name, float(number["number"]))
    return found


def _rule(file: str, group: Mapping[str, Any], rule: Mapping[str, Any]) -> Rule:
    return Rule(
        file=file,
        group=group["name"],
        name=rule.get("alert") or rule["record"],
        expr=rule["expr"],
        record="record" in rule,
        hold=rule.get("for", ""),
        keep=rule.get("keep_firing_for", ""),
        interval=group.get("interval", ""),
        labels=rule.get("labels", {}),
        annotations=rule.get("annotations", {}),
    )

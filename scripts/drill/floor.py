"""The floor of DESIGN.md: the soonest that an alert can be delivered after its fault.

Time until the expression can first hold + scrape interval + evaluation interval + `for` + group_wait. The first of
these is measured, not computed: after the run the alert's own expression is evaluated over it (query_range, of
Prometheus or of Loki), and the first moment at which it holds counts. That is what happened, with the counters and
lines that the rule saw; a simulation in promtool would have to invent them.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import yaml

from monitoring import rules as rule_files
from monitoring.durations import seconds
from scripts.drill.shorten import WINDOW


@dataclass(frozen=True)
class Rule:
    """An alert's rule. All times in seconds; `logs`: it is Loki's."""

    name: str
    expr: str
    hold: float
    keep: float
    evaluation: float
    logs: bool
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def window(self) -> float:
        """The longest window that the expression itself looks back over; 0 for none."""
        return max(map(seconds, WINDOW.findall(self.expr)), default=0.0)


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules(project: Path) -> list[Rule]:
    """Every alert of Prometheus and of Loki, in the order of the files."""
    evaluation = _yaml(project / "prometheus" / "prometheus.yml")["global"]["evaluation_interval"]
    folders = [project / "prometheus/rules", *sorted((project / "loki/rules").iterdir())]
    return [
        Rule(
            name=rule.name,
            expr=rule.expr,
            hold=seconds(rule.hold),
            keep=seconds(rule.keep),
            evaluation=seconds(rule.interval or evaluation),
            logs=(project / "loki") in folder.parents,
            labels=dict(rule.labels),
        )
        for folder in folders
        for rule in rule_files.alerts(folder)
    ]


def scrape_interval(project: Path) -> float:
    """Seconds between two scrapes."""
    return seconds(_yaml(project / "prometheus" / "prometheus.yml")["global"]["scrape_interval"])


def grouping(project: Path, severity: str, alertname: str = "") -> tuple[float, float]:
    """Alertmanager's group_wait and group_interval in seconds: of a severity, or of an alert with its own route."""
    root = _yaml(project / "monitoring" / "alertmanager" / "alertmanager.yml")["route"]
    own = [route for route in root["routes"] if f'severity="{severity}"' in route["matchers"]]
    within = [
        route for route in (own[0].get("routes", ()) if own else ()) if f'alertname="{alertname}"' in route["matchers"]
    ]
    route = {**root, **(own[0] if own else {}), **(within[0] if within else {})}
    return seconds(route["group_wait"]), seconds(route["group_interval"])


def quiet(project: Path, severity: str, now: datetime) -> str:
    """The name of the quiet hours that hold alerts of a severity back at `now`; empty if none do."""
    config = _yaml(project / "monitoring" / "alertmanager" / "alertmanager.yml")
    own = [route for route in config["route"]["routes"] if f'severity="{severity}"' in route["matchers"]]
    names = own[0].get("mute_time_intervals", []) if own else []
    for interval in [one for one in config["time_intervals"] if one["name"] in names]:
        for part in interval["time_intervals"]:
            clock = now.astimezone(ZoneInfo(part["location"])).strftime("%H:%M")
            if any(times["start_time"] <= clock < times["end_time"] for times in part["times"]):
                return str(interval["name"])
    return ""


def first_held(address: str, rule: Rule, start: float, end: float, step: float) -> float | None:
    """Unix time at which the expression first gave a result between `start` and `end`; None if it never did.

    Raises httpx.HTTPError.
    """
    path = "/loki/api/v1/query_range" if rule.logs else "/api/v1/query_range"
    parameters: dict[str, str | float] = {"query": rule.expr, "start": start, "end": end, "step": step}
    answer = httpx.get(address + path, params=parameters, timeout=60)
    answer.raise_for_status()
    series = answer.json()["data"]["result"]
    return min((float(one["values"][0][0]) for one in series), default=None)


def floor(rule: Rule, held_after: float, scrape: float, group_wait: float) -> float:
    """Seconds from the fault to the earliest delivery. Lines in Loki are not scraped."""
    return held_after + (0.0 if rule.logs else scrape) + rule.evaluation + rule.hold + group_wait

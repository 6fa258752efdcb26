"""The first page: the week that ends with the window, beside the one before it."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from monitoring import rules, slo
from monitoring.dashboards import links
from monitoring.dashboards.queries import in_shown_time, shared
from scripts.find.model import SourceError
from scripts.report.ask import Stores, spans
from scripts.report.board import Json, Window, fill
from scripts.report.stores import Series

WEEK: Final = 7 * 86_400.0
HOUR: Final = 3600.0
#: Fewer seconds of data than this before the week are nothing to compare with.
_LEAST: Final = HOUR
#: Alerts are counted to the minute: one a week fits into one answer of Prometheus.
_MINUTE: Final = 60.0
#: Forecasts beyond a year say nothing.
_YEAR: Final = 365 * 86_400.0
#: Of fewer seconds no trend is read; as the alert DiskFullInFourDays.
_TREND: Final = 6 * HOUR
_BUDGET: Final = slo.seconds(slo.load().window)

_EVENTS: Final = "sum_over_time(slo:{kind}:increase" + slo.load().interval + "[{window}])"
#: What is set beside last week: a title, a unit, and PromQL for one number over $__range.
_FIGURES: Final = (
    ("Requests", "short", 'sum(sum_over_time(slo:events:increase30s{slo="availability"}[$__range]))'),
    ("Questions", "short", in_shown_time("rag_queries_total")),
    ("Documents indexed", "short", in_shown_time("indexing_jobs_total", 'status="completed"')),
    ("Users, at most at once", "short", f"max_over_time(({shared('active_users_total')})[$__range:1m])"),
    ("Satisfaction, 1 to 5", "none", f"avg_over_time(({shared('user_satisfaction_score')} > 0)[$__range:1m])"),
    ("Tokens", "short", in_shown_time("ai_tokens_used_total")),
    ("Cost of AI", "currencyUSD", in_shown_time("ai_cost_usd_total")),
)
_ALERTS: Final = 'max by (alertname, severity) (ALERTS{alertstate="firing", severity!="none"})'
#: What may run out: a name, what is left, and who says so. The first that has data is told.
_DISKS: Final = (
    next(one.expr for one in rules.alerts() if one.name == "DiskFullInFourDays")
    .partition("predict_linear(")[2]
    .partition("[")[0],
    'disk_free_percent{job="backend"}',
)


class Week:
    """Asks for one report's first page."""

    def __init__(self, window: Window, stores: Stores) -> None:
        self._stores, self._zone = stores, window.zone
        self.this = Window(window.end - WEEK, window.end, window.zone)
        self.last = Window(window.end - 2 * WEEK, window.end - WEEK, window.zone)

    def page(self) -> Json:
        """All of it, for the template. Raises SourceError."""
        begins = self._number("min(min_over_time(timestamp(up)[14d:1m]))", self.this)
        if math.isnan(begins):
            raise SourceError("Prometheus has no data of these two weeks")
        covered = self.this.end - max(begins, self.this.start)
        compare = self.last.end - begins >= _LEAST
        objectives = self._objectives(compare)
        return {
            "this": self.this,
            "begins": begins if begins > self.last.start + _LEAST else None,
            "short": covered < WEEK - _LEAST,
            "covered": covered,
            "compare": compare,
            "objectives": objectives,
            "figures": self._figures(compare),
            "hours": self._hours(),
            "alerts": self._alerts(),
            "costs": self._costs(covered),
            "forecasts": [*self._disks(), *self._budgets(objectives)] if covered >= _TREND else [],
        }

    def _number(self, query: str, window: Window) -> float:
        found = self._stores.prometheus.instant(self._filled(query, window), window.end)
        return found[0].values[-1] if found else math.nan

    def _by(self, label: str, query: str, window: Window) -> dict[str, float]:
        found = self._stores.prometheus.instant(self._filled(query, window), window.end)
        return {one.labels.get(label, ""): one.values[-1] for one in found}

    def _filled(self, query: str, window: Window) -> str:
        return fill(query, {"instance": ".*", "__range": f"{window.seconds:.0f}s"})

    def _objectives(self, compare: bool) -> list[Json]:
        weeks = []
        for window in (self.this, self.last):
            events, bad = (
                self._by("slo", _EVENTS.format(kind=kind, window="7d"), window) for kind in ("events", "bad_events")
            )
            weeks.append({name: 1 - bad.get(name, 0.0) / count for name, count in events.items() if count > 0})
        left = self._by("slo", "slo:error_budget:remaining", self.this)
        return [
            {
                "one": one,
                "share": (share := weeks[0].get(one.name, math.nan)),
                "last": weeks[1].get(one.name, math.nan) if compare else math.nan,
                "met": None if math.isnan(share) else share >= one.objective,
                "left": left.get(one.name, math.nan),
            }
            for one in slo.load().objectives
        ]

    def _figures(self, compare: bool) -> list[Json]:
        weeks = (self.this, self.last) if compare else (self.this,)
        return [
            {"title": title, "unit": unit, "values": [self._number(query, one) for one in weeks]}
            for title, unit, query in _FIGURES
        ]

    def _hours(self) -> list[Json]:
        """The five in which most of a week's error budget was spent."""
        prometheus = self._stores.prometheus
        total = self._by("slo", _EVENTS.format(kind="events", window="7d"), self.this)
        # From full hour to full hour.
        hourly = prometheus.range(
            _EVENTS.format(kind="bad_events", window="1h"), replace(self.this, end=self.this.end + HOUR), HOUR
        )
        objectives = {one.name: one for one in slo.load().objectives}
        found: list[Json] = []
        for series in hourly:
            one = objectives.get(series.labels.get("slo", ""))
            if one is None or not total.get(one.name):
                continue
            for end, bad in zip(series.times, series.values, strict=True):
                if bad >= 1 and end > self.this.start:
                    spent = bad / (one.budget * total[one.name])
                    found.append({"start": end - HOUR, "end": end, "title": one.title, "bad": bad, "spent": spent})
        worst: dict[float, Json] = {}
        for hour in sorted(found, key=lambda hour: -hour["spent"]):
            worst.setdefault(hour["start"], hour)
        return [{**hour, "link": self._errors(hour)} for hour in list(worst.values())[:5]]

    def _errors(self, hour: Json) -> str:
        """An hour's errors in Grafana's Explore."""
        times = {"__from": f"{hour['start'] * 1000:.0f}", "__to": f"{hour['end'] * 1000:.0f}"}
        return self._stores.grafana + fill(str(links.error_logs().url), {"environment": quote(".*"), **times})

    def _alerts(self) -> list[Json]:
        """How often and how long, this week; how often last week."""
        weeks = [self._stores.prometheus.range(_ALERTS, window, _MINUTE) for window in (self.this, self.last)]
        before = {_name(one): len(spans(one.times, _MINUTE)) for one in weeks[1]}
        found = [
            {"name": _name(one), "severity": one.labels.get("severity", ""), "seconds": len(one.times) * _MINUTE,
             "count": len(spans(one.times, _MINUTE)), "before": before.get(_name(one), 0)} for one in weeks[0]
        ]  # fmt: skip
        return sorted(found, key=lambda one: -one["seconds"])

    def _costs(self, covered: float) -> list[Json]:
        """By model: the week's, and a month's at the same pace."""
        cost = in_shown_time("ai_cost_usd_total", by=("model",))
        return [
            {"model": model, "value": value, "month": value / covered * _YEAR / 12}
            for model, value in sorted(self._by("model", cost, self.this).items(), key=lambda one: -one[1])
        ]

    def _disks(self) -> list[Json]:
        """When each disk is full at the week's pace: where the line that predict_linear draws meets 0."""
        for series in _DISKS:
            if left := self._stores.prometheus.instant(series, self.this.end):
                pace = f"predict_linear({series}[7d], 0) / -(deriv({series}[7d]) < 0)"
                times = self._stores.prometheus.instant(pace, self.this.end)
                full = {_disk(one): one.values[-1] for one in times}
                return [
                    {"title": f"{disk} is full", "text": self._when(full.get(disk, math.inf))}
                    for disk in map(_disk, left)
                ]
        return [{"title": "Disks", "text": "nothing tells how full they are"}]

    def _budgets(self, objectives: Sequence[Json]) -> list[Json]:
        """When each error budget is spent at the week's pace."""
        found = []
        for one in objectives:
            burn = (1 - one["share"]) / one["one"].budget
            if not math.isnan(burn + one["left"]):
                spent = one["left"] <= 0
                text = "it is spent" if spent else self._when(one["left"] * _BUDGET / burn if burn else math.inf)
                found.append({"title": f"{one['one'].title}: budget spent", "text": text})
        return found

    def _when(self, seconds: float) -> str:
        if seconds > _YEAR:
            return "not within a year"
        moment = datetime.fromtimestamp(self.this.end, self._zone) + timedelta(seconds=seconds)
        return f"{moment:%a %d %b %Y, %H:%M}"


def _name(one: Series) -> str:
    return one.labels.get("alertname", "")


def _disk(one: Series) -> str:
    place = f"{one.labels['mountpoint']} on " if "mountpoint" in one.labels else "the disk of "
    return place + one.labels.get("instance", "?")


def week(window: Window, stores: Stores) -> Json:
    """The first page, or why there is none."""
    try:
        return Week(window, stores).page()
    except SourceError as error:
        return {"failed": str(error)}

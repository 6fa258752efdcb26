"""The rules that follow from the objectives, as the text of prometheus/rules/objectives.yml."""

from typing import Final

from monitoring.slo import Alert, Objective, Objectives, burn_rate, seconds

_HEAD: Final = """\
# Made from monitoring/slo.yml by `python -m monitoring.slo`: change that, not this.
#
# Events are counted every {interval}. All windows are sums of these counts: an hour with much traffic weighs more than
# one with little, and 30 days cost the same with one replica and with a hundred.
groups:
  - name: objectives
    interval: {interval}
    rules:
"""

_RECORD: Final = """\
      - record: {name}
        labels: {{slo: {slo}}}
        expr: {expr}
"""

_RECORD_ALL: Final = """\
      - record: {name}
        expr: {expr}
"""

_ALERT: Final = """\
      - alert: {objective.alert}
        expr: >-
          slo:burn_rate:ratio_{alert.long}{{slo="{objective.name}"}} > {rate:g}
          and slo:burn_rate:ratio_{alert.short}{{slo="{objective.name}"}} > {rate:g}
          and slo:bad_events:sum_{alert.long}{{slo="{objective.name}"}} >= {objective.minimum_bad}
        for: {alert.hold}
        keep_firing_for: {alert.hold}
        labels: {{severity: {alert.severity}, service: {objective.service}, window: {alert.long}}}
        annotations:
          summary: "{objective.title}: the error budget is being spent too fast"
          description: >-
            {{{{ $value | printf "%.1f" }}}} times as fast as it may be, over the last {alert.long}
            (limit {rate:g}: {alert.budget:.0%} of the budget in {alert.long}).
            Promised for {percent:g}% of {window}: {objective.promise}.
          runbook_url: "{{{{ $externalLabels.inbox_url }}}}/runbooks/{objective.alert}"
          dashboard: "{{{{ $externalLabels.grafana_url }}}}/d/{objective.dashboard}"
"""


def render(known: Objectives) -> str:
    """The whole file."""
    parts = [_HEAD.format(interval=known.interval)]
    for objective in known.objectives:
        parts += _counts(objective, known.interval)
    for window in sorted({known.window, *(w for a in known.alerts for w in (a.long, a.short))}, key=seconds):
        parts.append(_over(window, "bad_events", known.interval))
        parts.append(_over(window, "events", known.interval))
        ratio = f"slo:bad_events:sum_{window} / slo:events:sum_{window} / on (slo) (1 - slo:objective:ratio)"
        parts.append(_RECORD_ALL.format(name=f"slo:burn_rate:ratio_{window}", expr=ratio))
    spent = f"1 - slo:burn_rate:ratio_{known.window}"
    parts.append(_RECORD_ALL.format(name="slo:error_budget:remaining", expr=spent))
    alerts = [_alert(objective, alert, known.window) for objective in known.objectives for alert in known.alerts]
    return "".join(parts) + "\n" + "\n".join(alerts)


def _counts(objective: Objective, interval: str) -> list[str]:
    """What is counted of one objective, and what is promised."""
    events = f"sum(increase({objective.events}[{interval}]))"
    bad = f"sum(increase({objective.bad or objective.good}[{interval}]))"
    if objective.good:
        bad = f">-\n          {events}\n          - {bad}"
    records = (
        ("slo:objective:ratio", f"vector({objective.objective:g})"),
        (f"slo:events:increase{interval}", events),
        (f"slo:bad_events:increase{interval}", bad),
    )
    return [_RECORD.format(name=name, slo=objective.name, expr=expr) for name, expr in records]


def _over(window: str, what: str, interval: str) -> str:
    expr = f"sum_over_time(slo:{what}:increase{interval}[{window}])"
    return _RECORD_ALL.format(name=f"slo:{what}:sum_{window}", expr=expr)


def _alert(objective: Objective, alert: Alert, window: str) -> str:
    rate = burn_rate(alert.budget, alert.long, window)
    percent = round(100 * objective.objective, 6)
    return _ALERT.format(objective=objective, alert=alert, rate=rate, percent=percent, window=window)

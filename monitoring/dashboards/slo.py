"""SLO & Error Budgets: what was promised, whether it is kept, and how long the rest of the budget will last.

Made from monitoring/slo.yml: an objective that is added there is shown here.
"""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from monitoring import slo
from monitoring.dashboards import limits, links, shapes
from monitoring.dashboards.page import GRID_COLUMNS, Row, environment_chooser, render

UID: Final = "slo"

KNOWN: Final = slo.load()
_COUNTED: Final = (
    f"Counted every {KNOWN.interval} by the rules of prometheus/rules/objectives.yml, all replicas together"
)
_KEPT: Final = f"The window is {KNOWN.window}, or what Prometheus keeps (PROMETHEUS_RETENTION_TIME), if that is less"
_NOTHING_COUNTED: Final = "Nothing was counted yet"
_ALERTS: Final = f'alertname=~"{"|".join(one.alert for one in KNOWN.objectives)}", alertstate="firing"'
_ONWARDS: Final = [
    links.dashboard("Sistema Overview", "sistema-overview"),
    links.error_logs(),
    links.traces("Failed requests' traces", "{ kind = server && status = error }"),
]
#: How far apart the alerts on budgets are looked at. They fire for 2 minutes at least.
_LOOK: Final = "1m"


def build() -> str:
    """The dashboard as the text of its file."""
    width = GRID_COLUMNS // (2 * len(KNOWN.objectives))
    numbered = list(zip(range(10, 10 * len(KNOWN.objectives) + 10, 10), KNOWN.objectives, strict=True))
    rows: list[Row] = [
        (7, [(16, _kept()), (8, _fired())]),
        (6, [(width, panel) for base, one in numbered for panel in (_left(base, one), _used_up(base + 1, one))]),
        (5, [(24, _firing())]),
    ]
    for base, one in numbered:
        rows.append(f"{one.title}: {one.promise} ({100 * one.objective:g} % of {KNOWN.window})")
        rows.append((9, [(10, _burn_rate(base + 2, one)), (7, _course(base + 3, one)), (7, _bad(base + 4, one))]))
    return render(
        uid=UID,
        title="SLO & Error Budgets",
        description="What was promised to users, whether it is kept, and how much may still go wrong.",
        tags=["slo"],
        variables=[environment_chooser()],
        rows=rows,
        since="now-24h",
        points=1440,
    )


def _name(objective: slo.Objective) -> str:
    return objective.name.capitalize()


def _kept() -> model.Panel:
    about = shapes.About(
        id=1,
        title="What Was Promised, and Is It Kept?",
        read="A row for each objective: the share of events that has to be good, the share that was, how much of the "
        "error budget is left (below 0 the promise is broken), and how many events were bad, of how many.",
        comes_from=f"`slo:…` {_COUNTED}. {_KEPT}.",
        normal="Achieved above promised, and a budget that is left.",
        unit=shapes.SHARE,
        empty=_NOTHING_COUNTED,
        onwards=_ONWARDS,
        decimals=2,
    )
    bad, events = (f"max by (slo) (slo:{what}:sum_{KNOWN.window})" for what in ("bad_events", "events"))
    columns = [
        shapes.Column("max by (slo) (slo:objective:ratio)", "Promised", shapes.SHARE),
        shapes.Column(f"1 - {bad} / ({events} > 0)", "Achieved", shapes.SHARE),
        shapes.Column("max by (slo) (slo:error_budget:remaining) <= 1", "Budget left", shapes.SHARE),
        shapes.Column(bad, "Bad events", shapes.PLAIN, 0),
        shapes.Column(events, "Events", shapes.PLAIN, 0),
    ]
    return shapes.rows(about, shapes.Rows("slo", "Objective"), columns)


def _fired() -> model.Panel:
    about = shapes.About(
        id=2,
        title="Which Alerts Fired, and How Long?",
        read="How often each objective's alert began to fire within the shown time, and for how long it fired in all.",
        comes_from=f"`ALERTS`, looked at every {_LOOK}; an objective's alerts of several windows count as one.",
        normal="None. The same alert again and again is a cause that nobody mends, or a promise that cannot be kept.",
        unit=shapes.COUNT,
        empty="No budget was spent too fast in the shown time",
        onwards=[links.error_logs(), links.logs("Alerts in the logs", labels='service="alert-inbox"')],
        decimals=0,
    )
    firing = f"max by (alertname) (ALERTS{{{_ALERTS}}})"
    begun = f"{firing} unless max by (alertname) (ALERTS{{{_ALERTS}}} offset {_LOOK})"
    columns = [
        shapes.Column(f"count_over_time(({begun})[$__range:{_LOOK}])", "Times"),
        shapes.Column(
            f"{slo.seconds(_LOOK)} * count_over_time(({firing})[$__range:{_LOOK}])", "Firing for", shapes.SECONDS, 0
        ),
    ]
    return shapes.rows(about, shapes.Rows("alertname", "Alert"), columns)


def _firing() -> model.Panel:
    about = shapes.About(
        id=3,
        title="When Did Alerts on Budgets Fire?",
        read="Each block is a time in which an alert fired; several on top of each other are the same objective's fast "
        "and slow windows, or several objectives.",
        comes_from="`ALERTS` of the objectives' alerts, firing.",
        normal="Nothing.",
        unit=shapes.COUNT,
        empty="No budget was spent too fast in the shown time",
        onwards=[links.error_logs(), links.logs("Alerts in the logs", labels='service="alert-inbox"')],
        limits=limits.Limits(limits.BAD),
        low=0,
    )
    line = shapes.Line(f"count by (alertname) (ALERTS{{{_ALERTS}}})", "{{alertname}}")
    palette = (limits.BAD, limits.OTHER, limits.WARNING, limits.DEEP, limits.NEUTRAL)
    colours = dict(zip((one.alert for one in KNOWN.objectives), palette, strict=False))
    return shapes.time_series(about, [line], colours=colours, stacked=True)


def _left(number: int, objective: slo.Objective) -> model.Panel:
    slow = KNOWN.alerts[-1]
    about = shapes.About(
        id=number,
        title=f"{_name(objective)}: Budget Left",
        read=f"How much of the budget for “{objective.title}” is left. At 0 the promise is broken.",
        comes_from=f"`slo:error_budget:remaining`. {_COUNTED}. {_KEPT}.",
        normal=f"Above {slow.budget:.0%}: that much goes within {slow.long} before the slow alert tells anybody.",
        unit=shapes.SHARE,
        empty=_NOTHING_COUNTED,
        onwards=_ONWARDS,
        limits=limits.too_low(0.0, slow.budget, lowest=-1e9),
        decimals=1,
        low=0,
        high=1,
    )
    return shapes.dial(about, f'slo:error_budget:remaining{{slo="{objective.name}"}} <= 1')


def _used_up(number: int, objective: slo.Objective) -> model.Panel:
    never = f"not within {KNOWN.window}"
    about = shapes.About(
        id=number,
        title=f"{_name(objective)}: Used Up On",
        read="When nothing of the budget will be left if it goes on as in the last hour.",
        comes_from=f"What is left, over `slo:burn_rate:ratio_1h`. {_KEPT}.",
        normal=f"“{never}”: by then the oldest bad events are forgotten again.",
        unit=shapes.MOMENT,
        empty=_NOTHING_COUNTED,
        onwards=_ONWARDS,
        limits=limits.Limits(limits.MUTED, ((0.0, limits.GOOD), (1.0, limits.BAD), (2.0, limits.WARNING))),
    )
    left, rate = (
        f'{name}{{slo="{objective.name}"}}' for name in ("slo:error_budget:remaining", "slo:burn_rate:ratio_1h")
    )
    # 1 and 0 stand for the two words; anything else is milliseconds since 1970.
    date = f"1000 * (time() + {slo.seconds(KNOWN.window)} * ({left} / ({rate} > 0) < 1))"
    return shapes.number(
        about, f"({left} <= bool 0) == 1 or {date} or 0 * ({left} <= 1)", words={"0": never, "1": "used up"}
    )


def _burn_rate(number: int, objective: slo.Objective) -> model.Panel:
    known = {slo.burn_rate(one.budget, one.long, KNOWN.window): one for one in KNOWN.alerts}
    told = ", ".join(f"{rate:g} over {one.long} and {one.short} ({one.severity})" for rate, one in known.items())
    colours = {"critical": limits.BAD, "warning": limits.WARNING}
    about = shapes.About(
        id=number,
        title=f"{_name(objective)}: Burn Rate",
        read="How many times too fast the budget is being spent, looking back so far: at 1 it lasts just as long as "
        "the window. A short window says what happens now, a long one what it amounts to.",
        comes_from=f"`slo:burn_rate:ratio_…`. {_COUNTED}.",
        normal=f"Below 1. {objective.alert} fires above {told}, when both windows are (the dashed lines).",
        unit=shapes.PLAIN,
        empty="Nothing was asked, so that nothing could go wrong",
        onwards=_ONWARDS,
        limits=limits.Limits(limits.GOOD, tuple((rate, colours[known[rate].severity]) for rate in sorted(known))),
        decimals=1,
        low=0,
    )
    windows = sorted({window for one in KNOWN.alerts for window in (one.short, one.long)}, key=slo.seconds)
    lines = [shapes.Line(f'slo:burn_rate:ratio_{window}{{slo="{objective.name}"}}', window) for window in windows]
    return shapes.time_series(about, lines)


def _course(number: int, objective: slo.Objective) -> model.Panel:
    about = shapes.About(
        id=number,
        title=f"{_name(objective)}: How the Budget Went",
        read="What was left of the budget, over time. A step down is an incident; it climbs when one is forgotten.",
        comes_from=f"`slo:error_budget:remaining`. {_KEPT}.",
        normal="Flat, far above 0, the lower dashed line.",
        unit=shapes.SHARE,
        empty=_NOTHING_COUNTED,
        onwards=_ONWARDS,
        limits=limits.too_low(0.0, KNOWN.alerts[-1].budget),
        decimals=1,
        high=1,
    )
    line = shapes.Line(f'slo:error_budget:remaining{{slo="{objective.name}"}}', "left")
    return shapes.time_series(about, [line], colours={"left": limits.NEUTRAL})


def _bad(number: int, objective: slo.Objective) -> model.Panel:
    about = shapes.About(
        id=number,
        title=f"{_name(objective)}: Bad Events in an Hour",
        read=f"How many events were not as promised ({objective.promise}), in the hour before each point.",
        comes_from=f"`slo:bad_events:sum_1h`. {_COUNTED}.",
        normal=f"Few: fewer than {objective.minimum_bad} tell nobody, whatever the burn rate (the dashed line).",
        unit=shapes.COUNT,
        empty=_NOTHING_COUNTED,
        onwards=_ONWARDS,
        limits=limits.too_high(objective.minimum_bad),
        low=0,
    )
    line = shapes.Line(f'slo:bad_events:sum_1h{{slo="{objective.name}"}}', "bad")
    return shapes.time_series(about, [line], colours={"bad": limits.BAD})

"""Rules for one query: it parses, what it asks for exists, and it computes what it seems to compute."""

import re
from collections.abc import Iterator
from typing import Final

from monitoring.dashboards.exposition import FROM_TEMPO, Exposition, Series
from monitoring.dashboards.promql import WINDOWS, Step, Use, parse, uses
from monitoring.durations import seconds

# Every replica computes these from the shared store: a sum would count each as often as there are replicas.
SHARED_GAUGES: Final = frozenset(
    {
        "chat_sessions_active",
        "active_users_total",
        "indexing_jobs_by_status",
        "user_satisfaction_score",
        "faults_active",
    }
)
_OVER_TIME: Final = frozenset({"rate", "increase", "irate", "resets"})
# What Prometheus writes about its alerts, of whatever job they tell.
FROM_RULES: Final = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
_CUMULATIVE: Final = frozenset({"counter", "bucket", "sum", "count"})
_LEGEND_LABEL: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")

# promtail/promtail.yml: what else a line has is structured metadata.
STREAM_LABELS: Final = frozenset({"service", "environment", "level", "logger"})
_STREAMS: Final = re.compile(r"\{\s*(\w+\s*[=!]~?[^{}]*(?:\$\{[^}]*\}[^{}]*)*)\}")
_STREAM_LABEL: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*[\"`]")
_LINES_OVER: Final = re.compile(r"\[(\$\w+|\d+[a-z]+)\]")  # `[0]` is an index

# What the backend's spans and their process carry, backend/app/core/tracing.py and the calls that it traces.
ATTRIBUTES: Final = frozenset(
    {f"resource.{name}" for name in ("service.name", "service.version", "service.instance.id")}
    | {"resource.deployment.environment.name"}
    | {f"span.http.{name}" for name in ("request.method", "response.status_code", "route")}
    | {f"span.db.{name}" for name in ("system.name", "operation.name", "collection.name")}
    | {f"span.gen_ai.{name}" for name in ("operation.name", "provider.name", "request.model")}
    | {f"span.gen_ai.{name}" for name in ("usage.input_tokens", "usage.output_tokens", "response.finish_reasons")}
    | {"span.request.id", "span.error.type", "span.url.path", "span.indexing.format", "span.indexing.job.id"}
)
_ATTRIBUTE: Final = re.compile(r"\b(span|resource)\.([\w.]+)")

# These choose among series, and keep their labels and values.
_CHOOSING: Final = frozenset({"topk", "bottomk"})

# A rule's name and what is wrong, with what to do about it. Names are dashboard-linter's where it has the rule.
Fault = tuple[str, str]


def lint_query(
    query: str,
    exposition: Exposition,
    *,
    legend: str = "",
    instant: bool = False,
    replicas: bool = True,
    step: str = "",
) -> list[Fault]:
    """What is wrong with a query of a panel, an annotation or a variable.

    `replicas`: its page lets one choose replicas. `step`: its panel's own, for which a window may be just as long.
    """
    try:
        found = list(uses(parse(query)))
    except ValueError as error:
        return [("target-promql-rule", f"is not PromQL ({error}): {query}")]
    faults = [fault for use in found for fault in _lint_use(use, exposition, instant, replicas, step)]
    faults += _lint_legend(legend, found)
    return list(dict.fromkeys(faults))


def lint_lines(query: str, *, environments: bool = False, step: str = "", instant: bool = False) -> Iterator[Fault]:
    """What is wrong with LogQL beyond its grammar, which `judged` looks after.

    `environments`: its page lets one choose environments. `step`: as above. `instant`: asked once, over any window.
    """
    selectors = _STREAMS.findall(query)
    if not selectors:
        yield "target-logql-rule", f"has no stream selector: {query}"
    for selector in selectors:
        labels = _STREAM_LABEL.findall(selector)
        for label in sorted(set(labels) - STREAM_LABELS):
            yield "label-exists", f"no stream of Loki has a label {label}: filter for it behind the selector, by |"
        if environments and "environment" not in labels:
            yield "target-environment-rule", 'ignores the chosen environments: add environment=~"${environment:pipe}"'
    for window in _LINES_OVER.findall(query):
        if not instant and window not in ("$__interval", "$__range", step):
            yield "target-rate-interval-rule", f"counts lines over {window}, and not over $__interval or $__range"


def lint_traces(query: str) -> Iterator[Fault]:
    """What is wrong with TraceQL beyond its grammar, which `judged` looks after."""
    for scope, name in _ATTRIBUTE.findall(query):
        if f"{scope}.{name}" not in ATTRIBUTES:
            yield "attribute-exists", f"no span has {scope}.{name}: there are {', '.join(sorted(ATTRIBUTES))}"


def _lint_use(use: Use, exposition: Exposition, instant: bool, replicas: bool, step: str) -> Iterator[Fault]:
    series = exposition.get(use.metric)
    if series is None:
        yield "metric-exists", f"{use.metric or 'a selector without a name'} is exported by nothing"
        return
    yield from _lint_labels(use, series)
    if ":" in use.metric:
        yield from _lint_recorded(use, series, replicas)
        return
    yield from _lint_target(use, replicas)
    yield from _lint_kind(use, series)
    yield from _lint_window(use, instant, step)
    if series.kind == "bucket":
        yield from _lint_buckets(use)
    if "histogram_quantile" in [step.name for step in use.steps]:
        yield from _lint_quantile(use, series)


def _lint_labels(use: Use, series: Series) -> Iterator[Fault]:
    for matcher in use.matchers:
        if matcher.name not in series.labels:
            yield "label-exists", f"{use.metric} has no label {matcher.name}, which a matcher names"
    for step in use.steps:
        for label in (*(step.by or ()), *(step.without or ())):
            if label not in series.labels:
                yield "label-exists", f"{use.metric} has no label {label}, which {step.name} groups by"


def _lint_recorded(use: Use, series: Series, replicas: bool) -> Iterator[Fault]:
    """What its rule has not seen to, which sums, narrows to a job and has a window."""
    if use.function in ("rate", "increase", "irate"):
        yield "gauge-rate", f"{use.metric} is recorded, and no counter: its {use.function} means nothing"
    if use.window not in (None, WINDOWS["$__interval"], WINDOWS["$__range"]):
        yield (
            "target-rate-interval-rule",
            f"{use.metric} is not over $__interval: it would be counted twice or left out",
        )
    # `chosen` is on what is recorded both of all replicas and of each: whoever asks for one alone counts twice.
    for label in ("chosen", "instance") if replicas and "chosen" in series.labels else ():
        if label in series.labels and use.matcher(label) is None:
            yield "target-instance-rule", f"{use.metric} ignores the chosen replicas: ask by queries.recorded"
    if "_bucket:" in use.metric:
        yield from _lint_buckets(use)
        if "histogram_quantile" in [step.name for step in use.steps]:
            yield from _lint_quantile(use, Series("bucket", series.labels))


def _lint_target(use: Use, replicas: bool) -> Iterator[Fault]:
    if use.metric in FROM_RULES or use.metric in FROM_TEMPO:
        return
    if use.matcher("job") is None:
        yield "target-job-rule", f"{use.metric} is not narrowed to one job: other services may export it too"
    job = use.matcher("job")
    if replicas and job is not None and job.value == "backend" and use.matcher("instance") is None:
        yield "target-instance-rule", f'{use.metric} ignores the chosen replicas: add instance=~"$instance"'


def _lint_kind(use: Use, series: Series) -> Iterator[Fault]:
    if series.kind in _CUMULATIVE and use.function not in _OVER_TIME:
        yield "counter-rate", f"{use.metric} only ever grows and starts anew at 0: take its rate or increase"
    if series.kind not in _CUMULATIVE and use.function in _OVER_TIME:
        yield "gauge-rate", f"{use.metric} goes up and down: its {use.function} means nothing, use delta or deriv"
    nearest = _nearest_aggregation(use)
    if series.kind in _CUMULATIVE and (nearest is None or nearest.name != "sum"):
        yield "target-counter-agg-rule", f"{use.metric} is counted by each replica: sum it"
    if use.metric in SHARED_GAUGES and (nearest is None or nearest.name != "max"):
        yield "shared-gauge-max", f"{use.metric} is the same on every replica: take its max"


def _lint_window(use: Use, instant: bool, step: str) -> Iterator[Fault]:
    if use.window is None or use.window == WINDOWS["$__rate_interval"] or use.function not in _OVER_TIME:
        return
    if step and use.window.total_seconds() == seconds(step):
        return
    if use.window == WINDOWS["$__range"]:
        if not instant:
            yield "target-rate-interval-rule", f"{use.metric} over $__range belongs into an instant query"
        return
    yield "target-rate-interval-rule", f"{use.metric} over a window other than $__rate_interval or $__range"


def _lint_buckets(use: Use) -> Iterator[Fault]:
    nearest = _nearest_aggregation(use)
    kept = nearest is not None and (
        "le" in nearest.by if nearest.by is not None else "le" not in (nearest.without or ())
    )
    if not kept:
        yield "quantile-by-le", f"{use.metric} has to be summed by le: without it the buckets are one heap"


def _lint_quantile(use: Use, series: Series) -> Iterator[Fault]:
    names = [step.name for step in use.steps]
    before = use.steps[: names.index("histogram_quantile")]
    after = use.steps[names.index("histogram_quantile") + 1 :]
    if series.kind != "bucket":
        yield "quantile-of-buckets", f"histogram_quantile needs {use.metric}'s buckets"
    if any(step.aggregates and step.name not in _CHOOSING for step in before) or any(
        step.name == "avg" for step in after
    ):
        yield "quantile-of-averages", f"a quantile of {use.metric} and an average do not mix: sum the buckets first"


def _lint_legend(legend: str, found: list[Use]) -> Iterator[Fault]:
    for label in _LEGEND_LABEL.findall(legend):
        for use in found:
            outermost = next((step for step in use.steps if step.aggregates), None)
            if outermost is None or outermost.by is None or outermost.name in _CHOOSING:
                continue
            if label not in outermost.by:
                yield "legend-label", f"the legend names {label}, which {outermost.name} does not keep"


def _nearest_aggregation(use: Use) -> Step | None:
    return next((step for step in reversed(use.steps) if step.aggregates), None)

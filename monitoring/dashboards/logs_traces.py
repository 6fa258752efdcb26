"""Logs & Traces: one request by its id, who says how much, what takes long, and what was lost on the way."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards import limits, links, shapes
from monitoring.dashboards.page import environment_chooser, question, render

UID: Final = "logs-traces"

_ID: Final = "${request}.*"
_OWN: Final = f'| request_id=~"{_ID}" or trace_id=~"{_ID}"'
_REQUEST_TRACES: Final = f'{{ span.request.id =~ "{_ID}" }}'
_ONWARDS: Final = (
    links.logs("All lines in Explore"),
    links.traces("All requests' traces in Explore", "{ kind = server }"),
)
_NO_SPANS: Final = "Tempo has written no span metrics"
_LEVELS: Final = {
    "debug": limits.MUTED,
    "info": limits.NEUTRAL,
    "warning": limits.WARNING,
    "error": limits.BAD,
    "critical": limits.OTHER,
}


def build() -> str:
    """The dashboard as the text of its file."""
    request = question("request", "Request or trace id", "Whole, or how it begins; empty shows the newest of all")
    return render(
        uid=UID,
        title="Logs & Traces",
        description="One request by its id; who says how much; what takes long; what was lost on the way.",
        tags=["logs", "traces"],
        variables=[environment_chooser(), request],
        rows=[
            (11, [(24, _lines())]),
            (8, [(24, _traces())]),
            "Who says how much",
            (8, [(8, _by_level()), (8, _by_service()), (8, _error_share())]),
            "What takes long",
            (9, [(12, _slow()), (12, _span_p95())]),
            (8, [(8, _span_rate()), (8, _span_errors()), (8, _calls())]),
            "What was lost on the way",
            (7, [(12, _lines_lost()), (12, _spans_lost())]),
        ],
    )


def _lines() -> model.Panel:
    about = shapes.About(
        id=1,
        title="What Does This Request Say?",
        read="Type a request id (from an answer's `X-Request-ID`, or an error page) or a trace id at the top. Every "
        "line of that request, of every service, jobs that follow from it too. With no id: the newest 100 lines.",
        comes_from="Loki; the ids are structured metadata.",
        normal="An access line for each request that was answered.",
        unit=shapes.PLAIN,
        empty="No line of this request in the shown time: look at a longer one, or ask make find",
        onwards=_ONWARDS,
    )
    return shapes.log_lines(about, links.lines(_OWN))


def _traces() -> model.Panel:
    about = shapes.About(
        id=2,
        title="Where Did This Request Spend Its Time?",
        read="The trace of the request whose id stands at the top, and of the jobs that follow from it. A click opens "
        "the spans. With no id: the newest. A trace id is pasted into Explore instead; and where Grafana is too old "
        "to put the id in (9.3 is), so that this stays empty, a link at its top left leads to the same there.",
        comes_from="Tempo: spans with that `request.id`. Only what was sampled (OTEL_TRACES_SAMPLER_ARG).",
        normal="One trace a request.",
        unit=shapes.PLAIN,
        empty="No trace of this request in the shown time: it was not sampled, or is older",
        onwards=(links.traces("This request's traces in Explore", _REQUEST_TRACES), *_ONWARDS),
    )
    return shapes.trace_list(about, _REQUEST_TRACES)


def _counted(number: int, title: str, by: str, read: str, normal: str) -> model.Panel:
    about = shapes.About(
        id=number,
        title=title,
        read=read,
        comes_from=f"Loki: lines in each moment's window, by the label `{by}`.",
        normal=normal,
        unit=shapes.COUNT,
        empty="No line in this window",
        onwards=_ONWARDS,
        low=0,
    )
    counted = f"sum by ({by}) (count_over_time({links.lines()} [$__interval]))"
    return shapes.time_series(
        about,
        [shapes.Line(counted, f"{{{{{by}}}}}", source=links.LOKI)],
        stacked=True,
        colours=_LEVELS if by == "level" else None,
    )


def _by_level() -> model.Panel:
    return _counted(
        3,
        "How Bad Is What Is Said?",
        "level",
        "Lines by level. Errors that rise with the load are a part that fails now and then; without it, something new.",
        "Mostly info; errors few. LogErrorBurst fires above 100 errors in 5 minutes.",
    )


def _by_service() -> model.Panel:
    return _counted(
        4,
        "Who Says How Much?",
        "service",
        "Lines by service. One that falls silent while it works has lost its way to Loki.",
        "Each service writes at least its heartbeat, once a minute.",
    )


def _error_share() -> model.Panel:
    about = shapes.About(
        id=11,
        title="Which Share Is an Error?",
        read="Lines of level error and above among all lines of a service. What wrote no such line has none here.",
        comes_from="Loki: lines in each moment's window.",
        normal="No line at all.",
        unit=shapes.SHARE,
        empty="No line of level error or above in this window",
        onwards=(links.error_logs(), links.dashboard("Errors", "errors")),
        low=0,
    )
    bad, every = (
        f"sum by (service) (count_over_time({links.lines(labels=labels)} [$__interval]))"
        for labels in ('level=~"error|critical"', "")
    )
    return shapes.time_series(about, [shapes.Line(f"{bad} / {every}", "{{service}}", source=links.LOKI)])


def _slow() -> model.Panel:
    about = shapes.About(
        id=5,
        title="Which Requests Took Longest?",
        read="The newest requests that took longer than a second. A click shows which span took the time.",
        comes_from="Tempo: server spans longer than 1 s. Only what was sampled.",
        normal="Streamed answers, which last as long as they are read.",
        unit=shapes.PLAIN,
        empty="No traced request took longer than a second",
        onwards=(links.traces("More of them in Explore", "{ kind = server && duration > 1s }"), *_ONWARDS),
    )
    return shapes.trace_list(about, "{ kind = server && duration > 1s }")


def _spans(
    number: int, title: str, read: str, normal: str, unit: str, expr: str, empty: str = _NO_SPANS
) -> model.Panel:
    about = shapes.About(
        id=number,
        title=title,
        read=read,
        comes_from="Tempo's metrics generator, from every span that it was sent: `traces_spanmetrics_…`.",
        normal=normal,
        unit=unit,
        empty=empty,
        onwards=_ONWARDS,
        low=0,
    )
    return shapes.time_series(about, [shapes.Line(expr, "{{span_name}}")])


_CHOSEN: Final = '{environment=~"$environment"}'


def _span_p95() -> model.Panel:
    buckets = f"sum by (le, span_name) (rate(traces_spanmetrics_latency_bucket{_CHOSEN}[$__rate_interval]))"
    return _spans(
        6,
        "Which Part Is Slow?",
        "What nineteen of twenty spans of a kind stayed below, the ten slowest kinds: requests, database calls, "
        "searches, model calls, jobs.",
        "Stores some milliseconds, jobs and models longer. A part that climbs takes what contains it along.",
        shapes.SECONDS,
        f"topk(10, histogram_quantile(0.95, {buckets}) >= 0)",
    )


def _span_rate() -> model.Panel:
    return _spans(
        7,
        "What Is Done How Often?",
        "Spans per second, the ten most frequent kinds.",
        "In step with each other. Far more calls of a store than requests: something asks in a loop.",
        shapes.PER_SECOND,
        f"topk(10, sum by (span_name) (rate(traces_spanmetrics_calls_total{_CHOSEN}[$__rate_interval])))",
    )


def _span_errors() -> model.Panel:
    failed = 'status_code="STATUS_CODE_ERROR", environment=~"$environment"'
    return _spans(
        8,
        "Which Part Fails?",
        "Failed spans per second, by kind. What contains a failed part mostly fails as well: look for the smallest.",
        "None.",
        shapes.PER_SECOND,
        f"sum by (span_name) (rate(traces_spanmetrics_calls_total{{{failed}}}[$__rate_interval])) > 0",
        "No span failed in this window",
    )


def _calls() -> model.Panel:
    about = shapes.About(
        id=12,
        title="Who Calls Whom?",
        read="Calls per second, from whoever asks to whoever answers. A pair that is gone while its caller works "
        "is one that does not reach the other.",
        comes_from="Tempo's service graph, `traces_service_graph_request_total`, of every environment.",
        normal="In step with what is asked.",
        unit=shapes.PER_SECOND,
        empty="Tempo has seen no call between two services",
        onwards=(links.dashboard("API Performance", "api-performance"), *_ONWARDS),
        low=0,
    )
    rate = "sum by (client, server) (rate(traces_service_graph_request_total[$__rate_interval]))"
    return shapes.time_series(about, [shapes.Line(rate, "{{client}} → {{server}}")])


def _lost(number: int, title: str, what: str, expr: str, by: str, normal: str) -> model.Panel:
    about = shapes.About(
        id=number,
        title=title,
        read=f"{what} per second that were dropped before they left the backend, by {by}. A line at 0 says that it is "
        "counted, and that nothing is lost.",
        comes_from="The backend's own counters, all replicas.",
        normal=normal,
        unit=shapes.PER_SECOND,
        empty="No backend answers Prometheus",
        onwards=(links.dashboard("Stack Health", "stack-health"), *_ONWARDS),
        low=0,
    )
    return shapes.time_series(about, [shapes.Line(expr, f"{{{{{by}}}}}")])


def _lines_lost() -> model.Panel:
    return _lost(
        9,
        "Are Lines Lost?",
        "Lines",
        'sum by (level) (rate(log_messages_dropped_total{job="backend"}[$__rate_interval]))',
        "level",
        "0. Debug and info go first; LogMessagesDropped tells of any.",
    )


def _spans_lost() -> model.Panel:
    return _lost(
        10,
        "Are Spans Lost?",
        "Spans",
        'sum by (reason) (rate(trace_spans_dropped_total{job="backend"}[$__rate_interval]))',
        "reason",
        "0. A full queue: Tempo is away, or slower than what is sent; SpansDropped tells of it.",
    )

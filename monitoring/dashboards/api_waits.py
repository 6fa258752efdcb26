"""The panels of API Performance about what answers wait for."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards import limits, links, queries, shapes

SLOW: Final = links.traces("Slow requests' traces", "{ kind = server && duration > 1s }")
ERRORS: Final = links.dashboard("Errors", "errors")
RECORDED: Final = f"all chosen replicas, {queries.AS_RECORDED}"
_NOTHING_SCRAPED: Final = "No backend answers Prometheus"


def at_once() -> model.Panel:
    """Requests under way."""
    about = shapes.About(
        id=8,
        title="How Many at Once?",
        read="Requests that are being answered, by replica. It rises when more is asked, or when answers take longer.",
        comes_from="`http_requests_in_progress` of each chosen replica.",
        normal="A handful. At MAX_CONCURRENT_REQUESTS (200) more are turned away with 503.",
        unit=shapes.COUNT,
        empty=_NOTHING_SCRAPED,
        onwards=[SLOW, links.dashboard("Capacity Planning", "capacity")],
        low=0,
    )
    under_way = f"sum by (instance) ({queries.select('http_requests_in_progress')})"
    return shapes.time_series(about, [shapes.Line(under_way, "{{instance}}")])


def turned_away() -> model.Panel:
    """Answers of 503 and 429, and callers that left."""
    about = shapes.About(
        id=9,
        title="Who Was Turned Away, or Left?",
        read="Turned away: 503, because too much was asked at once or a part is away. Waits: 429, a queue is full "
        "or a key's rate is used up. Left: 499, the caller was gone before the answer.",
        comes_from="`http_requests_total` by status, all chosen replicas, without probes and scrapes.",
        normal="None. Callers that leave say that answers are too slow.",
        unit=shapes.REQUESTS_PER_SECOND,
        empty="Nobody was turned away, and nobody left",
        onwards=[ERRORS, links.logs("Their access lines", '|~ `"status": ?(503|429|499)\\b`')],
        low=0,
    )
    told = {"503": ("turned away (503)", limits.BAD), "429": ("to wait (429)", limits.WARNING)}
    told["499"] = ("left (499)", limits.MUTED)

    def rate(status: str) -> str:
        return queries.per_second("http_requests_total", queries.REAL_TRAFFIC, f'status="{status}"')

    lines = [shapes.Line(f"{rate(status)} > 0", name) for status, (name, _) in told.items()]
    return shapes.time_series(about, lines, colours=dict(told.values()), stacked=True, bars=shapes.STEP)


def loop_lag() -> model.Panel:
    """How late the event loop is."""
    about = shapes.About(
        id=10,
        title="Is the Event Loop Blocked?",
        read="How much later than planned the event loop came to a task, p95 by replica: every request of that replica "
        "waited as long.",
        comes_from="`event_loop_lag_seconds` of each chosen replica.",
        normal="A few milliseconds. The dashed line is EventLoopBlocked's; `GET /internal/profile` names the culprit.",
        unit=shapes.SECONDS,
        empty=_NOTHING_SCRAPED,
        onwards=[links.logs("Logs of this window"), SLOW],
        limits=limits.LOOP_LAG_SECONDS,
        low=0,
    )
    lag = queries.quantile(0.95, "event_loop_lag_seconds", by=("instance",))
    return shapes.time_series(about, [shapes.Line(lag, "{{instance}}")])


def _waits(
    number: int,
    title: str,
    histogram: str,
    by: str,
    what: str,
    normal: str,
    empty: str,
    *more: shapes.Line,
    recorded: bool = False,
) -> model.Panel:
    about = shapes.About(
        id=number,
        title=title,
        read=f"How long {what}, p95 by {by}. A dot is one of them; click it for its trace.",
        comes_from=f"`{histogram}`, {RECORDED if recorded else 'all chosen replicas together'}.",
        normal=normal,
        unit=shapes.SECONDS,
        empty=empty,
        onwards=[SLOW, links.error_logs()],
        low=0,
    )
    legend = f"{{{{{by}}}}}"
    if recorded:
        dots = shapes.Line(queries.dots(histogram), "one of them", exemplars=True)
        lines = [shapes.Line(queries.recorded_quantile(0.95, histogram, (by,)), legend), *more, dots]
    else:
        lines = [shapes.Line(queries.quantile(0.95, histogram, by=(by,)), legend, exemplars=True), *more]
    return shapes.time_series(about, lines)


def database_time() -> model.Panel:
    """Calls of the stores."""
    return _waits(
        11,
        "Do the Stores Answer in Time?",
        "database_duration_seconds",
        "operation",
        "calls of the document store, and searches in the vector store, took",
        "Some milliseconds. All operations slower together: the store or its disk; one alone: an index is missing.",
        "Nothing was asked of the stores",
        shapes.Line(queries.quantile(0.95, "vector_search_duration_seconds"), "vector search", exemplars=True),
        recorded=True,
    )


def ai_time() -> model.Panel:
    """Calls of AI models."""
    return _waits(
        12,
        "Does the Model Answer in Time?",
        "ai_response_duration_seconds",
        "type",
        "calls of AI models took, failed ones too",
        "Embeddings far below a second, chat a few. AIResponseSlow fires above 10 s.",
        "No call of an AI model in this window",
    )


def check_time() -> model.Panel:
    """The backend's health checks."""
    return _waits(
        13,
        "Do the Health Checks Answer in Time?",
        "health_check_duration_seconds",
        "check",
        "the backend's own checks of what it needs took",
        "Milliseconds. A check that climbs to its time limit is about to fail.",
        _NOTHING_SCRAPED,
        recorded=True,
    )

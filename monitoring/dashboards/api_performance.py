"""API Performance: how much is asked, how fast it is answered, whether that is usual, and what answers wait for."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards import limits, links, queries, shapes
from monitoring.dashboards.page import backend_choosers, render

UID: Final = "api-performance"

_NO_REQUEST: Final = "No request in this window"
_NOTHING_SCRAPED: Final = "No backend answers Prometheus"
_NO_WEEK: Final = "Nothing was recorded a week ago"
_BY_ENDPOINT: Final = ("endpoint",)
_SLOW: Final = links.traces("Slow requests' traces", "{ kind = server && duration > 1s }")
_FAILED: Final = links.traces("Failed requests' traces", "{ kind = server && status = error }")
_ERRORS: Final = links.dashboard("Errors", "errors")
_WHOLE: Final = "http_request_duration_seconds"
_RECORDED: Final = f"all chosen replicas, {queries.AS_RECORDED}"
_REAL: Final = f"{_RECORDED}, without probes and scrapes"


def build() -> str:
    """The dashboard as the text of its file."""
    return render(
        uid=UID,
        title="API Performance",
        description="Rate, errors and duration of the API, by endpoint, and beside the same hour of last week.",
        tags=["api"],
        variables=backend_choosers(),
        rows=[
            (9, [(24, _endpoints())]),
            (8, [(12, _rate()), (12, _p95())]),
            (8, [(12, _failures()), (12, _first_byte())]),
            "Is this usual?",
            (8, [(12, _rate_beside_last_week()), (12, _p95_beside_last_week())]),
            "What answers wait for",
            (8, [(8, _at_once()), (8, _turned_away()), (8, _loop_lag())]),
            (8, [(8, _database_time()), (8, _ai_time()), (8, _check_time())]),
        ],
    )


def _endpoints() -> model.Panel:
    about = shapes.About(
        id=1,
        title="Which Endpoint Is Slow or Fails?",
        read="A row for each endpoint that was asked within the shown time: how often, how fast (p50 the usual "
        "request, p95 the slowest of twenty), and which share ended in a 5xx. A click on a heading sorts.",
        comes_from=f"`http_requests_total` and `{_WHOLE}`, {_REAL}.",
        normal="No failed share; p95 below 2 s but for streamed answers, which last as long as they are read.",
        unit=shapes.COUNT,
        empty=_NO_REQUEST,
        onwards=[_SLOW, _FAILED, _ERRORS],
    )
    asked = queries.recorded_in_shown_time(*queries.REQUESTS, by=_BY_ENDPOINT)
    failed = queries.recorded_in_shown_time(*queries.REQUESTS, 'status=~"5.."', by=_BY_ENDPOINT)

    def quantile(share: float) -> str:
        return queries.recorded_quantile(share, _WHOLE, _BY_ENDPOINT, "$__range")

    columns = [
        shapes.Column(f"{asked} > 0", "Requests", shapes.COUNT, 0),
        shapes.Column(quantile(0.5), "p50", shapes.SECONDS),
        shapes.Column(quantile(0.95), "p95", shapes.SECONDS),
        shapes.Column(f"({failed} or 0 * {asked}) / ({asked} > 0)", "Failed", shapes.SHARE, 2),
    ]
    return shapes.rows(about, shapes.Rows("endpoint", "Endpoint"), columns)


def _rate() -> model.Panel:
    about = shapes.About(
        id=2,
        title="How Much Is Asked?",
        read="Requests per second, the endpoints on top of each other.",
        comes_from=f"`http_requests_total`, {_REAL}.",
        normal="The shape of your day; the panel below has last week's.",
        unit=shapes.REQUESTS_PER_SECOND,
        empty=_NO_REQUEST,
        onwards=[links.logs("Logs of this window"), links.dashboard("Usage", "usage")],
        low=0,
    )
    rate = queries.recorded_per_second(*queries.REQUESTS, by=_BY_ENDPOINT)
    return shapes.time_series(about, [shapes.Line(f"{rate} > 0", "{{endpoint}}")], stacked=True)


def _by_endpoint(histogram: str) -> list[shapes.Line]:
    return [
        shapes.Line(queries.recorded_quantile(0.95, histogram, _BY_ENDPOINT), "{{endpoint}}"),
        shapes.Line(queries.dots(histogram, queries.REAL_TRAFFIC), "a request", exemplars=True),
    ]


def _p95() -> model.Panel:
    about = shapes.About(
        id=3,
        title="How Long Do Answers Take?",
        read="What nineteen of twenty requests stayed below, by endpoint. A dot is one request; click for its trace.",
        comes_from=f"`{_WHOLE}`, {_REAL}.",
        normal="Below 2 s, the dashed line of HighResponseTime, which looks at all endpoints together.",
        unit=shapes.SECONDS,
        empty=_NO_REQUEST,
        onwards=[_SLOW, links.logs("Logs of this window")],
        limits=limits.RESPONSE_SECONDS,
        low=0,
    )
    return shapes.time_series(about, _by_endpoint(_WHOLE))


def _failures() -> model.Panel:
    about = shapes.About(
        id=4,
        title="Which Share Fails?",
        read="The share of an endpoint's requests that ended in a 5xx. Endpoints without a failure have no line.",
        comes_from=f"`http_requests_total`, {_REAL}.",
        normal="No line at all. The dashed lines are those of the availability objective and of HighErrorRate.",
        unit=shapes.SHARE,
        empty="No request failed in this window",
        onwards=[_ERRORS, _FAILED, links.error_logs()],
        limits=limits.ERROR_RATIO,
        low=0,
    )
    failed = queries.recorded(*queries.REQUESTS, 'status=~"5.."', by=_BY_ENDPOINT)
    asked = queries.recorded(*queries.REQUESTS, by=_BY_ENDPOINT)
    return shapes.time_series(about, [shapes.Line(f"({failed} > 0) / {asked}", "{{endpoint}}")])


def _first_byte() -> model.Panel:
    about = shapes.About(
        id=5,
        title="When Do Answers Begin?",
        read="Time to the first byte, p95 by endpoint: what a reader waits before anything happens, however long the "
        "answer streams. A dot is one request.",
        comes_from=f"`http_response_start_seconds`, {_REAL}.",
        normal="Below 0.3 s, which is the latency objective's limit.",
        unit=shapes.SECONDS,
        empty=_NO_REQUEST,
        onwards=[_SLOW, links.dashboard("SLO & Error Budgets", "slo")],
        low=0,
    )
    return shapes.time_series(about, _by_endpoint("http_response_start_seconds"))


def _beside_last_week(about: shapes.About, now: str, recorded: str) -> model.Panel:
    usual, spread = f"{recorded}_avg1h_1w", f"{recorded}_stddev1h_1w"
    lines = [
        shapes.Line(now, "now"),
        shapes.Line(usual, "last week"),
        shapes.Line(f"{usual} + 2 * {spread}", "last week, upper"),
        shapes.Line(f"clamp_min({usual} - 2 * {spread}, 0)", "last week, lower"),
    ]
    colours = {"now": limits.DEEP, "last week": limits.MUTED}
    colours |= {"last week, upper": limits.OTHER, "last week, lower": limits.OTHER}
    return shapes.time_series(about, lines, colours=colours)


_BAND: Final = (
    "The mean of last week's same hour, and two standard deviations above and below it, within which about nineteen "
    "of twenty moments lay. "
)


def _rate_beside_last_week() -> model.Panel:
    about = shapes.About(
        id=6,
        title="Requests, Beside Last Week",
        read=_BAND + "A line that leaves the band is a day that is not like the others: a campaign, an outage, a loop.",
        comes_from="`job:http_requests:rate5m` and what prometheus/rules/baselines.yml makes of it, of all replicas.",
        normal="Within the band. Until a week is on record there is only the line of now.",
        unit=shapes.REQUESTS_PER_SECOND,
        empty=_NO_WEEK,
        onwards=[links.dashboard("Usage", "usage"), links.logs("Logs of this window")],
        low=0,
    )
    return _beside_last_week(about, "job:http_requests:rate5m", "job:http_requests:rate5m")


def _p95_beside_last_week() -> model.Panel:
    about = shapes.About(
        id=7,
        title="Duration, Beside Last Week",
        read=_BAND + "Slower than the band at the usual load: look at what was deployed, and at what answers wait for.",
        comes_from="`job:http_request_duration_seconds:p95_rate5m` and prometheus/rules/baselines.yml, all replicas.",
        normal="Within the band, and below 2 s.",
        unit=shapes.SECONDS,
        empty=_NO_WEEK,
        onwards=[_SLOW, links.dashboard("Capacity Planning", "capacity")],
        limits=limits.RESPONSE_SECONDS,
        low=0,
    )
    recorded = "job:http_request_duration_seconds:p95_rate5m"
    return _beside_last_week(about, f"{recorded} >= 0", recorded)


def _at_once() -> model.Panel:
    about = shapes.About(
        id=8,
        title="How Many at Once?",
        read="Requests that are being answered, by replica. It rises when more is asked, or when answers take longer.",
        comes_from="`http_requests_in_progress` of each chosen replica.",
        normal="A handful. At MAX_CONCURRENT_REQUESTS (200) more are turned away with 503.",
        unit=shapes.COUNT,
        empty=_NOTHING_SCRAPED,
        onwards=[_SLOW, links.dashboard("Capacity Planning", "capacity")],
        low=0,
    )
    at_once = f"sum by (instance) ({queries.select('http_requests_in_progress')})"
    return shapes.time_series(about, [shapes.Line(at_once, "{{instance}}")])


def _turned_away() -> model.Panel:
    about = shapes.About(
        id=9,
        title="Who Was Turned Away, or Left?",
        read="Turned away: 503, because too much was asked at once or a part is away. Waits: 429, a queue is full "
        "or a key's rate is used up. Left: 499, the caller was gone before the answer.",
        comes_from="`http_requests_total` by status, all chosen replicas, without probes and scrapes.",
        normal="None. Callers that leave say that answers are too slow.",
        unit=shapes.REQUESTS_PER_SECOND,
        empty="Nobody was turned away, and nobody left",
        onwards=[_ERRORS, links.logs("Their access lines", '|~ `"status": ?(503|429|499)\\b`')],
        low=0,
    )
    told = {"503": ("turned away (503)", limits.BAD), "429": ("to wait (429)", limits.WARNING)}
    told["499"] = ("left (499)", limits.MUTED)

    def rate(status: str) -> str:
        return queries.per_second("http_requests_total", queries.REAL_TRAFFIC, f'status="{status}"')

    lines = [shapes.Line(f"{rate(status)} > 0", name) for status, (name, _) in told.items()]
    return shapes.time_series(about, lines, colours=dict(told.values()), stacked=True, bars=shapes.STEP)


def _loop_lag() -> model.Panel:
    about = shapes.About(
        id=10,
        title="Is the Event Loop Blocked?",
        read="How much later than planned the event loop came to a task, p95 by replica: every request of that replica "
        "waited as long.",
        comes_from="`event_loop_lag_seconds` of each chosen replica.",
        normal="A few milliseconds. The dashed line is EventLoopBlocked's; `GET /internal/profile` names the culprit.",
        unit=shapes.SECONDS,
        empty=_NOTHING_SCRAPED,
        onwards=[links.logs("Logs of this window"), _SLOW],
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
        comes_from=f"`{histogram}`, {_RECORDED if recorded else 'all chosen replicas together'}.",
        normal=normal,
        unit=shapes.SECONDS,
        empty=empty,
        onwards=[_SLOW, links.error_logs()],
        low=0,
    )
    legend = f"{{{{{by}}}}}"
    if recorded:
        dots = shapes.Line(queries.dots(histogram), "one of them", exemplars=True)
        lines = [shapes.Line(queries.recorded_quantile(0.95, histogram, (by,)), legend), *more, dots]
    else:
        lines = [shapes.Line(queries.quantile(0.95, histogram, by=(by,)), legend, exemplars=True), *more]
    return shapes.time_series(about, lines)


def _database_time() -> model.Panel:
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


def _ai_time() -> model.Panel:
    return _waits(
        12,
        "Does the Model Answer in Time?",
        "ai_response_duration_seconds",
        "type",
        "calls of AI models took, failed ones too",
        "Embeddings far below a second, chat a few. AIResponseSlow fires above 10 s.",
        "No call of an AI model in this window",
    )


def _check_time() -> model.Panel:
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

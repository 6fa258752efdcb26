"""API Performance: how much is asked, how fast it is answered, whether that is usual, and what answers wait for."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards import api_waits as waits
from monitoring.dashboards import limits, links, queries, shapes
from monitoring.dashboards.page import backend_choosers, render

UID: Final = "api-performance"

_NO_REQUEST: Final = "No request in this window"
_NO_WEEK: Final = "Nothing was recorded a week ago"
_BY_ENDPOINT: Final = ("endpoint",)
_FAILED: Final = links.traces("Failed requests' traces", "{ kind = server && status = error }")
_WHOLE: Final = "http_request_duration_seconds"
_REAL: Final = f"{waits.RECORDED}, without probes and scrapes"


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
            (8, [(8, waits.at_once()), (8, waits.turned_away()), (8, waits.loop_lag())]),
            (8, [(8, waits.database_time()), (8, waits.ai_time()), (8, waits.check_time())]),
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
        onwards=[waits.SLOW, _FAILED, waits.ERRORS],
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
        onwards=[waits.SLOW, links.logs("Logs of this window")],
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
        onwards=[waits.ERRORS, _FAILED, links.error_logs()],
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
        onwards=[waits.SLOW, links.dashboard("SLO & Error Budgets", "slo")],
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
        onwards=[waits.SLOW, links.dashboard("Capacity Planning", "capacity")],
        limits=limits.RESPONSE_SECONDS,
        low=0,
    )
    recorded = "job:http_request_duration_seconds:p95_rate5m"
    return _beside_last_week(about, f"{recorded} >= 0", recorded)

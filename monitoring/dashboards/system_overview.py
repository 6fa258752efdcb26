"""Sistema Overview: is it up, is it fast, is it used, does it work; and the way from there to everything."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards import limits, links, queries, shapes
from monitoring.dashboards.page import backend_choosers, render

UID: Final = "sistema-overview"
AI_UID: Final = "ai-chat-analytics"

_NOTHING_SCRAPED: Final = "No backend answers Prometheus"
_NO_REQUEST: Final = "No request in this window"


def build() -> str:
    """The dashboard as the text of its file."""
    return render(
        uid=UID,
        title="Sistema Overview",
        description="The whole system on one page: begin here, then follow a panel's links.",
        tags=["sistema", "overview"],
        variables=backend_choosers(),
        rows=[
            (7, [(6, _system_health()), (6, _active_users()), (12, _indexing_jobs())]),
            (9, [(12, _response_time()), (12, _error_rate())]),
            (8, [(24, _chat_messages())]),
        ],
    )


def _system_health() -> model.Panel:
    about = shapes.About(
        id=1,
        title="System Health",
        read="UP: every replica of the backend answers Prometheus. DOWN: none does, or there is none to ask. "
        "A percentage: that share of the replicas answers.",
        comes_from="Prometheus' own `up` for the job backend; 0 where the target does not exist.",
        normal="UP. How healthy an answering replica finds itself is in its `/health`.",
        unit=shapes.SHARE,
        empty="Prometheus does not answer",
        onwards=[
            links.error_logs(),
            links.traces("Failed requests' traces", "{ kind = server && status = error }"),
        ],
        limits=limits.REPLICAS_UP,
        decimals=0,
    )
    up = f"avg({queries.select('up')}) or vector(0)"
    return shapes.number(about, up, words={"0": "DOWN", "1": "UP"})


def _response_time() -> model.Panel:
    about = shapes.About(
        id=2,
        title="API Response Time",
        read="How long requests took: p50 is the usual one, p95 the slowest of twenty, p99 of a hundred. A "
        "streamed answer ends late although its reader has long begun: then the first byte is what counts. "
        "A dot is one request; click it for its trace.",
        comes_from="`http_request_duration_seconds` and `http_response_start_seconds`, all chosen replicas "
        f"together, without probes and scrapes, {queries.AS_RECORDED}.",
        normal="p95 below 2 s, the dashed line, above which HighResponseTime fires after five minutes.",
        unit=shapes.SECONDS,
        empty=_NO_REQUEST,
        onwards=[
            links.traces("Slow requests' traces", "{ kind = server && duration > 2s }"),
            links.logs("Logs of this window"),
        ],
        limits=limits.RESPONSE_SECONDS,
        low=0,
    )
    whole, start = "http_request_duration_seconds", "http_response_start_seconds"
    lines = [
        shapes.Line(queries.recorded_quantile(0.5, whole), "p50"),
        shapes.Line(queries.recorded_quantile(0.95, whole), "p95"),
        shapes.Line(queries.recorded_quantile(0.99, whole), "p99"),
        shapes.Line(queries.recorded_quantile(0.95, start), "p95 first byte"),
        shapes.Line(queries.dots(whole, queries.REAL_TRAFFIC), "a request", exemplars=True),
    ]
    return shapes.time_series(about, lines, colours={**limits.QUANTILES, "p95 first byte": limits.OTHER})


def _active_users() -> model.Panel:
    about = shapes.About(
        id=3,
        title="Active Users",
        read="Users who did something within the backend's window of activity.",
        comes_from="`active_users_total`: every replica reads it from the shared store, so the largest is "
        "shown and none is added.",
        normal="Whatever your day looks like: compare with the same hour of another day.",
        unit=shapes.COUNT,
        empty=_NOTHING_SCRAPED,
        onwards=[links.dashboard("AI & Chat Analytics", AI_UID)],
        decimals=0,
    )
    return shapes.number(about, queries.shared("active_users_total"))


def _chat_messages() -> model.Panel:
    about = shapes.About(
        id=4,
        title="Chat Messages Rate",
        read="Questions (human) and answers (assistant) per second. While the two lines cover each other "
        "every question is answered; a human line above the other is unanswered questions.",
        comes_from="`chat_messages_total`, all replicas.",
        normal="Both lines together. Zero means that nobody asks, not that something is broken.",
        unit=shapes.MESSAGES_PER_SECOND,
        empty=_NOTHING_SCRAPED,
        onwards=[
            links.dashboard("AI & Chat Analytics", AI_UID),
            links.logs("Logs about chat", '|= "chat"'),
        ],
        low=0,
    )
    lines = [shapes.Line(queries.per_second("chat_messages_total", by=("user_type",)), "{{user_type}}")]
    return shapes.time_series(about, lines, colours={"human": limits.NEUTRAL, "assistant": limits.WARNING})


def _indexing_jobs() -> model.Panel:
    about = shapes.About(
        id=5,
        title="Indexing Jobs Status",
        read="How many indexing jobs stand in each state now.",
        comes_from="`indexing_jobs_by_status`: counted in the shared store, the same on every replica.",
        normal="Few queued, at most a handful running, none failed. A queue that grows while nothing runs is stuck.",
        unit=shapes.COUNT,
        empty=_NOTHING_SCRAPED,
        onwards=[links.logs("Logs about indexing", '|~ "indexing|documents"')],
        decimals=0,
    )
    colours = {
        "queued": limits.MUTED,
        "running": limits.NEUTRAL,
        "completed": limits.GOOD,
        "failed": limits.BAD,
    }
    return shapes.rows(
        about,
        shapes.Rows("status", "Status", colours),
        [shapes.Column(queries.shared("indexing_jobs_by_status", by=("status",)), "Jobs")],
    )


def _error_rate() -> model.Panel:
    about = shapes.About(
        id=6,
        title="Error Rate",
        read="Share of requests that failed: 5xx is the service's fault, 4xx the caller's. Gone: the caller "
        "left before the answer (499), which rises when answers are slow.",
        comes_from=f"`http_requests_total`, all chosen replicas, without probes and scrapes, {queries.AS_RECORDED}. "
        "A ratio, so that it means the same at any load.",
        normal="5xx at 0, below 1 % and never above 5 % (the dashed lines). 4xx is a matter of who calls.",
        unit=shapes.SHARE,
        empty=_NO_REQUEST,
        onwards=[
            links.error_logs(),
            links.traces("Failed requests' traces", "{ kind = server && status = error }"),
        ],
        limits=limits.ERROR_RATIO,
        low=0,
    )

    def ratio(*status: str) -> str:
        return queries.share(queries.recorded(*queries.REQUESTS, *status), queries.recorded(*queries.REQUESTS))

    lines = [
        shapes.Line(ratio('status=~"5.."'), "5xx"),
        shapes.Line(ratio('status=~"4.."', 'status!="499"'), "4xx"),
        shapes.Line(ratio('status="499"'), "gone"),
    ]
    colours = {"5xx": limits.BAD, "4xx": limits.WARNING, "gone": limits.MUTED}
    return shapes.time_series(about, lines, colours=colours)

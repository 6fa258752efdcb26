"""Errors: what fails, where, since when, and why; from the count to the line and the trace."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards import limits, links, queries, shapes
from monitoring.dashboards.page import backend_choosers, render

UID: Final = "errors"

_ALL_WELL: Final = "Nothing failed in this window"
_LEVELS: Final = 'level=~"error|critical"'
#: Structured frames have the type of each exception; lines without one are left out, and so are lines that were cut.
_KINDS: Final = '|= "exc_type" | json kind="exception[0].exc_type" | __error__="" | kind!=""'
_FAILED: Final = links.traces("Failed requests' traces", "{ kind = server && status = error }")
_ONWARDS: Final = (links.error_logs(), _FAILED)
_RECORDED: Final = f", without probes and scrapes, {queries.AS_RECORDED}"


def build() -> str:
    """The dashboard as the text of its file."""
    return render(
        uid=UID,
        title="Errors",
        description="What fails, by endpoint, by part and by exception, with its lines and traces.",
        tags=["errors"],
        variables=backend_choosers(),
        rows=[
            (8, [(12, _by_endpoint()), (12, _by_status())]),
            (8, [(12, _ai()), (12, _rag())]),
            (7, [(8, _database()), (8, _browser()), (8, _credentials())]),
            "Exceptions",
            (8, [(14, _exceptions()), (10, _new_exceptions())]),
            "The lines and traces themselves",
            (12, [(24, _lines())]),
            (10, [(24, _traces())]),
        ],
    )


def _counted(
    number: int,
    title: str,
    counter: str,
    by: tuple[str, ...],
    read: str,
    normal: str,
    *matchers: str,
    recorded: tuple[str, str] | None = None,
) -> model.Panel:
    if recorded:
        rate = queries.recorded_per_second(*recorded, *matchers, by=by)
    else:
        rate = queries.per_second(counter, *matchers, by=by)
    about = shapes.About(
        id=number,
        title=title,
        read=f"{read} What did not fail has no line.",
        comes_from=f"`{counter}`, all chosen replicas{_RECORDED if recorded else ''}.",
        normal=normal,
        unit=shapes.PER_SECOND,
        empty=_ALL_WELL,
        onwards=_ONWARDS,
        low=0,
    )
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    return shapes.time_series(
        about,
        [shapes.Line(f"{rate} > 0", legend)],
        stacked=True,
        bars=shapes.STEP,
    )


def _by_endpoint() -> model.Panel:
    return _counted(
        1,
        "Where Do Requests Fail?",
        "http_requests_total",
        ("endpoint",),
        "Answers with a 5xx per second, by endpoint.",
        "None. One endpoint: its own code or the part that it needs; all of them: the store, or the process.",
        'status=~"5.."',
        recorded=queries.REQUESTS,
    )


def _by_status() -> model.Panel:
    return _counted(
        2,
        "With Which Status?",
        "http_requests_total",
        ("status",),
        "Answers with a 4xx or 5xx per second, by status. 4xx is the caller's: much of one kind is a client that is "
        "broken, or somebody who tries doors.",
        "Some 404 and 422; no 5xx. 503 is load that was shed or a part that is away, 499 a caller who left.",
        'status=~"[45].."',
        recorded=queries.REQUESTS,
    )


def _ai() -> model.Panel:
    return _counted(
        3,
        "Why Do Calls of the AI Fail?",
        "ai_errors_total",
        ("reason", "model"),
        "Failed calls of AI models per second, by reason. `circuit_open` follows from the others: the backend stopped "
        "asking for a while. `injected` is a fault made on purpose.",
        "None; now and then a `rate_limited` that the next try mended.",
    )


def _rag() -> model.Panel:
    return _counted(
        4,
        "Why Do Questions Get No Answer?",
        "rag_query_failures_total",
        ("reason",),
        "Questions per second that were not answered from documents, by reason. `no_match` says that nothing fitting "
        "is known, which is an answer too.",
        "`no_match` alone, and little of it.",
    )


def _database() -> model.Panel:
    return _counted(
        5,
        "Does the Database Refuse?",
        "database_errors_total",
        ("operation", "collection"),
        "Failed calls of the document store per second.",
        "None.",
    )


def _browser() -> model.Panel:
    return _counted(
        6,
        "What Breaks in the Browser?",
        "user_experience_errors_total",
        ("kind",),
        "Errors that users' browsers reported per second: scripts, promises that nobody caught, missing files.",
        "None. They are the only witnesses of a page that is broken while the API is well.",
    )


def _credentials() -> model.Panel:
    return _counted(
        7,
        "Who Is Refused?",
        "authentication_failures_total",
        ("reason",),
        "Requests per second whose key or token was refused, by reason.",
        "A few: people mistype. Many: a key that was revoked is still in use, or somebody guesses.",
    )


def _exceptions() -> model.Panel:
    about = shapes.About(
        id=8,
        title="Which Exceptions?",
        read="Lines with an exception, by its type, in each moment's window.",
        comes_from="Loki: `exception[0].exc_type` of lines of level error and above, all services.",
        normal="None. ExceptionSurge fires at more than 20 of one type in 5 minutes.",
        unit=shapes.COUNT,
        empty="No line with an exception in this window",
        onwards=_ONWARDS,
        low=0,
    )
    lines = links.lines(_KINDS, labels=_LEVELS)
    counted = f"sum by (service, kind) (count_over_time({lines} [$__interval]))"
    return shapes.time_series(about, [shapes.Line(counted, "{{service}} {{kind}}", source=links.LOKI)], stacked=True)


def _new_exceptions() -> model.Panel:
    about = shapes.About(
        id=9,
        title="Which Are New?",
        read="Types of exceptions of the hour before the shown time's end that nobody saw in the day before that hour, "
        "with the number of their lines.",
        comes_from="Loki: the hour against the 24 hours before it, all services.",
        normal="None. A new type right after a deployment is what was deployed.",
        unit=shapes.COUNT,
        empty="No exception that the day before did not have",
        onwards=_ONWARDS,
        limits=limits.too_high(1),
        decimals=0,
        low=0,
    )
    lines = links.lines(_KINDS, labels=_LEVELS)

    def counted(window: str) -> str:
        return f"sum by (service, kind) (count_over_time({lines} {window}))"

    expr = f"{counted('[1h]')} unless {counted('[24h] offset 1h')}"
    return shapes.number(about, expr, legend="{{service}} {{kind}}", by=links.LOKI)


def _lines() -> model.Panel:
    about = shapes.About(
        id=10,
        title="What Do the Errors Say?",
        read="The newest 100 lines of level error and above. A click opens one, with links to its trace and to all "
        "lines of its request.",
        comes_from="Loki, all services of the chosen environments.",
        normal="Few, and each with a cause that somebody knows.",
        unit=shapes.PLAIN,
        empty="No line of level error or above in this window",
        onwards=_ONWARDS,
    )
    return shapes.log_lines(about, links.lines(labels=_LEVELS))


def _traces() -> model.Panel:
    about = shapes.About(
        id=11,
        title="Where in the Request Did It Break?",
        read="The newest failed requests. A click on one shows its spans: the deepest red one is where it began.",
        comes_from="Tempo: server spans with an error. Only what was sampled (OTEL_TRACES_SAMPLER_ARG).",
        normal="None.",
        unit=shapes.PLAIN,
        empty="No failed request was traced in this window",
        onwards=_ONWARDS,
    )
    return shapes.trace_list(about, "{ kind = server && status = error }")

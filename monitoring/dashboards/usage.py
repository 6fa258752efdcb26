"""Usage: who comes, what they do, by day and by week; what it costs; and whether they are content."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards import limits, links, queries, shapes
from monitoring.dashboards.page import backend_choosers, model_chooser, render

UID: Final = "usage"

_NOTHING_SCRAPED: Final = "No backend answers Prometheus"
_AI: Final = links.dashboard("AI & Chat Analytics", "ai-chat-analytics")
_OVERVIEW: Final = links.dashboard("Sistema Overview", "sistema-overview")
_CHAT_LINES: Final = links.logs("Logs about chat", '|= "chat"')
_MODEL: Final = 'model=~"$model"'
# Grafana begins a step of a day at the browser's midnight, and one of a week on a Thursday, as 1 January 1970 was.
# Queries look ahead from there, so that a bar stands at its own date, and today's is there and grows.
_SPANS: Final = {
    "1d": "Each bar is the day that begins there, at midnight where the browser is; today's still grows.",
    "7d": "Each bar is the week that begins there, on a Thursday; this one's still grows. Choose a longer time.",
}
_SCORES: Final = dict(
    zip("12345", (limits.BAD, limits.WARNING, limits.MUTED, limits.NEUTRAL, limits.GOOD), strict=True)
)


def build() -> str:
    """The dashboard as the text of its file."""
    return render(
        uid=UID,
        title="Usage",
        description="Who comes and what they do, by day and by week; what it costs; whether they are content.",
        tags=["usage"],
        variables=[*backend_choosers(), model_chooser()],
        rows=[
            (
                5,
                [
                    (6, _now(1, "Users Now", "active_users_total")),
                    (6, _now(2, "Open Chats", "chat_sessions_active")),
                    (6, _questions()),
                    (6, _cost_of_month()),
                ],
            ),
            (8, [(12, _messages("1d", 5)), (12, _documents())]),
            (8, [(12, _ratings()), (12, _messages("7d", 8))]),
            "What it costs",
            (8, [(12, _tokens()), (12, _cost())]),
            "Are they content, and why",
            (9, [(12, _contentment()), (12, _felt())]),
        ],
        since="now-14d",
        points=2016,
    )


def _now(number: int, title: str, gauge: str) -> model.Panel:
    about = shapes.About(
        id=number,
        title=title,
        read="How many there are now.",
        comes_from=f"`{gauge}`: read by every replica from the shared store, so the largest is shown.",
        normal="Whatever your day looks like.",
        unit=shapes.COUNT,
        empty=_NOTHING_SCRAPED,
        onwards=[_OVERVIEW, _AI],
        decimals=0,
    )
    return shapes.number(about, queries.shared(gauge))


def _questions() -> model.Panel:
    about = shapes.About(
        id=3,
        title="Questions in All",
        read="Questions within the shown time.",
        comes_from="`chat_messages_total` of people, all chosen replicas.",
        normal="It grows while people find it useful.",
        unit=shapes.COUNT,
        empty=_NOTHING_SCRAPED,
        onwards=[_AI, _CHAT_LINES],
        decimals=0,
    )
    return shapes.number(about, queries.in_shown_time("chat_messages_total", 'user_type="human"'))


def _cost_of_month() -> model.Panel:
    about = shapes.About(
        id=4,
        title="At This Rate, a Month Costs",
        read="What the shown time cost, stretched to 30 days, against the month's budget: amber from 80 % of it, red "
        "when it will not do. Before it began, a stack counts as free: choose a time that it was there.",
        comes_from="`ai_cost_usd_total` of the chosen models, by the price table in the backend's settings; a model "
        "without a price, such as local, costs 0. The budget stands in monitoring/dashboards/limits.py.",
        normal=f"Below {limits.MONTHLY_BUDGET_USD:g} USD. AICostRunningAway watches the hour.",
        unit=shapes.DOLLARS,
        empty=_NOTHING_SCRAPED,
        onwards=[_AI],
        limits=limits.COST_OF_MONTH,
        decimals=2,
    )
    cost = f"sum(rate({queries.select('ai_cost_usd_total', _MODEL)}[$__range]))"
    return shapes.number(about, f"{cost} * 30 * 86400")


def _by_time(
    number: int,
    title: str,
    counter: str,
    by: str,
    window: str,
    read: str,
    normal: str,
    *matchers: str,
    unit: str = shapes.COUNT,
    colours: dict[str, str] | None = None,
) -> model.Panel:
    about = shapes.About(
        id=number,
        title=title,
        read=f"{read} {_SPANS[window]}",
        comes_from=f"`{counter}`, all chosen replicas.",
        normal=normal,
        unit=unit,
        empty=_NOTHING_SCRAPED,
        onwards=[_OVERVIEW, _AI],
        low=0,
    )
    counted = f"sum by ({by}) (increase({queries.select(counter, *matchers)}[{window}] offset -{window}))"
    line = shapes.Line(counted, f"{{{{{by}}}}}")
    return shapes.time_series(about, [line], stacked=True, bars=window, colours=colours)


def _messages(window: str, number: int) -> model.Panel:
    return _by_time(
        number,
        "Questions and Answers by Day" if window == "1d" else "Questions and Answers by Week",
        "chat_messages_total",
        "user_type",
        window,
        "Questions (human) and answers (assistant). As long as the two are alike, all questions are answered.",
        "Weekdays alike, weekends lower; a trend shows by the week.",
        colours={"human": limits.NEUTRAL, "assistant": limits.WARNING},
    )


def _documents() -> model.Panel:
    return _by_time(
        6,
        "Documents by Day",
        "indexing_files_processed_total",
        "format",
        "1d",
        "Documents that were indexed, by format.",
        "Whatever is uploaded. A format that vanished is a feed that broke.",
        'status="completed"',
    )


def _ratings() -> model.Panel:
    return _by_time(
        7,
        "Ratings by Day",
        "feedback_total",
        "score",
        "1d",
        "Ratings of answers, by score from 1 (useless) to 5 (just right).",
        "Mostly 4 and 5. Few ratings at all: nobody saw where to give them.",
        colours=_SCORES,
    )


def _tokens() -> model.Panel:
    return _by_time(
        9,
        "Tokens by Model and Day",
        "ai_tokens_used_total",
        "model",
        "1d",
        "Tokens in and out, by model.",
        "In step with the questions. More tokens for as many questions: prompts have grown.",
        _MODEL,
    )


def _cost() -> model.Panel:
    return _by_time(
        10,
        "Cost by Model and Day",
        "ai_cost_usd_total",
        "model",
        "1d",
        "What each model cost, by the price table in the backend's settings.",
        "0 for local. A day that costs twice the others has a cause: look at its questions and tokens.",
        _MODEL,
        unit=shapes.DOLLARS,
    )


def _contentment() -> model.Panel:
    about = shapes.About(
        id=11,
        title="Satisfaction, Beside What Could Explain It",
        read="All as shares, so that they can be compared: the mean score of the last hour's ratings out of 5; "
        "questions that were answered from documents; how well the best passage fitted (the median); "
        "first tokens that came within a second. What falls together with the score is worth a look.",
        comes_from="`user_satisfaction_score`, `rag_query_failures_total`, `rag_top_score`, "
        "`ai_time_to_first_token_seconds`, all chosen replicas.",
        normal="All near the top, and flat.",
        unit=shapes.SHARE,
        empty="Nobody asked and nobody rated in this window",
        onwards=[_AI, _CHAT_LINES],
        low=0,
        high=1,
    )
    failed, asked = (queries.per_second(f"rag_{name}_total") for name in ("query_failures", "queries"))
    first = "ai_time_to_first_token_seconds"
    soon = f"""{queries.per_second(f"{first}_bucket", 'le="1.0"', by=("le",))}"""
    lines = [
        shapes.Line(f"({queries.shared('user_satisfaction_score')} > 0) / 5", "mean score"),
        shapes.Line(f"1 - {queries.share(failed, asked)}", "answered"),
        shapes.Line(queries.quantile(0.5, "rag_top_score"), "best passage fits"),
        shapes.Line(f"sum({soon}) / ({queries.per_second(f'{first}_count')} > 0)", "first token within 1 s"),
    ]
    colours = {"mean score": limits.DEEP, "answered": limits.GOOD}
    colours |= {"best passage fits": limits.OTHER, "first token within 1 s": limits.WARNING}
    return shapes.time_series(about, lines, colours=colours)


def _felt() -> model.Panel:
    about = shapes.About(
        id=12,
        title="What Did They Feel?",
        read="What three of four visits to the page stayed below: the first token of an answer, the largest paint of "
        "the page, the delay of an interaction. Measured in users' own browsers. A dot is one visit.",
        comes_from="`user_experience_seconds`, as browsers report it, all chosen replicas.",
        normal="Largest paint below 2.5 s and interactions below 0.2 s are called good by those who defined them "
        "(web.dev, Core Web Vitals).",
        unit=shapes.SECONDS,
        empty="No browser reported anything in this window",
        onwards=[_OVERVIEW, links.logs("Logs of this window")],
        low=0,
    )
    felt = queries.quantile(0.75, "user_experience_seconds", by=("metric",))
    return shapes.time_series(about, [shapes.Line(felt, "{{metric}}", exemplars=True)])

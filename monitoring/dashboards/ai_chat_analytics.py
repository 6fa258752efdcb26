"""AI & Chat Analytics: who asks, how well and how fast it is answered, and what that costs."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards import limits, links, queries, shapes
from monitoring.dashboards.page import backend_choosers, model_chooser, render

UID: Final = "ai-chat-analytics"

_NOTHING_SCRAPED: Final = "No backend answers Prometheus"
_NO_QUESTION: Final = "No question in this window"
_NO_AI_CALL: Final = "No call of an AI model in this window"
_MODEL: Final = 'model=~"$model"'
_MODEL_TRACES: Final = "{ span.gen_ai.request.model != nil }"


def build() -> str:
    """The dashboard as the text of its file."""
    return render(
        uid=UID,
        title="AI & Chat Analytics",
        description="Questions and answers: how many, how good, how fast, at what cost.",
        tags=["ai", "chat"],
        variables=[*backend_choosers(), model_chooser()],
        rows=[
            (7, [(6, _chat_sessions()), (6, _rag_success()), (12, _token_usage())]),
            (9, [(12, _response_times()), (12, _vector_search())]),
            (8, [(12, _satisfaction()), (12, _first_token())]),
            (8, [(12, _retrieval_quality()), (12, _rag_failures())]),
            (8, [(12, _cost()), (12, _tokens_by_direction())]),
        ],
    )


def _chat_sessions() -> model.Panel:
    about = shapes.About(
        id=1,
        title="Chat Sessions Active",
        read="Chat sessions that are open now.",
        comes_from="`chat_sessions_active`: every replica reads it from the shared store, so the largest is "
        "shown and none is added.",
        normal="Follows the active users. Rising without them: sessions are opened and not closed.",
        unit=shapes.COUNT,
        empty=_NOTHING_SCRAPED,
        onwards=[links.dashboard("Sistema Overview", "sistema-overview")],
        decimals=0,
    )
    return shapes.number(about, queries.shared("chat_sessions_active"))


def _response_times() -> model.Panel:
    about = shapes.About(
        id=2,
        title="AI Response Time Distribution",
        read="Each column is a minute, each cell the answers that took so long: the brighter, the more. Two "
        "bright bands are two kinds of answer; a band that climbs is a model that slows down. A diamond "
        "is one answer; click it for its trace. An empty grid: nothing was asked; no grid: no backend answers.",
        comes_from="`ai_response_duration_seconds` of type chat, failed calls included.",
        normal="One narrow band that stays where it is.",
        unit=shapes.SECONDS,
        empty=_NO_AI_CALL,
        onwards=[
            links.traces("Traces with a model call", _MODEL_TRACES),
            links.error_logs(),
        ],
    )
    return shapes.heat(about, queries.bucket_counts("ai_response_duration_seconds", 'type="chat"', _MODEL))


def _rag_success() -> model.Panel:
    about = shapes.About(
        id=3,
        title="RAG Query Success Rate",
        read="Share of the questions within the shown time for which something fitting was found and an "
        "answer made of it.",
        comes_from="`rag_query_failures_total` over `rag_queries_total`. The gauge "
        "`rag_query_success_rate` is the backend's own figure over its own sliding window; this one "
        "follows the time that you choose.",
        normal="Above 90 %. The panel RAG Failures by Reason says what the rest died of.",
        unit=shapes.SHARE,
        empty=_NO_QUESTION,
        onwards=[
            links.logs("Logs about chat", '|= "chat"'),
            links.traces("Failed traces", "{ status = error }"),
        ],
        limits=limits.RAG_SUCCESS,
        decimals=1,
        low=0,
        high=1,
    )
    failed = queries.in_shown_time("rag_query_failures_total")
    asked = queries.in_shown_time("rag_queries_total")
    return shapes.dial(about, f"1 - {queries.share(failed, asked)}")


def _vector_search() -> model.Panel:
    about = shapes.About(
        id=4,
        title="Vector Search Performance",
        read="How long the search for fitting passages took: p50 is the usual one, p95 the slowest of "
        "twenty, p99 of a hundred. A dot is one search; click it for its trace.",
        comes_from="`vector_search_duration_seconds`, all replicas together.",
        normal="p95 below 100 ms, the lower dashed line, and flat while the collection grows.",
        unit=shapes.SECONDS,
        empty=_NO_QUESTION,
        onwards=[
            links.traces("Slow traces", "{ kind = server && duration > 500ms }"),
            links.logs("Logs about the vector store", '|= "vector"'),
        ],
        limits=limits.VECTOR_SEARCH_SECONDS,
        low=0,
    )
    search = "vector_search_duration_seconds"
    lines = [
        shapes.Line(queries.quantile(0.5, search), "p50"),
        shapes.Line(queries.quantile(0.95, search), "p95", exemplars=True),
        shapes.Line(queries.quantile(0.99, search), "p99"),
    ]
    return shapes.time_series(about, lines, colours=limits.QUANTILES)


def _token_usage() -> model.Panel:
    about = shapes.About(
        id=5,
        title="Token Usage by Model",
        read="What each model was asked, and used, within the shown time.",
        comes_from="`ai_requests_total`, `ai_tokens_used_total` and `ai_cost_usd_total`, the cost by the "
        "price table in the backend's settings; a model without a price, such as local, costs 0.",
        normal="The tokens of a call stay about the same. More tokens at the same number of calls: prompts have grown.",
        unit=shapes.COUNT,
        empty=_NOTHING_SCRAPED,
        onwards=[links.traces("Traces with a model call", _MODEL_TRACES)],
    )
    columns = [
        shapes.Column(queries.in_shown_time("ai_requests_total", _MODEL, by=("model",)), "Calls"),
        shapes.Column(queries.in_shown_time("ai_tokens_used_total", _MODEL, by=("model",)), "Tokens"),
        shapes.Column(queries.in_shown_time("ai_cost_usd_total", _MODEL, by=("model",)), "Cost", shapes.DOLLARS, 4),
    ]
    return shapes.rows(about, shapes.Rows("model", "Model"), columns)


def _satisfaction() -> model.Panel:
    about = shapes.About(
        id=6,
        title="User Satisfaction Scores",
        read="Mean of the users' scores for answers, from 1 (useless) to 5 (just right).",
        comes_from="`user_satisfaction_score`: the last hour's ratings in the shared store, the same on every replica.",
        normal="Above 3.5, the upper dashed line. With few ratings one person moves it.",
        unit=shapes.PLAIN,
        empty="No answer was rated in this window",
        onwards=[links.logs("Logs about feedback", '|= "feedback"')],
        limits=limits.SATISFACTION,
        decimals=2,
        low=1,
        high=5,
    )
    # Scores begin at 1: anything else says that there is no rating.
    mean = f"{queries.shared('user_satisfaction_score')} > 0"
    return shapes.time_series(about, [shapes.Line(mean, "mean score")], colours={"mean score": limits.NEUTRAL})


def _first_token() -> model.Panel:
    about = shapes.About(
        id=7,
        title="Time to First Token",
        read="How long a reader looks at an empty answer, by model: the usual one (p50) and the slowest of "
        "twenty (p95).",
        comes_from="`ai_time_to_first_token_seconds`, streamed answers.",
        normal="p95 below 1 s; at 2 s, the upper dashed line, people reload the page.",
        unit=shapes.SECONDS,
        empty=_NO_AI_CALL,
        onwards=[links.traces("Traces with a model call", _MODEL_TRACES)],
        limits=limits.FIRST_TOKEN_SECONDS,
        low=0,
    )
    first = "ai_time_to_first_token_seconds"
    lines = [
        shapes.Line(queries.quantile(0.5, first, _MODEL, by=("model",)), "{{model}} p50"),
        shapes.Line(queries.quantile(0.95, first, _MODEL, by=("model",)), "{{model}} p95", exemplars=True),
    ]
    return shapes.time_series(about, lines)


def _retrieval_quality() -> model.Panel:
    about = shapes.About(
        id=8,
        title="Retrieval Quality",
        read="How well the best passage that was found fits its question, from 0 to 1: for the median "
        "question, and for the worst tenth, where the wrong answers come from.",
        comes_from="`rag_top_score`, the cosine score of every question for which anything was found.",
        normal="Flat. Falling after a deployment: the embedding changed; falling slowly: people ask about "
        "what is not indexed.",
        unit=shapes.PLAIN,
        empty=_NO_QUESTION,
        onwards=[links.logs("Logs about chat", '|= "chat"')],
        decimals=2,
        low=0,
    )
    lines = [
        shapes.Line(queries.quantile(0.5, "rag_top_score"), "median question"),
        shapes.Line(queries.quantile(0.1, "rag_top_score"), "worst tenth"),
    ]
    return shapes.time_series(about, lines, colours={"median question": limits.NEUTRAL, "worst tenth": limits.BAD})


def _rag_failures() -> model.Panel:
    about = shapes.About(
        id=9,
        title="RAG Failures by Reason",
        read="Questions per second that could not be answered, by what was in the way.",
        comes_from="`rag_query_failures_total`, all replicas.",
        normal="Nothing, or a little no_match: people ask about what is not indexed. Any other reason is a "
        "part that fails.",
        unit=shapes.PER_SECOND,
        empty=_NOTHING_SCRAPED,
        onwards=[
            links.error_logs(),
            links.traces("Failed traces", "{ status = error }"),
        ],
        low=0,
    )
    failures = queries.per_second("rag_query_failures_total", by=("reason",))
    colours = {
        "no_match": limits.MUTED,
        "embedding": limits.NEUTRAL,
        "vector_store": limits.DEEP,
        "ai": limits.BAD,
        "timeout": limits.WARNING,
    }
    return shapes.time_series(about, [shapes.Line(failures, "{{reason}}")], colours=colours, stacked=True)


def _cost() -> model.Panel:
    about = shapes.About(
        id=10,
        title="AI Cost per Hour",
        read="What an hour at the present pace costs, by model.",
        comes_from="`ai_cost_usd_total`: tokens by the price table in the backend's settings. A model "
        "without a price, such as local, costs 0.",
        normal="Follows the questions. A step without more questions: a longer prompt or a dearer model.",
        unit=shapes.DOLLARS,
        empty=_NOTHING_SCRAPED,
        onwards=[links.traces("Traces with a model call", _MODEL_TRACES)],
        low=0,
    )
    hourly = f"3600 * {queries.per_second('ai_cost_usd_total', _MODEL, by=('model',))}"
    return shapes.time_series(about, [shapes.Line(hourly, "{{model}}")], stacked=True)


def _tokens_by_direction() -> model.Panel:
    about = shapes.About(
        id=11,
        title="Tokens by Direction",
        read="Tokens per second into the models (the question and the passages) and out of them (the answer).",
        comes_from="`ai_tokens_by_direction_total`, all replicas.",
        normal="Far more input than output. Input that grows alone: more or longer passages are sent along.",
        unit=shapes.TOKENS_PER_SECOND,
        empty=_NOTHING_SCRAPED,
        onwards=[links.traces("Traces with a model call", _MODEL_TRACES)],
        low=0,
    )
    tokens = queries.per_second("ai_tokens_by_direction_total", _MODEL, by=("direction",))
    colours = {"input": limits.NEUTRAL, "output": limits.WARNING}
    return shapes.time_series(about, [shapes.Line(tokens, "{{direction}}")], colours=colours, stacked=True)

"""SLO & Error Budgets: five good hours, then one in which 2 % fail, 10 % are slow, 20 % go unanswered."""

from tests.config.dashboards.numbers import A, Known, growing, in_turn

GOOD, BAD = 5 * 720, 720
ROUTE = f'{A}, endpoint="/api/v1/chat", method="POST"'
AVAILABILITY, LATENCY, CHAT = 'slo="availability"', 'slo="latency"', 'slo="chat"'
#: Of its budget for 30 days, each has used up so much by six hours of events.
USED = {AVAILABILITY: 144 / 43_200 / 0.01, LATENCY: 10_800 / 432_000 / 0.05, CHAT: 720 / 21_600 / 0.01}
LEFT = {objective: 1 - used for objective, used in USED.items()}
#: Seconds of 30 days, of the present moment.
WINDOW, NOW = 30 * 86_400, 6 * 3600


def burning(objective: str, five_minutes: float) -> tuple[dict[str, float], ...]:
    """The rates over 5 minutes, 30 minutes, an hour, six hours and three days: there are no more than six hours."""
    rates = (five_minutes, five_minutes, five_minutes, USED[objective], USED[objective])
    return tuple({objective: rate} for rate in rates)


KNOWN = Known(
    at="6h",
    series={
        **in_turn("http_requests_total", f'{ROUTE}, status="200"', (10, GOOD), (9.8, BAD + 5)),
        **in_turn("http_requests_total", f'{ROUTE}, status="500"', (0, GOOD), (0.2, BAD + 5)),
        **growing("http_requests_total", f'{A}, endpoint="/metrics", method="GET", status="500"', 7, 6 * 730),
        **in_turn("http_response_start_seconds_bucket", f'{ROUTE}, le="0.3"', (99, GOOD), (90, BAD + 5)),
        **growing("http_response_start_seconds_count", ROUTE, 100, 6 * 730),
        **growing("rag_queries_total", A, 5, 6 * 730),
        **in_turn("rag_query_failures_total", f'{A}, reason="ai"', (0, GOOD), (1, BAD + 5)),
        **growing("rag_query_failures_total", f'{A}, reason="no_match"', 2, 6 * 730),
    },
    panels={
        "What Was Promised, and Is It Kept?": (
            {AVAILABILITY: 0.99, LATENCY: 0.95, CHAT: 0.99},
            {AVAILABILITY: 1 - 144 / 43_200, LATENCY: 1 - 10_800 / 432_000, CHAT: 1 - 720 / 21_600},
            LEFT,
            {AVAILABILITY: 144, LATENCY: 10_800, CHAT: 720},
            {AVAILABILITY: 43_200, LATENCY: 432_000, CHAT: 21_600},
        ),
        # The rate of an hour passes 14.4 at 5:43:30, and the alert holds for two minutes: it is seen from 5:46 to 6:00.
        "Which Alerts Fired, and How Long?": (
            {'alertname="ChatSuccessBudgetBurn"': 1},
            {'alertname="ChatSuccessBudgetBurn"': 15 * 60},
        ),
        "When Did Alerts on Budgets Fire?": ({'alertname="ChatSuccessBudgetBurn"': 1},),
        "Availability: Budget Left": ({AVAILABILITY: LEFT[AVAILABILITY]},),
        "Latency: Budget Left": ({LATENCY: LEFT[LATENCY]},),
        "Chat: Budget Left": ({CHAT: LEFT[CHAT]},),
        # Milliseconds since 1970, which here began six hours ago; a budget that is used up already is 1.
        "Availability: Used Up On": ({AVAILABILITY: 1000 * (NOW + WINDOW * LEFT[AVAILABILITY] / 2)},),
        "Latency: Used Up On": ({LATENCY: 1000 * (NOW + WINDOW * LEFT[LATENCY] / 2)},),
        "Chat: Used Up On": ({CHAT: 1},),
        "Availability: Burn Rate": burning(AVAILABILITY, 2),
        "Latency: Burn Rate": burning(LATENCY, 2),
        "Chat: Burn Rate": burning(CHAT, 20),
        "Availability: How the Budget Went": ({AVAILABILITY: LEFT[AVAILABILITY]},),
        "Latency: How the Budget Went": ({LATENCY: LEFT[LATENCY]},),
        "Chat: How the Budget Went": ({CHAT: LEFT[CHAT]},),
        "Availability: Bad Events in an Hour": ({AVAILABILITY: 144},),
        "Latency: Bad Events in an Hour": ({LATENCY: 7200},),
        "Chat: Bad Events in an Hour": ({CHAT: 720},),
    },
)

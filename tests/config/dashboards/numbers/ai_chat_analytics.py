"""AI & Chat Analytics: two replicas, a model for answers and one for embeddings."""

from tests.config.dashboards.numbers import A, B, Known, buckets, constant, growing

GPT, EMBED = 'model="gpt"', 'model="embed"'

KNOWN = Known(
    series={
        **constant("chat_sessions_active", A, 4),
        **constant("chat_sessions_active", B, 5),
        # 20 questions every five seconds, of which one fails for want of a fitting passage and one by the model.
        **growing("rag_queries_total", A, 12),
        **growing("rag_queries_total", B, 8),
        **growing("rag_query_failures_total", f'{A}, reason="no_match"', 1),
        **growing("rag_query_failures_total", f'{B}, reason="ai"', 1),
        **growing("rag_query_failures_total", 'job="alert-inbox", instance="i", reason="ai"', 99),
        **growing("ai_requests_total", f'{A}, {GPT}, type="chat"', 1),
        **growing("ai_requests_total", f'{B}, {GPT}, type="chat"', 1),
        **growing("ai_requests_total", f'{A}, {EMBED}, type="embedding"', 3),
        **growing("ai_tokens_used_total", f'{A}, {GPT}, type="chat"', 900),
        **growing("ai_tokens_used_total", f'{B}, {GPT}, type="chat"', 600),
        **growing("ai_cost_usd_total", f"{A}, {GPT}", 0.01),
        **growing("ai_cost_usd_total", f"{B}, {GPT}", 0.005),
        **growing("ai_tokens_by_direction_total", f'{A}, {GPT}, direction="input"', 1200),
        **growing("ai_tokens_by_direction_total", f'{A}, {GPT}, direction="output"', 150),
        **growing("ai_tokens_by_direction_total", f'{B}, {GPT}, direction="output"', 150),
        **buckets("ai_response_duration_seconds", f'{A}, {GPT}, type="chat"', {"1": 1, "5": 3}),
        **buckets("ai_response_duration_seconds", f'{B}, {GPT}, type="chat"', {"1": 2, "5": 2, "+Inf": 3}),
        **buckets("ai_response_duration_seconds", f'{A}, {EMBED}, type="embedding"', {"1": 70, "5": 70}),
        # Of 100 searches 60 take up to 10 ms, 36 up to 50 ms, and 4 up to 100 ms.
        **buckets("vector_search_duration_seconds", A, {"0.01": 20, "0.05": 48, "0.1": 50}),
        **buckets("vector_search_duration_seconds", B, {"0.01": 40, "0.05": 48, "0.1": 50}),
        **constant("user_satisfaction_score", A, 4.25),
        **constant("user_satisfaction_score", B, 4.25),
        **buckets("ai_time_to_first_token_seconds", f"{A}, {GPT}", {"0.5": 10, "1": 15, "2": 20}),
        **buckets("ai_time_to_first_token_seconds", f"{B}, {GPT}", {"0.5": 10, "1": 15, "2": 20}),
        # Of ten best passages two fit up to 0.4, six up to 0.8, and two better.
        **buckets("rag_top_score", A, {"0.4": 2, "0.8": 8, "1": 10}),
    },
    panels={
        "Chat Sessions Active": (5,),
        "RAG Query Success Rate": (0.9,),
        # An hour has 720 samples.
        "Token Usage by Model": (
            {GPT: 1440, EMBED: 2160},
            {GPT: 1_080_000},
            {GPT: 10.8},
        ),
        # Within 65 s, thirteen samples.
        "AI Response Time Distribution": ({'le="1"': 39, 'le="5"': 65, 'le="+Inf"': 78},),
        "Vector Search Performance": (0.01 * 50 / 60, 0.01 + 0.04 * 35 / 36, 0.05 + 0.05 * 3 / 4),
        "User Satisfaction Scores": (4.25,),
        "Time to First Token": ({GPT: 0.5}, {GPT: 1.8}),
        "Retrieval Quality": (0.6, 0.2),
        "RAG Failures by Reason": ({'reason="no_match"': 1 / 5, 'reason="ai"': 1 / 5},),
        "AI Cost per Hour": ({GPT: 10.8},),
        "Tokens by Direction": ({'direction="input"': 240, 'direction="output"': 60},),
    },
)

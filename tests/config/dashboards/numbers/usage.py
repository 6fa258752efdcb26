"""Usage: three weeks in which every day is like the others, seen when two are over, a sample every five minutes."""

from tests.config.dashboards.numbers import A, B, Known, buckets, constant, growing

GPT = 'model="gpt"'
#: Three weeks, and a few more.
SAMPLES = 6060
DAY, WEEK, ALL = 288, 7 * 288, 14 * 288

KNOWN = Known(
    series={
        **constant("active_users_total", A, 6, SAMPLES),
        **constant("active_users_total", B, 7, SAMPLES),
        **constant("chat_sessions_active", A, 2, SAMPLES),
        **growing("chat_messages_total", f'{A}, user_type="human"', 1, SAMPLES),
        **growing("chat_messages_total", f'{B}, user_type="human"', 2, SAMPLES),
        **growing("chat_messages_total", f'{A}, user_type="assistant"', 2, SAMPLES),
        **growing("ai_cost_usd_total", f"{A}, {GPT}", 0.01, SAMPLES),
        **growing("ai_tokens_used_total", f'{A}, {GPT}, type="chat"', 900, SAMPLES),
        **growing("indexing_files_processed_total", f'{A}, format="pdf", status="completed"', 1, SAMPLES),
        **growing("indexing_files_processed_total", f'{A}, format="pdf", status="failed"', 5, SAMPLES),
        **growing("feedback_total", f'{A}, score="5"', 1, SAMPLES),
        **constant("user_satisfaction_score", A, 4.25, SAMPLES),
        **growing("rag_queries_total", A, 10, SAMPLES),
        **growing("rag_query_failures_total", f'{A}, reason="ai"', 1, SAMPLES),
        **buckets("rag_top_score", A, {"0.4": 2, "0.8": 8, "1": 10}, SAMPLES),
        **buckets("ai_time_to_first_token_seconds", f"{A}, {GPT}", {"0.5": 10, "1.0": 15, "2.0": 20}, SAMPLES),
        **buckets("user_experience_seconds", f'{A}, metric="first_token"', {"1": 4, "2": 8}, SAMPLES),
    },
    panels={
        "Users Now": (7,),
        "Open Chats": (2,),
        "Questions in All": (3 * ALL,),
        "At This Rate, a Month Costs": (0.01 * 30 * DAY,),
        "Questions and Answers by Day": ({'user_type="human"': 3 * DAY, 'user_type="assistant"': 2 * DAY},),
        "Documents by Day": ({'format="pdf"': DAY},),
        "Ratings by Day": ({'score="5"': DAY},),
        "Questions and Answers by Week": ({'user_type="human"': 3 * WEEK, 'user_type="assistant"': 2 * WEEK},),
        "Tokens by Model and Day": ({GPT: 900 * DAY},),
        "Cost by Model and Day": ({GPT: 0.01 * DAY},),
        "Satisfaction, Beside What Could Explain It": (0.85, 0.9, 0.4 + 0.4 * 3 / 6, 0.75),
        "What Did They Feel?": ({'metric="first_token"': 1.5},),
    },
    at="14d",
    until="21d",
    step="5m",
    recorded_every="5m",
)

"""Errors: some of everything fails, and as much succeeds or is somebody else's."""

from tests.config.dashboards.numbers import A, B, Known, growing

CHAT, PROBE = 'endpoint="/api/v1/chat", method="POST"', 'endpoint="/health/live", method="GET"'

KNOWN = Known(
    series={
        **growing("http_requests_total", f'{A}, {CHAT}, status="200"', 50),
        **growing("http_requests_total", f'{A}, {CHAT}, status="500"', 1),
        **growing("http_requests_total", f'{B}, {CHAT}, status="500"', 1),
        **growing("http_requests_total", f'{B}, {CHAT}, status="422"', 3),
        **growing("http_requests_total", f'{A}, {PROBE}, status="503"', 900),
        **growing("ai_errors_total", f'{A}, model="gpt", type="chat", reason="timeout"', 2),
        **growing("ai_errors_total", f'{B}, model="gpt", type="chat", reason="timeout"', 1),
        **growing("ai_errors_total", f'{B}, model="gpt", type="chat", reason="connection"', 0),
        **growing("rag_query_failures_total", f'{A}, reason="no_match"', 5),
        **growing("database_errors_total", f'{A}, operation="find", collection="chunks"', 0.5),
        **growing("user_experience_errors_total", f'{B}, kind="script"', 1),
        **growing("authentication_failures_total", f'{A}, reason="unknown"', 4),
        **growing("authentication_failures_total", 'job="alert-inbox", instance="i", reason="unknown"', 9),
    },
    panels={
        "Where Do Requests Fail?": ({'endpoint="/api/v1/chat"': 0.4},),
        "With Which Status?": ({'status="500"': 0.4, 'status="422"': 0.6},),
        "Why Do Calls of the AI Fail?": ({'model="gpt", reason="timeout"': 0.6},),
        "Why Do Questions Get No Answer?": ({'reason="no_match"': 1},),
        "Does the Database Refuse?": ({'collection="chunks", operation="find"': 0.1},),
        "What Breaks in the Browser?": ({'kind="script"': 0.2},),
        "Who Is Refused?": ({'reason="unknown"': 0.8},),
    },
)

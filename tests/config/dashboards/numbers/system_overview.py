"""Sistema Overview: two replicas, one of which does not answer Prometheus, under a load that never changes."""

from tests.config.dashboards.numbers import A, B, Known, buckets, constant, growing

CHAT, PROBE = 'endpoint="/api/v1/chat", method="POST"', 'endpoint="/health/live", method="GET"'

KNOWN = Known(
    series={
        **constant("up", A, 1),
        **constant("up", B, 0),
        **constant("up", 'job="loki", instance="loki:3100"', 1),
        # Read by each from the shared store, by one a little later.
        **constant("active_users_total", A, 6),
        **constant("active_users_total", B, 7),
        **constant("indexing_jobs_by_status", f'{A}, status="queued"', 2),
        **constant("indexing_jobs_by_status", f'{B}, status="queued"', 2),
        **constant("indexing_jobs_by_status", f'{A}, status="failed"', 3),
        # Of 100 requests 40 take up to 0.1 s, 20 up to 0.2 s, 38 up to 1 s, and two longer.
        **buckets("http_request_duration_seconds", f"{A}, {CHAT}", {"0.1": 10, "0.2": 40, "1": 58, "+Inf": 60}),
        **buckets("http_request_duration_seconds", f"{B}, {CHAT}", {"0.1": 30, "0.2": 20, "1": 40, "+Inf": 40}),
        **buckets("http_response_start_seconds", f"{A}, {CHAT}", {"0.1": 90, "0.5": 100}),
        # Of 100 requests 4 end with 5xx, 4 with 4xx, and 2 callers leave.
        **growing("http_requests_total", f'{A}, {CHAT}, status="200"', 40),
        **growing("http_requests_total", f'{B}, {CHAT}, status="200"', 50),
        **growing("http_requests_total", f'{A}, {CHAT}, status="500"', 3),
        **growing("http_requests_total", f'{B}, {CHAT}, status="503"', 1),
        **growing("http_requests_total", f'{A}, {CHAT}, status="404"', 4),
        **growing("http_requests_total", f'{B}, {CHAT}, status="499"', 2),
        # Probes, and another service, which change nothing.
        **buckets("http_request_duration_seconds", f"{A}, {PROBE}", {"0.1": 900, "0.2": 900, "1": 900}),
        **growing("http_requests_total", f'{A}, {PROBE}, status="503"', 900),
        **growing("http_requests_total", f'job="alert-inbox", instance="i", {CHAT}, status="500"', 900),
        **growing("chat_messages_total", f'{A}, user_type="human"', 3),
        **growing("chat_messages_total", f'{B}, user_type="human"', 1.5),
        **growing("chat_messages_total", f'{A}, user_type="assistant"', 3),
    },
    panels={
        "System Health": (0.5,),
        "Active Users": (7,),
        "Indexing Jobs Status": ({'status="queued"': 2, 'status="failed"': 3},),
        "API Response Time": (0.15, 0.2 + 0.8 * 35 / 38, 1, 0.3, {}),
        "Error Rate": (0.04, 0.04, 0.02),
        "Chat Messages Rate": ({'user_type="human"': 0.9, 'user_type="assistant"': 0.6},),
    },
)

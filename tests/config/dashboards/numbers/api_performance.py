"""API Performance: two replicas, two endpoints, one of which fails now and then; no week is on record yet."""

from tests.config.dashboards.numbers import A, B, Known, buckets, constant, growing

CHAT, LIST, PROBE = ('endpoint="/api/v1/chat"', 'endpoint="/api/v1/documents"', 'endpoint="/health/live"')
A_NAME, B_NAME = 'instance="a:8000"', 'instance="b:8000"'

KNOWN = Known(
    series={
        **growing("http_requests_total", f'{A}, {CHAT}, method="POST", status="200"', 8),
        **growing("http_requests_total", f'{B}, {CHAT}, method="POST", status="500"', 2),
        **growing("http_requests_total", f'{A}, {LIST}, method="GET", status="200"', 5),
        **growing("http_requests_total", f'{A}, {LIST}, method="GET", status="429"', 1),
        **growing("http_requests_total", f'{A}, {PROBE}, method="GET", status="503"', 900),
        **buckets("http_request_duration_seconds", f'{A}, {CHAT}, method="POST"', {"0.1": 4, "1": 9, "5": 10}),
        **buckets("http_request_duration_seconds", f'{A}, {LIST}, method="GET"', {"0.1": 5, "1": 5, "5": 5}),
        **buckets("http_response_start_seconds", f'{A}, {CHAT}, method="POST"', {"0.3": 10}),
        **buckets("http_response_start_seconds", f'{A}, {LIST}, method="GET"', {"0.3": 5}),
        **constant("http_requests_in_progress", A, 3),
        **constant("http_requests_in_progress", B, 4),
        **buckets("event_loop_lag_seconds", A, {"0.01": 100}),
        **buckets("event_loop_lag_seconds", B, {"0.01": 50, "0.1": 100}),
        # Of ten searches eight take up to 10 ms; nine and a half, 10 and three quarters of the 40 beyond.
        **buckets("vector_search_duration_seconds", B, {"0.01": 8, "0.05": 10}),
        **buckets("database_duration_seconds", f'{A}, operation="find", collection="chunks"', {"0.01": 10}),
        **buckets("ai_response_duration_seconds", f'{A}, model="gpt", type="chat"', {"1": 2, "5": 4}),
        **buckets("health_check_duration_seconds", f'{A}, check="database"', {"0.01": 1}),
    },
    panels={
        # An hour has 720 samples.
        "Which Endpoint Is Slow or Fails?": (
            {CHAT: 7200, LIST: 4320},
            {CHAT: 0.1 + 0.9 * 1 / 5, LIST: 0.05},
            {CHAT: 1 + 4 * 0.5, LIST: 0.095},
            {CHAT: 0.2, LIST: 0},
        ),
        "How Much Is Asked?": ({CHAT: 2, LIST: 1.2},),
        "How Long Do Answers Take?": ({CHAT: 3, LIST: 0.095}, {}),
        "Which Share Fails?": ({CHAT: 0.2},),
        "When Do Answers Begin?": ({CHAT: 0.285, LIST: 0.285}, {}),
        "Requests, Beside Last Week": ({'job="backend"': 3.2}, {}, {}, {}),
        "Duration, Beside Last Week": ({'job="backend"': 1 + 4 * 0.25}, {}, {}, {}),
        "How Many at Once?": ({A_NAME: 3, B_NAME: 4},),
        "Who Was Turned Away, or Left?": ({}, 0.2, {}),
        "Is the Event Loop Blocked?": ({A_NAME: 0.0095, B_NAME: 0.01 + 0.09 * 45 / 50},),
        "Do the Stores Answer in Time?": ({'operation="find"': 0.0095}, 0.01 + 0.04 * 1.5 / 2, {}),
        "Does the Model Answer in Time?": ({'type="chat"': 1 + 4 * 1.8 / 2},),
        "Do the Health Checks Answer in Time?": ({'check="database"': 0.0095}, {}),
    },
)

"""Logs & Traces: what Tempo writes about spans, and what the backend counts as lost."""

from tests.config.dashboards.numbers import A, B, Known, buckets, growing

CHAT = 'service="backend", environment="local", span_kind="SPAN_KIND_CLIENT", span_name="chat gpt"'
FOUND, FAILED = 'status_code="STATUS_CODE_OK"', 'status_code="STATUS_CODE_ERROR"'

KNOWN = Known(
    series={
        **growing("traces_spanmetrics_calls_total", f"{CHAT}, {FOUND}", 9),
        **growing("traces_spanmetrics_calls_total", f"{CHAT}, {FAILED}", 1),
        **buckets("traces_spanmetrics_latency", f"{CHAT}, {FOUND}", {"1": 5, "5": 10}),
        **growing("traces_service_graph_request_total", 'client="user", server="backend", connection_type="x"', 2),
        **growing("traces_service_graph_request_total", 'client="user", server="backend", connection_type="y"', 3),
        **growing("log_messages_dropped_total", f'{A}, level="debug"', 5),
        **growing("log_messages_dropped_total", f'{B}, level="debug"', 5),
        **growing("trace_spans_dropped_total", f'{A}, reason="queue_full"', 1),
    },
    panels={
        "Which Part Is Slow?": ({'span_name="chat gpt"': 1 + 4 * 4.5 / 5},),
        "What Is Done How Often?": ({'span_name="chat gpt"': 2},),
        "Which Part Fails?": ({'span_name="chat gpt"': 0.2},),
        "Who Calls Whom?": ({'client="user", server="backend"': 1},),
        "Are Lines Lost?": ({'level="debug"': 2},),
        "Are Spans Lost?": ({'reason="queue_full"': 0.2},),
    },
)

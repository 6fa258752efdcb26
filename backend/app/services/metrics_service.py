"""Every metric of the backend, and the only module that knows their names. It imports nothing of the app.

Units are base units (seconds, ratios from 0 to 1; percents and USD only where the name says so). Gauges that describe
a shared store (`chat_sessions_active`, `active_users_total`, `indexing_jobs_by_status`, `user_satisfaction_score`)
have the same value on every replica: take their `max`, not their `sum`.
"""

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.samples import Exemplar

P = ParamSpec("P")
R = TypeVar("R")

# Buckets (seconds) are dense around what is promised: 0.3 s for an answer's start, 2 s for HighResponseTime.
HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
AI_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
STORE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0)
JOB_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)
LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
EXPERIENCE_BUCKETS = (
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
    2.5,
    4.0,
    10.0,
)  # 0.2, 2.5 and 4 s: the web vitals' own limits
SHIFT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)  # 0.1 and 0.25: the web vitals' own limits
SCORE_BUCKETS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)

JOB_STATUSES = ("queued", "running", "completed", "failed")
FILE_FORMATS = ("text", "markdown", "html", "csv", "json", "pdf")
AI_TYPES = ("chat", "embedding")
AI_ERROR_REASONS = (
    "timeout", "rate_limited", "server_error", "client_error", "connection", "protocol", "circuit_open", "injected",
    "other",
)  # fmt: skip
AI_CIRCUIT_STATES = ("closed", "open", "half_open")
RAG_FAILURE_REASONS = ("no_match", "embedding", "vector_store", "ai", "timeout", "document_store")
EXPERIENCE_METRICS = ("first_token", "largest_contentful_paint", "interaction_to_next_paint")
EXPERIENCE_ERRORS = ("script", "unhandled_rejection", "resource")
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
#: None were sent; they have another form; there is no such key or token; the key was revoked; it lacks the scope.
AUTHENTICATION_FAILURES = ("missing", "malformed", "unknown", "revoked", "scope")
SPAN_DROP_REASONS = ("queue_full", "refused", "shutdown")
#: The gauge `rag_query_success_rate` looks back this far (seconds).
SUCCESS_WINDOW_SECONDS = 600.0


def _exemplar() -> dict[str, str] | None:
    """The current span, by which a measurement leads to its trace; None where there is no trace to lead to."""
    span = get_current_span()
    if not span.is_recording():
        return None
    context = span.get_span_context()
    return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}


def _observe(histogram: Any, seconds: float, exemplar: dict[str, str] | None) -> None:
    """`Histogram.observe` in half its time, for what each request does: it looks through all bounds and checks the
    exemplar's characters, which are hexadecimal here."""
    histogram._sum.inc(seconds)
    bucket = histogram._buckets[bisect_left(histogram._upper_bounds, seconds)]
    bucket.inc(1)
    if exemplar:
        bucket.set_exemplar(Exemplar(exemplar, seconds, time.time()))


class SlidingWindow:
    """The mean of what happened in the last `seconds`; NaN when nothing did. However much that was, it is kept as
    the sums of a few hundred slots: the window's edge is as sharp as one of them.
    """

    SLOTS = 300

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._width, self._clock = seconds / self.SLOTS, clock
        self._slots: deque[list[float]] = deque()  # number, sum, count

    def add(self, value: float) -> None:
        """Counts one event."""
        number = self._clock() // self._width
        if not self._slots or self._slots[-1][0] != number:
            while self._slots and self._slots[0][0] < number - self.SLOTS:
                self._slots.popleft()
            self._slots.append([number, 0.0, 0])
        self._slots[-1][1] += value
        self._slots[-1][2] += 1

    def mean(self) -> float:
        """The mean over the window as it is now, not as it was at the last event. Changes nothing: any thread may."""
        oldest = self._clock() // self._width - self.SLOTS
        recent = [slot for slot in list(self._slots) if slot[0] >= oldest]
        count = sum(slot[2] for slot in recent)
        return sum(slot[1] for slot in recent) / count if count else float("nan")


class MetricsService:
    """The metrics, and one method for each thing that can happen."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        disable_created_metrics()  # a second series for each counter that nobody asks for
        self.registry = registry

        def counter(name: str, text: str, labels: Iterable[str] = ()) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], labels: Iterable[str] = ()) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        # HTTP
        self.http_requests_total = counter(
            "http_requests_total",
            "HTTP requests; 499 = the client went away",
            ["method", "endpoint", "status"],
        )
        self.http_request_duration = histogram(
            "http_request_duration_seconds", "Time until the whole response was sent", HTTP_BUCKETS,
            ["method", "endpoint"],
        )  # fmt: skip
        self.http_response_start = histogram(
            "http_response_start_seconds", "Time until the response began, apart from a stream's length",
            HTTP_BUCKETS, ["method", "endpoint"],
        )  # fmt: skip
        self.http_requests_in_progress = gauge("http_requests_in_progress", "HTTP requests being served now")

        self.authentication_failures = counter(
            "authentication_failures_total", "Requests refused for want of credentials (401, 403)", ["reason"]
        )

        # AI
        self.ai_requests_total = counter("ai_requests_total", "AI requests, failed ones too", ["model", "type"])
        self.ai_response_duration = histogram(
            "ai_response_duration_seconds",
            "Time of an AI request, failed ones too",
            AI_BUCKETS,
            ["model", "type"],
        )
        self.ai_tokens_used = counter("ai_tokens_used_total", "AI tokens used, in and out", ["model", "type"])
        self.ai_errors = counter("ai_errors_total", "AI requests that failed", ["model", "type", "reason"])
        self.ai_first_token = histogram(
            "ai_time_to_first_token_seconds", "Time until the model's first token", AI_BUCKETS, ["model"]
        )
        self.ai_cost = counter("ai_cost_usd_total", "Cost by the price table in AI_PRICES (USD)", ["model"])
        self.ai_tokens_by_direction = counter(
            "ai_tokens_by_direction_total", "AI tokens by direction", ["model", "direction"]
        )
        self.ai_retries = counter("ai_retries_total", "AI requests tried again", ["model", "reason"])
        self.ai_circuit = gauge("ai_circuit_state", "1 for the circuit breaker's present state", ["model", "state"])
        self.ai_service_health = gauge("ai_service_health", "1 when the AI provider answers, 0 when not")

        # Chat
        self.chat_sessions_active = gauge("chat_sessions_active", "Open chat sessions with recent activity")
        self.chat_messages_total = counter("chat_messages_total", "Chat messages", ["user_type"])
        self.active_users = gauge("active_users_total", "Users seen in the last minutes (a gauge, as specified)")
        self.feedback = counter("feedback_total", "Ratings of answers", ["score"])
        self.user_satisfaction_score = gauge("user_satisfaction_score", "Mean rating of the last hour, 1 to 5")

        # Retrieval
        self.rag_queries_total = counter("rag_queries_total", "RAG queries")
        self.rag_query_failures = counter("rag_query_failures_total", "RAG queries that failed", ["reason"])
        self.rag_query_success_rate = gauge("rag_query_success_rate", "RAG success over the last 10 minutes, 0 to 1")
        self.vector_search_duration = histogram(
            "vector_search_duration_seconds", "Time of a vector search", STORE_BUCKETS
        )
        self.rag_retrieved_documents = histogram(
            "rag_retrieved_documents", "Documents found for a query", (0, 1, 2, 3, 4, 6, 8, 12, 20)
        )
        self.rag_top_score = histogram("rag_top_score", "Cosine score of the best passage", SCORE_BUCKETS)

        # Indexing
        self.indexing_jobs_total = counter("indexing_jobs_total", "Indexing jobs that reached a status", ["status"])
        self.indexing_jobs_by_status = gauge("indexing_jobs_by_status", "Indexing jobs in each status", ["status"])
        self.indexing_files_processed = counter(
            "indexing_files_processed_total", "Files processed", ["format", "status"]
        )
        self.indexing_duration = histogram("indexing_duration_seconds", "Time of an indexing job", JOB_BUCKETS)

        # Stores, health, the process
        self.database_operations = counter(
            "database_operations_total", "Database operations, failed ones too", ["operation", "collection"]
        )
        self.database_duration = histogram(
            "database_duration_seconds",
            "Time of a database operation",
            STORE_BUCKETS,
            ["operation", "collection"],
        )
        self.database_errors = counter(
            "database_errors_total", "Database operations that failed", ["operation", "collection"]
        )
        self.service_health = gauge("service_health", "1 when the check passes, 0 when not", ["check"])
        self.service_health_score = gauge("service_health_score", "Share of healthy checks (percent)")
        self.health_check_duration = histogram(
            "health_check_duration_seconds", "Time of a health check, which belongs to no request: it has no exemplars",
            STORE_BUCKETS, ["check"],
        )  # fmt: skip
        self.disk_free_percent = gauge("disk_free_percent", "Free disk space (percent)")
        self.memory_usage_percent = gauge("memory_usage_percent", "Memory in use (percent)")
        self.event_loop_lag = histogram(
            "event_loop_lag_seconds",
            "How late the event loop woke a sleeper, which belongs to no request: it has no exemplars",
            LAG_BUCKETS,
        )
        self.log_messages = counter("log_messages_total", "Log lines written", ["level"])
        self.log_messages_dropped = counter("log_messages_dropped_total", "Log lines that were lost", ["level"])
        self.trace_spans_exported = counter("trace_spans_exported_total", "Spans delivered to Tempo or to the file")
        self.trace_spans_dropped = counter("trace_spans_dropped_total", "Spans that were lost", ["reason"])
        self.app_info = gauge("app_info", "1; the labels say what runs", ["version", "environment", "service"])
        self.faults_active = gauge("faults_active", "1 while a fault is injected on purpose", ["fault"])

        # What the page's user experienced
        self.user_experience = histogram(
            "user_experience_seconds", "Measured in the user's browser", EXPERIENCE_BUCKETS, ["metric"]
        )
        self.user_experience_layout_shift = histogram(
            "user_experience_layout_shift", "Cumulative layout shift of a visit (no unit)", SHIFT_BUCKETS
        )
        self.user_experience_errors = counter("user_experience_errors_total", "Errors in the user's browser", ["kind"])

        self._rag_window = SlidingWindow(SUCCESS_WINDOW_SECONDS)
        self.rag_query_success_rate.set_function(self._rag_window.mean)
        self._http: dict[tuple[str, str, int], tuple[Any, Any, Any]] = {}
        self._prepare_fixed_labels()

    def _prepare_fixed_labels(self) -> None:
        """Makes every label set that is known without configuration, so that rules see 0 and not nothing."""
        for status in JOB_STATUSES:
            self.indexing_jobs_total.labels(status)
            self.indexing_jobs_by_status.labels(status)
        for file_format in FILE_FORMATS:
            for status in ("completed", "failed"):
                self.indexing_files_processed.labels(file_format, status)
        for metric, values in (
            (self.chat_messages_total, ("human", "assistant")),
            (self.feedback, ("1", "2", "3", "4", "5")),
            (self.rag_query_failures, RAG_FAILURE_REASONS),
            (self.user_experience, EXPERIENCE_METRICS),
            (self.user_experience_errors, EXPERIENCE_ERRORS),
            (self.log_messages, LOG_LEVELS),
            (self.log_messages_dropped, LOG_LEVELS),
            (self.trace_spans_dropped, SPAN_DROP_REASONS),
            (self.authentication_failures, AUTHENTICATION_FAILURES),
        ):
            for value in values:
                metric.labels(value)

    def prepare_ai(self, chat_model: str, embedding_model: str) -> None:
        """Makes the label sets of the configured models."""
        for model, kind in ((chat_model, "chat"), (embedding_model, "embedding")):
            self.ai_requests_total.labels(model, kind)
            self.ai_response_duration.labels(model, kind)
            self.ai_tokens_used.labels(model, kind)
            self.ai_cost.labels(model)
            for reason in AI_ERROR_REASONS:
                self.ai_errors.labels(model, kind, reason)
                self.ai_retries.labels(model, reason)
            for direction in ("input", "output"):
                self.ai_tokens_by_direction.labels(model, direction)
            self.set_ai_circuit(model, "closed")
        self.ai_first_token.labels(chat_model)

    def prepare_database(self, operations: Iterable[tuple[str, str]]) -> None:
        """Makes the label sets of these (operation, collection) pairs."""
        for operation, collection in operations:
            self.database_operations.labels(operation, collection)
            self.database_duration.labels(operation, collection)
            self.database_errors.labels(operation, collection)

    def prepare_endpoints(self, endpoints: Iterable[tuple[str, str, int]]) -> None:
        """Makes the label sets of these (method, endpoint, status) triples."""
        for method, endpoint, status in endpoints:
            self._http_children(method, endpoint, status)

    def prepare_names(self, checks: Iterable[str], faults: Iterable[str]) -> None:
        """Makes the label sets of the health checks and of the faults."""
        for check in checks:
            self.service_health.labels(check)
            self.health_check_duration.labels(check)
        for fault in faults:
            self.faults_active.labels(fault)

    def _http_children(self, method: str, endpoint: str, status: int) -> tuple[Any, Any, Any]:
        """The three children of one label set; looking them up anew would cost more than counting."""
        children = self._http.get((method, endpoint, status))
        if children is None:
            children = self._http[(method, endpoint, status)] = (
                self.http_requests_total.labels(method, endpoint, str(status)),
                self.http_request_duration.labels(method, endpoint),
                self.http_response_start.labels(method, endpoint),
            )
        return children

    def track_http_request(
        self, method: str, endpoint: str, status: int, duration: float, response_start: float | None = None
    ) -> None:
        """One request: `duration` and `response_start` in seconds, `endpoint` the route's template."""
        total, whole, start = self._http_children(method, endpoint, status)
        total.inc()
        trace = _exemplar()
        _observe(whole, duration, trace)
        if response_start is not None:
            _observe(start, response_start, trace)

    def track_ai_request(self, model: str, request_type: str, duration: float, tokens: int) -> None:
        """One AI request, whether or not it succeeded: its seconds, and its tokens (0 when it failed)."""
        self.ai_requests_total.labels(model, request_type).inc()
        self.ai_response_duration.labels(model, request_type).observe(duration, _exemplar())
        self.ai_tokens_used.labels(model, request_type).inc(tokens)

    def track_ai_error(self, model: str, request_type: str, reason: str) -> None:
        """One AI request that failed; a reason that is not of `AI_ERROR_REASONS` counts as `other`."""
        known = reason if reason in AI_ERROR_REASONS else "other"
        self.ai_errors.labels(model, request_type, known).inc()

    def track_ai_usage(self, model: str, input_tokens: int, output_tokens: int, cost_usd: float) -> None:
        """Tokens by direction and what they cost (USD)."""
        self.ai_tokens_by_direction.labels(model, "input").inc(input_tokens)
        self.ai_tokens_by_direction.labels(model, "output").inc(output_tokens)
        self.ai_cost.labels(model).inc(cost_usd)

    def track_first_token(self, model: str, seconds: float) -> None:
        """How long the model took to begin."""
        self.ai_first_token.labels(model).observe(seconds, _exemplar())

    def track_ai_retry(self, model: str, reason: str) -> None:
        """One more attempt of the same AI request."""
        self.ai_retries.labels(model, reason if reason in AI_ERROR_REASONS else "other").inc()

    def set_ai_circuit(self, model: str, state: str) -> None:
        """The circuit breaker's present state, one of `AI_CIRCUIT_STATES`."""
        for known in AI_CIRCUIT_STATES:
            self.ai_circuit.labels(model, known).set(known == state)

    def track_chat_activity(self, message_count: int, active_sessions: int) -> None:
        """New messages of people, and how many sessions are active now."""
        self.chat_messages_total.labels("human").inc(message_count)
        self.chat_sessions_active.set(active_sessions)

    def track_chat_message(self, user_type: str) -> None:
        """One message of a `human` or of the `assistant`."""
        self.chat_messages_total.labels(user_type).inc()

    def track_rag_query(self, duration: float | None, success: bool, reason: str | None = None) -> None:
        """One RAG query: its vector search's seconds (None: it came to none), and why it failed if it did."""
        self.rag_queries_total.inc()
        if duration is not None:
            self.vector_search_duration.observe(duration, _exemplar())
        self._rag_window.add(float(success))
        if not success:
            self.rag_query_failures.labels(reason if reason in RAG_FAILURE_REASONS else "ai").inc()

    def track_retrieval(self, documents: int, top_score: float | None) -> None:
        """What a search found: how many documents, and the best cosine score if any."""
        self.rag_retrieved_documents.observe(documents)
        if top_score is not None:
            self.rag_top_score.observe(top_score)

    def track_indexing_job(self, status: str, duration: float | None = None) -> None:
        """A job reached a status; with its seconds once it ended (0 is a duration too)."""
        self.indexing_jobs_total.labels(status).inc()
        if duration is not None:
            self.indexing_duration.observe(duration, _exemplar())

    def track_file_processing(self, file_format: str, status: str) -> None:
        """One file was `completed` or `failed`."""
        self.indexing_files_processed.labels(file_format, status).inc()

    def track_database_operation(self, operation: str, collection: str, duration: float) -> None:
        """One database operation, whether or not it succeeded, and its seconds."""
        self.database_operations.labels(operation, collection).inc()
        self.database_duration.labels(operation, collection).observe(duration, _exemplar())

    def track_database_error(self, operation: str, collection: str) -> None:
        """One database operation that failed."""
        self.database_errors.labels(operation, collection).inc()

    def update_active_users(self, count: int) -> None:
        """How many users were seen in the last minutes."""
        self.active_users.set(count)

    def update_jobs_by_status(self, counts: Mapping[str, int]) -> None:
        """How many jobs there are in each status."""
        for status in JOB_STATUSES:
            self.indexing_jobs_by_status.labels(status).set(counts.get(status, 0))

    def track_spans(self, exported: int = 0, dropped: int = 0, reason: str = "refused") -> None:
        """Spans that left the process, and spans that were lost for a reason of `SPAN_DROP_REASONS`."""
        self.trace_spans_exported.inc(exported)
        self.trace_spans_dropped.labels(reason).inc(dropped)

    def track_experience(self, metric: str, value: float) -> None:
        """A measurement of the user's browser: seconds, which lead to the request that told them, or a layout shift."""
        if metric == "cumulative_layout_shift":
            self.user_experience_layout_shift.observe(value)
        else:
            self.user_experience.labels(metric).observe(value, _exemplar())


#: The process' metrics.
metrics = MetricsService()


def track_endpoint_metrics(endpoint_name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Names a route's `endpoint` label. The middleware counts every route, so the decorator counts nothing itself."""

    def decorator(func: Callable[P, R]) -> Callable[P, R]:
        func.__endpoint_name__ = endpoint_name  # type: ignore[attr-defined]
        return func

    return decorator


def track_ai_metrics(model: str, request_type: str) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Times any coroutine as an AI request. `tokens_used` is read from its result; a failure is counted, timed and
    labelled with its `reason`, if it has one."""

    def decorator(func: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        @wraps(func)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            start, tokens = time.perf_counter(), 0
            try:
                result = await func(*args, **kwargs)
                tokens = int(getattr(result, "tokens_used", 0) or 0)
                return result
            except Exception as error:
                metrics.track_ai_error(model, request_type, str(getattr(error, "reason", "other")))
                raise
            finally:
                metrics.track_ai_request(model, request_type, time.perf_counter() - start, tokens)

        return wrapper

    return decorator

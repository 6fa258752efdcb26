"""The metrics service: the specification's names and methods, with its faults corrected."""

import asyncio
import math
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from app.services import metrics_service
from app.services.metrics_service import HTTP_BUCKETS, MetricsService, SlidingWindow, metrics, track_ai_metrics

#: The specification's metrics, with their labels, and the five that it uses but forgot to define.
SPECIFIED = {
    "http_requests_total": ["method", "endpoint", "status"],
    "http_request_duration_seconds": ["method", "endpoint"],
    "ai_requests_total": ["model", "type"],
    "ai_response_duration_seconds": ["model", "type"],
    "ai_tokens_used_total": ["model", "type"],
    "chat_sessions_active": [],
    "chat_messages_total": ["user_type"],
    "rag_queries_total": [],
    "rag_query_success_rate": [],
    "vector_search_duration_seconds": [],
    "indexing_jobs_total": ["status"],
    "indexing_files_processed_total": ["format", "status"],
    "indexing_duration_seconds": [],
    "active_users_total": [],
    "database_operations_total": ["operation", "collection"],
    "database_duration_seconds": ["operation", "collection"],
    "indexing_jobs_by_status": ["status"],
    "user_satisfaction_score": [],
    "disk_free_percent": [],
    "memory_usage_percent": [],
    "ai_service_health": [],
}


@pytest.fixture
def service() -> MetricsService:
    return MetricsService(CollectorRegistry())


def value(service: MetricsService, name: str, **labels: str) -> float | None:
    return service.registry.get_sample_value(name, labels)


def test_every_specified_metric_exists_with_its_labels(service: MetricsService) -> None:
    found = {
        metric._name + ("_total" if metric._type == "counter" else ""): list(metric._labelnames)
        for metric in vars(service).values()
        if hasattr(metric, "_labelnames")
    }
    assert {name: found.get(name) for name in SPECIFIED} == SPECIFIED


def test_label_sets_that_are_known_exist_before_anything_happened(service: MetricsService) -> None:
    service.prepare_ai("gpt", "embed")
    service.prepare_database([("insert", "jobs")])
    service.prepare_endpoints([("GET", "/x", 200), ("GET", "/x", 500)])
    service.prepare_names(["database"], ["ai_down"])
    for name, labels in {
        "indexing_jobs_total": {"status": "failed"},
        "indexing_files_processed_total": {"format": "pdf", "status": "failed"},
        "ai_errors_total": {"model": "gpt", "type": "chat", "reason": "timeout"},
        "ai_tokens_used_total": {"model": "embed", "type": "embedding"},
        "database_errors_total": {"operation": "insert", "collection": "jobs"},
        "http_requests_total": {"method": "GET", "endpoint": "/x", "status": "500"},
        "feedback_total": {"score": "1"},
        "service_health": {"check": "database"},
        "faults_active": {"fault": "ai_down"},
        "log_messages_total": {"level": "error"},
    }.items():
        assert value(service, name, **labels) == 0, name


def test_there_are_no_created_series(service: MetricsService) -> None:
    service.track_http_request("GET", "/x", 200, 0.1)
    assert b"_created" not in generate_latest(service.registry)


def test_a_duration_of_zero_is_a_duration(service: MetricsService) -> None:
    service.track_indexing_job("completed", 0.0)
    service.track_indexing_job("queued")
    assert value(service, "indexing_duration_seconds_count") == 1


def test_the_success_rate_is_that_of_the_last_ten_minutes(service: MetricsService) -> None:
    assert math.isnan(value(service, "rag_query_success_rate") or 0)
    for success in (True, True, True, False):
        service.track_rag_query(0.01, success, None if success else "ai")
    assert value(service, "rag_query_success_rate") == 0.75
    assert value(service, "rag_queries_total") == 4
    assert value(service, "rag_query_failures_total", reason="ai") == 1


def test_a_window_forgets_what_is_older_than_it() -> None:
    now = [0.0]
    window = SlidingWindow(10, clock=lambda: now[0])
    window.add(0)
    now[0] = 6
    window.add(1)
    assert window.mean() == 0.5
    now[0] = 11
    assert window.mean() == 1
    now[0] = 30
    assert math.isnan(window.mean())


def test_a_window_holds_all_that_happened_within_it_however_much_that_was() -> None:
    now = [0.0]
    window = SlidingWindow(10, clock=lambda: now[0])
    for number in range(100_000):
        now[0] = number / 10_000
        window.add(float(number < 50_000))
    assert window.mean() == 0.5
    assert len(window._slots) <= SlidingWindow.SLOTS + 1, "in bounded memory"


def test_the_circuit_is_in_one_state_at_a_time(service: MetricsService) -> None:
    for state in ("closed", "open", "half_open"):
        service.set_ai_circuit("gpt", state)
        ones = [s for s in ("closed", "open", "half_open") if value(service, "ai_circuit_state", model="gpt", state=s)]
        assert ones == [state]


def test_unknown_reasons_do_not_become_labels(service: MetricsService) -> None:
    service.track_ai_error("gpt", "chat", "a provider's own words")
    service.track_ai_retry("gpt", "again its own words")
    assert value(service, "ai_errors_total", model="gpt", type="chat", reason="other") == 1
    assert b"own words" not in generate_latest(service.registry)


class Answer:
    tokens_used = 7


def ai(name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, {"model": "decorated", "type": "chat", **labels}) or 0


async def test_the_ai_decorator_counts_times_and_adds_up_tokens() -> None:
    @track_ai_metrics("decorated", "chat")
    async def call(number: int) -> Any:
        await asyncio.sleep(0.01)
        return Answer() if number else None

    assert isinstance(await call(1), Answer)
    assert await call(0) is None
    assert ai("ai_requests_total") == 2
    assert ai("ai_tokens_used_total") == 7
    assert ai("ai_response_duration_seconds_sum") >= 0.02


async def test_the_ai_decorator_counts_a_failure_with_its_reason() -> None:
    class Failure(Exception):
        reason = "rate_limited"

    @track_ai_metrics("decorated", "chat")
    async def call() -> None:
        raise Failure

    before = ai("ai_requests_total"), ai("ai_response_duration_seconds_count")
    with pytest.raises(Failure):
        await call()
    assert (ai("ai_requests_total"), ai("ai_response_duration_seconds_count")) == (before[0] + 1, before[1] + 1)
    assert ai("ai_errors_total", reason="rate_limited") == 1


def test_the_module_imports_nothing_of_the_app() -> None:
    import ast
    from pathlib import Path

    tree = ast.parse(Path(metrics_service.__file__).read_text(encoding="utf-8"))
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    assert not [name for name in imported if name.split(".")[0] == "app"]


def test_a_request_falls_into_the_bucket_that_the_library_would_choose() -> None:
    own, library = CollectorRegistry(), CollectorRegistry()
    service = MetricsService(own)
    reference = Histogram(
        "http_request_duration_seconds", "-", ["method", "endpoint"], buckets=HTTP_BUCKETS, registry=library
    )
    for bound in HTTP_BUCKETS:
        for seconds in (bound, bound - 1e-9, bound + 1e-9, 0.0, 1e6):
            service.track_http_request("GET", "/", 200, seconds)
            reference.labels("GET", "/").observe(seconds)
    whole = "http_request_duration_seconds"
    samples = [(f"{whole}_bucket", str(bound)) for bound in (*HTTP_BUCKETS, "+Inf")]
    assert [own.get_sample_value(name, {"method": "GET", "endpoint": "/", "le": bound}) for name, bound in samples] == [
        library.get_sample_value(name, {"method": "GET", "endpoint": "/", "le": bound}) for name, bound in samples
    ]
    assert own.get_sample_value(f"{whole}_count", {"method": "GET", "endpoint": "/"}) == 5 * len(HTTP_BUCKETS)

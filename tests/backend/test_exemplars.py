"""Each latency histogram leads to the trace of a request that it measured, failed ones too, and to no other."""

import asyncio
import re
import time

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from app.core.config import Settings
from app.core.faults import Fault, board
from app.core.tracing import close_tracing, configure_tracing
from app.services.metrics_service import MetricsService
from tests.backend.conftest import indexed
from tests.backend.test_tracing_children import DOCUMENT, ask, ended, settings, strike

__all__ = ["settings"]  # a fixture
#: Histograms of seconds that measure work for a request, or were told by one. The rest measure the process or a probe.
LATENCIES = {
    "http_request_duration_seconds",
    "http_response_start_seconds",
    "ai_response_duration_seconds",
    "ai_time_to_first_token_seconds",
    "vector_search_duration_seconds",
    "indexing_duration_seconds",
    "database_duration_seconds",
    "user_experience_seconds",
}
OTHERS = {"health_check_duration_seconds", "event_loop_lag_seconds"}


async def exemplars(client: httpx.AsyncClient, *labels: str) -> dict[str, set[tuple[str, str]]]:
    """The (trace id, span id) of each exemplar, by the histogram's name, of series with these labels."""
    text = (await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})).text
    found: dict[str, set[tuple[str, str]]] = {}
    for line in text.splitlines():
        match = re.fullmatch(r'(\w+)_bucket\{(.*)\} \S+ # \{span_id="(\w{16})",trace_id="(\w{32})"\} \S+ \S+', line)
        if match and all(label in match[2] for label in labels):
            found.setdefault(match[1], set()).add((match[4], match[3]))
    return found


def made(spans: InMemorySpanExporter, since: int = 0) -> set[tuple[str, str]]:
    contexts = [span.context for span in spans.get_finished_spans()[since:] if span.context]
    return {(f"{context.trace_id:032x}", f"{context.span_id:016x}") for context in contexts}


def test_every_histogram_of_seconds_is_known_to_this_test() -> None:
    names = {
        str(metric.name)
        for metric in MetricsService(CollectorRegistry()).registry.collect()
        if metric.type == "histogram"
    }
    assert {name for name in names if name.endswith("_seconds")} == LATENCIES | OTHERS


async def test_each_latency_histogram_leads_to_a_span_that_was_made(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    await indexed(client, "birds.txt", DOCUMENT)
    await asyncio.to_thread(ended, spans, "index document")
    await ask(client)
    await client.post("/api/v1/experience", json={"measurements": [{"metric": "first_token", "value": 0.5}]})
    found = await exemplars(client)
    assert set(found) >= LATENCIES
    assert not set(found) & OTHERS, "as their help says"
    for name in LATENCIES:
        assert found[name] & made(spans), name


@pytest.mark.parametrize(
    ("fault", "histogram", "label"),
    [
        ("ai_down", "ai_response_duration_seconds", 'type="embedding"'),
        ("vector_store_down", "vector_search_duration_seconds", ""),
        ("database_down", "database_duration_seconds", 'operation="insert"'),
        ("http_errors", "http_request_duration_seconds", 'method="DELETE"'),
        ("indexing_failures", "indexing_duration_seconds", ""),
    ],
)
async def test_what_fails_leads_to_its_trace_too(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, fault: str, histogram: str, label: str
) -> None:
    session = (await client.post("/api/v1/chat/sessions")).json()["session_id"]
    before = len(spans.get_finished_spans())
    board.replace([Fault(fault, 100, time.time() + 30)])  # type: ignore[arg-type]
    if fault == "http_errors":
        await client.delete(f"/api/v1/chat/sessions/{session}")
    elif fault == "database_down":
        await client.post("/api/v1/chat/sessions")
    elif fault == "indexing_failures":
        assert (await indexed(client, "birds.txt", DOCUMENT))["status"] == "failed"
        await asyncio.to_thread(ended, spans, "index document")
    else:
        await client.post(f"/api/v1/chat/sessions/{session}/messages", json={"content": "anything"})
    found = (await exemplars(client, label))[histogram]
    failed = {(f"{s.context.trace_id:032x}") for s in spans.get_finished_spans()[before:] if s.context}
    assert {trace for trace, _ in found} & failed


async def test_what_is_not_traced_leaves_no_exemplar(client: httpx.AsyncClient) -> None:
    exporter = InMemorySpanExporter()
    configure_tracing(Settings(otel_traces_sampler_arg=0), SimpleSpanProcessor(exporter))
    before = await exemplars(client)
    await ask(client)
    strike("ai_down")
    await ask(client)
    assert await exemplars(client) == before
    close_tracing()

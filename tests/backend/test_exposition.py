"""The fast exposition gives what prometheus_client gives, and keeps no other task waiting."""

import asyncio
import time

import pytest
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from app.services.exposition import SLICE_SECONDS, exposition_for
from app.services.metrics_service import MetricsService
from app.services.metrics_service import metrics as service_metrics

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
#: What Prometheus 3 sends.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1"
)
HEADERS = [TEXT, OPENMETRICS, PROMETHEUS, ""]


@pytest.fixture
def registry() -> CollectorRegistry:
    """Something of every kind, with values that are hard to write."""
    disable_created_metrics()
    made = CollectorRegistry()
    asked = Counter("asked_total", 'Says "how"\nand a \\', ["who", "what"], registry=made)
    asked.labels('a "quoted" \\ name', "two\nlines").inc(1e21)
    asked.labels("è", "").inc(3, {"trace_id": "0af7651916cd43dd8448eb211c80319c", "a": 'quote " back \\ line \n'})
    took = Histogram("took_seconds", "Time", ["path"], buckets=(0.1, 1, 1e9), registry=made)
    for seconds in (0.05, 0.5, 5, 1e10):
        took.labels("/items/{id}").observe(seconds, {"trace_id": "1" * 32})
    took.labels("/idle")
    Histogram("below_zero", "Negative buckets have no sum", buckets=(-1, 0, 1), registry=made).observe(-0.5)
    for name, value in (("hot", float("inf")), ("cold", float("-inf")), ("odd", float("nan")), ("low", -1234567.5)):
        Gauge(name, "A gauge", registry=made).set(value)
    Gauge("called", "Computed", ["kind"], registry=made).labels("x").set_function(lambda: 42)
    Counter("never_total", "No label set yet", ["label"], registry=made)
    Info("build", "Of the library's rarer kinds", registry=made).info({"version": "1"})
    Enum("state", "Another", states=["on", "off"], registry=made).state("off")
    return made


@pytest.mark.parametrize("accept", HEADERS)
async def test_the_text_is_prometheus_clients_own(registry: CollectorRegistry, accept: str) -> None:
    encode, content_type = choose_encoder(accept)
    exposition = exposition_for(registry, accept)
    assert exposition.content_type == content_type
    assert await exposition.render() == encode(registry)
    assert await exposition.render() == encode(registry)  # from what was kept of the first time


@pytest.mark.parametrize("accept", HEADERS)
async def test_new_values_label_sets_and_exemplars_appear(registry: CollectorRegistry, accept: str) -> None:
    encode, _ = choose_encoder(accept)
    exposition = exposition_for(registry, accept)
    await exposition.render()
    took = next(one for one in registry._collector_to_names if isinstance(one, Histogram) and one._labelnames)
    took.labels("/new").observe(0.2)
    took.labels("/idle").observe(0.7, {"trace_id": "2" * 32})
    rendered = await exposition.render()
    assert b'path="/new"' in rendered
    assert (b"2" * 32 in rendered) is ("openmetrics" in accept)
    assert rendered == encode(registry)


@pytest.mark.parametrize("accept", HEADERS)
async def test_every_metric_of_the_service_is_written_as_before(accept: str) -> None:
    registry = CollectorRegistry()
    service = MetricsService(registry)
    service.prepare_ai("chat", "embedding")
    service.track_http_request("GET", "/items/{id}", 200, 0.01, 0.005)
    encode, _ = choose_encoder(accept)
    assert await exposition_for(registry, accept).render() == encode(registry)


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=abc", "text/plain;version=1.x", "\x00,;=;"])
async def test_an_accept_header_that_makes_no_sense_is_answered_with_text(accept: str) -> None:
    exposition = exposition_for(service_metrics.registry, accept)
    assert exposition.content_type.startswith("text/plain")
    assert b"# TYPE http_requests_total counter" in await exposition.render()


@pytest.mark.quiet
async def test_other_tasks_have_their_turn_all_the_while() -> None:
    registry = CollectorRegistry()
    took = Histogram("took_seconds", "Time", ["path"], registry=registry)
    for number in range(1000):
        took.labels(f"/{number}").observe(number)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    start = time.perf_counter()
    await exposition_for(registry, TEXT).render()
    took_seconds = time.perf_counter() - start
    counting.cancel()
    # A turn a slice, but for what a busy machine takes away.
    assert turns > took_seconds / SLICE_SECONDS / 4

"""PUT /internal/tracing: more is traced for a while, and then no more."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.core import trace_orders
from app.core.config import Settings
from app.core.spans import in_job
from app.core.tracing import close_tracing, configure_tracing
from tests.backend.conftest import indexed

SESSIONS, JOB = "/api/v1/chat/sessions", "/api/v1/indexing/jobs/{job_id}"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What is traced although the ratio is 0."""
    exporter = InMemorySpanExporter()
    configure_tracing(Settings(otel_traces_sampler_arg=0), SimpleSpanProcessor(exporter))
    yield exporter
    trace_orders.orders.clear()
    close_tracing()


async def order(client: httpx.AsyncClient, **what: object) -> list[dict[str, object]]:
    answer = await client.put("/internal/tracing", json=what)
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def names(spans: InMemorySpanExporter) -> list[str]:
    return [span.name for span in spans.get_finished_spans()]


async def test_a_route_is_traced_with_all_that_it_does_and_no_other_route_is(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    await client.get(f"/api/v1/indexing/jobs/{'0' * 8}-0000-4000-8000-{'0' * 12}")
    assert names(spans) == []
    await order(client, route=JOB)
    await client.post(SESSIONS)
    await client.get("/api/v1/indexing/jobs")
    await client.get(f"/api/v1/indexing/jobs/{'0' * 8}-0000-4000-8000-{'0' * 12}")
    assert names(spans) == ["get jobs", f"GET {JOB}"]


async def test_a_request_id_is_traced_against_the_callers_word_and_into_its_job(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    await order(client, request_id="find-me")
    await client.post(SESSIONS, headers={"X-Request-ID": "another"})
    assert names(spans) == []
    await client.post(SESSIONS, headers={"X-Request-ID": "find-me", "traceparent": f"{CALLER}-00"})
    assert names(spans) == ["insert sessions", f"POST {SESSIONS}"]
    (*_, root) = spans.get_finished_spans()
    assert root.context is not None
    assert f"{root.context.trace_id:032x}" == CALLER[3:35]
    client.headers["X-Request-ID"] = "find-me"
    await indexed(client, "a.txt", b"some words")
    assert "chunk document" in names(spans)


def test_a_job_that_waited_while_its_id_was_ordered_is_traced(spans: InMemorySpanExporter) -> None:
    for _ in range(2):
        with in_job("index document", "find-me", f"{CALLER}-00"):
            pass
        trace_orders.orders.add("request_id", "find-me", 60)
    assert names(spans) == ["index document"]


async def test_an_order_ends_by_itself_and_each_step_is_a_line(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    (active,) = await order(client, route=SESSIONS, seconds=0.05)
    assert (active["request_id"], active["route"]) == (None, SESSIONS)
    assert float(str(active["until"])) == pytest.approx(time.time(), abs=0.2)
    time.sleep(0.06)  # noqa: ASYNC251
    await client.post(SESSIONS)
    assert names(spans) == []
    assert (await client.get("/internal/tracing")).json() == []
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "trace" in line]
    assert [(line["event"], line["value"]) for line in lines if "kind" in line] == [
        ("every request of this kind is traced", SESSIONS),
        ("traced as usual again", SESSIONS),
    ]


async def test_all_orders_are_listed_and_ended(client: httpx.AsyncClient, spans: InMemorySpanExporter) -> None:
    await order(client, route=SESSIONS)
    both = await order(client, request_id="find-me", seconds=3600)
    assert [(one["route"], one["request_id"]) for one in both] == [(SESSIONS, None), (None, "find-me")]
    assert len(await order(client, route=SESSIONS, seconds=5)) == 2, "the same order again moves its end"
    assert (await client.delete("/internal/tracing")).status_code == 204
    assert (await client.get("/internal/tracing")).json() == []
    await client.post(SESSIONS)
    assert names(spans) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"route": SESSIONS, "request_id": "x"},
        {"route": "/no/such/route"},
        {"request_id": "has space"},
        {"request_id": "x" * 129},
        {"route": SESSIONS, "seconds": 3601},
        {"route": SESSIONS, "seconds": 0},
        {"route": SESSIONS, "second": 5},
    ],
)
async def test_what_makes_no_sense_is_refused(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    answer = await client.put("/internal/tracing", json=body)
    assert answer.status_code == 422
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert (await client.get("/internal/tracing")).json() == []


async def test_orders_are_few(client: httpx.AsyncClient, spans: InMemorySpanExporter) -> None:
    for number in range(trace_orders.MAX_ORDERS):
        await order(client, request_id=f"id-{number}")
    answer = await client.put("/internal/tracing", json={"request_id": "one-more"})
    assert answer.status_code == 429
    assert len(await order(client, request_id="id-0")) == trace_orders.MAX_ORDERS

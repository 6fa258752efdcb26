"""The spans inside a request and inside an indexing job: their tree, and that nothing private is in them."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.core.config import Settings
from app.core.faults import Fault, FaultName, board
from app.inbox import create_inbox
from app.main import create_app
from tests.backend.conftest import indexed, make_settings, served, started, until

MESSAGES = "POST /api/v1/chat/sessions/{session_id}/messages"
#: What is planted in a document and asked for. No span may hold a word of it.
DOCUMENT, QUESTION = b"The heron nests in granite. Mail alice@example.org.", "Where does the heron nest?"
SECRETS = ("heron", "granite", "alice", "Mail")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Without the service of faults, which would end those that a test puts on the board."""
    return make_settings(tmp_path, faults_enabled=False)


def tree(spans: Iterable[ReadableSpan]) -> list[str]:
    """Each span's name after those of its parents, in the order in which they began."""
    by_id = {span.context.span_id: span for span in spans if span.context}

    def path(span: ReadableSpan) -> str:
        parent = by_id.get(span.parent.span_id) if span.parent else None
        return f"{path(parent)} > {span.name}" if parent else span.name

    return [path(span) for span in sorted(by_id.values(), key=lambda span: span.start_time or 0)]


def ended(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    """The one span of this name, once it has ended."""
    (span,) = until(lambda: [one for one in spans.get_finished_spans() if one.name == name], f"{name} ends")
    return span


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def outcome(span: ReadableSpan) -> tuple[StatusCode, Any]:
    return span.status.status_code, attributes(span).get("error.type")


async def ask(client: httpx.AsyncClient, stream: bool = False) -> httpx.Response:
    session = (await client.post("/api/v1/chat/sessions")).json()["session_id"]
    body = {"content": QUESTION, "stream": stream}
    return await client.post(f"/api/v1/chat/sessions/{session}/messages", json=body, headers={"X-Request-ID": "asked"})


def strike(fault: FaultName) -> None:
    board.replace([Fault(fault, 100, time.time() + 30)])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_question_is_a_tree_of_what_it_took(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, stream: bool
) -> None:
    await indexed(client, "birds.txt", DOCUMENT)
    await asyncio.to_thread(ended, spans, "index document")
    spans.clear()
    answer = await ask(client, stream)
    assert "granite" in answer.text
    assert tree(spans.get_finished_spans()) == [
        "POST /api/v1/chat/sessions",
        "POST /api/v1/chat/sessions > insert sessions",
        MESSAGES,
        f"{MESSAGES} > update sessions",
        f"{MESSAGES} > find messages",
        f"{MESSAGES} > insert messages",
        f"{MESSAGES} > embeddings local-hashing",
        f"{MESSAGES} > search chunks",
        f"{MESSAGES} > chat local-extractive",
        f"{MESSAGES} > insert messages",
    ]
    for span in spans.get_finished_spans():
        assert span.kind is (SpanKind.SERVER if span.name.startswith("POST") else SpanKind.CLIENT)
        assert outcome(span) == (StatusCode.UNSET, None)
        assert not any(secret in span.to_json() for secret in SECRETS)
    assert attributes(ended(spans, "find messages")) == {
        "db.system.name": "sqlite",
        "db.operation.name": "find",
        "db.collection.name": "messages",
    }
    assert attributes(ended(spans, "search chunks")) == {
        "db.system.name": "qdrant",
        "db.operation.name": "search",
        "db.collection.name": "chunks",
    }
    embedding = attributes(ended(spans, "embeddings local-hashing"))
    assert embedding.pop("gen_ai.usage.input_tokens") > 0
    assert embedding == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "local",
        "gen_ai.request.model": "local-hashing",
    }
    chat = attributes(ended(spans, "chat local-extractive"))
    assert chat.pop("gen_ai.usage.input_tokens") > chat.pop("gen_ai.usage.output_tokens") > 0
    assert chat == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "local",
        "gen_ai.request.model": "local-extractive",
        "gen_ai.response.finish_reasons": ("stop",),
    }


async def test_a_job_is_a_trace_of_its_own_linked_to_the_upload(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    upload = await client.post(
        "/api/v1/documents", files={"file": ("birds.txt", DOCUMENT, "text/plain")}, headers={"X-Request-ID": "sent"}
    )
    job = await asyncio.to_thread(ended, spans, "index document")
    cause = ended(spans, "POST /api/v1/documents")
    assert job.context is not None
    assert job.parent is None
    assert job.kind is SpanKind.INTERNAL
    (link,) = job.links
    assert cause.context is not None
    assert (link.context.trace_id, link.context.span_id) == (cause.context.trace_id, cause.context.span_id)
    assert job.context.trace_id != cause.context.trace_id
    assert attributes(job) == {
        "request.id": "sent",
        "indexing.job.id": upload.json()["job_id"],
        "indexing.format": "text",
    }
    assert [one for one in tree(spans.get_finished_spans()) if one.startswith("index document")] == [
        "index document",
        "index document > ping chunks",
        "index document > update jobs",
        "index document > get uploads",
        "index document > extract document",
        "index document > chunk document",
        "index document > delete chunks",  # before money is spent: would it be kept?
        "index document > embeddings local-hashing",
        "index document > upsert chunks",
        "index document > put documents",
        "index document > update jobs",
        "index document > delete uploads",
    ]
    kinds = {span.name: span.kind for span in spans.get_finished_spans()}
    assert kinds["chunk document"] is kinds["extract document"] is SpanKind.INTERNAL
    assert kinds["upsert chunks"] is SpanKind.CLIENT
    assert not any(secret in span.to_json() for span in spans.get_finished_spans() for secret in SECRETS)


async def test_a_document_that_cannot_be_indexed_is_named_by_its_kind_of_fault(
    settings: Settings, spans: InMemorySpanExporter
) -> None:
    async with started(settings.model_copy(update={"chunk_chars": 10_000, "chunk_overlap_chars": 9_000})) as client:
        job = await indexed(client, "birds.txt", DOCUMENT)
    assert job["status"] == "failed"
    span = ended(spans, "index document")
    assert outcome(span) == outcome(ended(spans, "chunk document")) == (StatusCode.ERROR, "ValueError")
    assert attributes(span)["indexing.job.id"] == job["id"]


async def test_what_is_polled_in_the_background_makes_no_traces(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    await client.get("/health")
    await asyncio.sleep(0.5)  # more than two samples of the gauges, and looks for jobs
    assert spans.get_finished_spans() == ()


@pytest.mark.parametrize(
    ("fault", "name", "kind", "status"),
    [
        ("ai_down", "embeddings local-hashing", "injected", 503),
        ("vector_store_down", "search chunks", "StoreUnavailable", 503),
        ("database_down", "insert sessions", "StoreUnavailable", 503),
    ],
)
async def test_a_part_that_fails_is_an_error_with_its_reason(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, fault: FaultName, name: str, kind: str, status: int
) -> None:
    session = "" if fault == "database_down" else (await client.post("/api/v1/chat/sessions")).json()["session_id"]
    strike(fault)
    path = f"/{session}/messages" if session else ""
    answer = await client.post(f"/api/v1/chat/sessions{path}", json={"content": QUESTION})
    assert answer.status_code == status
    span = ended(spans, name)
    assert outcome(span) == (StatusCode.ERROR, kind)
    (event,) = span.events
    assert f"the fault {fault} is on" in str((event.attributes or {})["exception.message"])
    assert "exception.stacktrace" not in (event.attributes or {}), "an expected failure needs none"
    server = ended(spans, MESSAGES if session else "POST /api/v1/chat/sessions")
    assert outcome(server) == (StatusCode.ERROR, "503")
    assert not any(secret in one.to_json() for one in spans.get_finished_spans() for secret in SECRETS)


async def test_a_reader_that_leaves_a_stream_ends_its_spans_without_an_error(
    settings: Settings, spans: InMemorySpanExporter
) -> None:
    with served(create_app(settings)) as address:
        async with httpx.AsyncClient(base_url=address) as client:
            await indexed(client, "birds.txt", b" ".join(b"The heron nests in granite %d." % n for n in range(400)))
            session = (await client.post("/api/v1/chat/sessions")).json()["session_id"]
            board.replace([Fault("ai_slow", 100, time.time() + 30, delay_seconds=1.0)])
            body = {"content": QUESTION, "stream": True}
            url = f"/api/v1/chat/sessions/{session}/messages"
            async with client.stream("POST", url, json=body) as answer:
                await anext(answer.aiter_bytes())
        server = await asyncio.to_thread(ended, spans, MESSAGES)
        chat = ended(spans, "chat local-extractive")
    assert attributes(server)["http.response.status_code"] == 499
    assert outcome(server) == outcome(chat) == (StatusCode.UNSET, None)
    assert "gen_ai.response.finish_reasons" not in attributes(chat)


def test_an_alert_webhook_is_a_span_without_the_alerts_words(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    alert = {"status": "firing", "labels": {"alertname": "Heron"}, "annotations": {"summary": "alice@example.org"}}
    with served(create_inbox(make_settings(tmp_path))) as address:
        httpx.post(address + "/alerts", json={"receiver": "page", "status": "firing", "alerts": [alert]})
        until(lambda: len(spans.get_finished_spans()) == 2, "both spans end")
    assert tree(spans.get_finished_spans()) == ["POST /alerts", "POST /alerts > receive alerts"]
    span = ended(spans, "receive alerts")
    assert (span.kind, attributes(span)) == (SpanKind.CONSUMER, {"alerts.count": 1})
    assert "alice" not in "".join(one.to_json() for one in spans.get_finished_spans())

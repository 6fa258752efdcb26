"""What a call to an AI provider over HTTP carries, and how its failures look in a trace."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from app.core.logging_config import RequestContext
from app.stores.errors import StoreUnavailable
from app.stores.vectors import VectorStore
from tests.backend.ai.fake_openai import (
    GOOD_ANSWER,
    MODELS,
    Behaviour,
    FakeOpenAI,
    Request,
    embedding,
    fake_openai,
    refusing,
    streaming,
)
from tests.backend.conftest import make_settings, started
from tests.backend.test_tracing_children import attributes, ended, outcome

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


class Provider:
    """A provider that answers each kind of call as it is told, and keeps what it was asked."""

    def __init__(self, server: FakeOpenAI) -> None:
        self.chat: list[Behaviour] = [streaming(GOOD_ANSWER)]
        self.server = server
        server.script = [self._answer] * 1000

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.target.endswith("/models"):
            return await MODELS(request, writer)
        if request.target.endswith("/embeddings"):
            return await embedding([1.0, 0.0])(request, writer)
        return await self.chat.pop(0)(request, writer)

    def headers(self, call: str) -> list[dict[str, str]]:
        return [request.headers for request in self.server.requests if request.target.endswith(call)]


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with fake_openai() as server:
        yield Provider(server)


@pytest.fixture
async def client(provider: Provider, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    asks = {"ai_provider": "openai", "openai_base_url": provider.server.url, "openai_api_key": "sk-very-secret-key"}
    async with started(make_settings(tmp_path, ai_embedding_dimensions=2, ai_timeout_seconds=5, **asks)) as client:
        yield client


async def ask(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    session = (await client.post("/api/v1/chat/sessions")).json()["session_id"]
    url = f"/api/v1/chat/sessions/{session}/messages"
    return await client.post(url, json={"content": "the launch code is 0000"}, headers=headers)


async def test_a_call_carries_the_id_of_its_own_span_and_the_request_id_and_no_baggage(
    client: httpx.AsyncClient, provider: Provider, spans: InMemorySpanExporter
) -> None:
    given = {"traceparent": f"{CALLER}-01", "tracestate": "vendor=x", "baggage": "a=b", "X-Request-ID": "asked"}
    assert (await ask(client, **given)).status_code == 200
    for call, name in (("/embeddings", "embeddings text-embedding-3-small"), ("/completions", "chat gpt-4o-mini")):
        (headers,) = provider.headers(call)
        span = ended(spans, name)
        assert span.context is not None
        assert headers["traceparent"] == f"{CALLER[:35]}-{span.context.span_id:016x}-01"
        assert headers["tracestate"] == "vendor=x"
        assert headers["x-request-id"] == "asked"
        assert "baggage" not in headers
    chat = attributes(ended(spans, "chat gpt-4o-mini"))
    assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"]) == (11, 3)


async def test_a_call_of_a_request_that_is_not_traced_says_so(
    client: httpx.AsyncClient, provider: Provider, spans: InMemorySpanExporter
) -> None:
    assert (await ask(client, traceparent=f"{CALLER}-00")).status_code == 200
    (headers,) = provider.headers("/completions")
    assert headers["traceparent"].startswith(CALLER[:35])
    assert headers["traceparent"].endswith("-00")
    assert [span.name for span in spans.get_finished_spans()] == [
        "insert sessions",
        "POST /api/v1/chat/sessions",
    ], "the session was opened without a caller's word, and so is traced"


async def test_a_call_that_is_tried_again_has_an_event_for_it(
    client: httpx.AsyncClient, provider: Provider, spans: InMemorySpanExporter
) -> None:
    provider.chat = [refusing(503), streaming(GOOD_ANSWER)]
    assert (await ask(client)).status_code == 200
    chat = ended(spans, "chat gpt-4o-mini")
    (event,) = chat.events
    assert (event.name, (event.attributes or {})["error.type"]) == ("retry", "server_error")
    assert outcome(chat) == (StatusCode.UNSET, None)
    assert len(provider.headers("/completions")) == 2


async def test_a_refusal_is_an_error_without_the_providers_words(
    client: httpx.AsyncClient, provider: Provider, spans: InMemorySpanExporter
) -> None:
    provider.chat = [refusing(400)]
    assert (await ask(client)).status_code == 503
    chat = ended(spans, "chat gpt-4o-mini")
    assert outcome(chat) == (StatusCode.ERROR, "client_error")
    assert "answered 400" in str(chat.status.description)
    text = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "launch" not in text
    assert "sk-very" not in text


async def test_a_call_to_the_vector_server_names_the_request_that_it_serves() -> None:
    async with fake_openai() as server:
        server.script = [refusing(500)] * 5
        address = httpx.URL(server.url)
        store = VectorStore.server(address.host, address.port or 0, "chunks", 2, timeout_seconds=5)
        with RequestContext("complaint-7"), pytest.raises(StoreUnavailable):
            await store.start()
        await store.close()
    assert {request.headers.get("x-request-id") for request in server.requests} == {"complaint-7"}

"""What is counted of the API's work, and that nothing else can make a series."""

import asyncio
from typing import Any

import httpx
import pytest

from app.api.chat import _events
from app.api.dependencies import Services
from app.core.routing import METHODS
from app.services.chat import ChatService
from app.stores.documents import StoreUnavailable
from tests.backend.conftest import indexed, sample
from tests.backend.test_api import HANDBOOK, ask, open_session, scrape


async def test_no_new_label_set_appears_while_it_works(client: httpx.AsyncClient) -> None:
    def names(text: str) -> set[str]:
        lines = (line for line in text.splitlines() if line and not line.startswith("#"))
        return {line.rsplit(" ", 1)[0] for line in lines}

    await scrape(client)
    before = names(await scrape(client))
    await indexed(client, "handbook.md", HANDBOOK, "text/markdown")
    session = await open_session(client)
    message = (await ask(client, session, "Who lights the lamp?")).json()["message_id"]
    await client.post("/api/v1/feedback", json={"message_id": message, "score": 4})
    await client.get("/api/v1/indexing/jobs")
    await client.delete(f"/api/v1/chat/sessions/{session}")
    await asyncio.sleep(0.5)
    assert names(await scrape(client)) - before == set()


async def test_nothing_that_a_client_sends_makes_a_series(client: httpx.AsyncClient) -> None:
    """Every method on every route and page, with a body that is too large as well."""
    document = (await client.get("/openapi.json")).json()
    paths = [path.replace("{session_id}", "x").replace("{job_id}", "x") for path in document["paths"]]
    paths += ["/docs", "/redoc", "/static/page.js", "/static/none", "/nothing", "/api/v1/documents/"]

    async def series() -> set[str]:
        return {line.rpartition(" ")[0] for line in (await client.get("/metrics")).text.splitlines() if line[0] != "#"}

    await series()  # which counts itself
    before = await series()
    for path in paths:
        for method in (*METHODS, "PROPFIND"):
            await client.request(method, path)
            await client.request(
                method, path, headers={"Range": "bytes=9-", "Content-Type": "text/plain"}, content=b"{"
            )
            await client.request(method, path, headers={"Content-Length": "99999999999"})
    assert await series() - before == set()


async def test_what_is_refused_before_a_route_is_asked_is_counted_under_the_route(client: httpx.AsyncClient) -> None:
    async def refused() -> float:
        text = (await client.get("/metrics")).text
        return sample(text, "http_requests_total", method="POST", endpoint="/api/v1/documents", status="413")

    before = await refused()
    await client.post("/api/v1/documents", headers={"Content-Length": "99999999999"})
    assert await refused() == before + 1


async def test_a_query_that_comes_to_no_search_has_no_search_time(client: httpx.AsyncClient) -> None:
    async def state() -> tuple[float, float, float]:
        text = await scrape(client)
        failed = sample(text, "rag_query_failures_total", reason="embedding")
        return sample(text, "rag_queries_total"), sample(text, "vector_search_duration_seconds_count"), failed

    queries, searches, failures = await state()
    await client.put("/internal/faults", json={"fault": "ai_down", "percent": 100, "seconds": 60})
    assert (await ask(client, await open_session(client), "Who?")).status_code == 503
    assert await state() == (queries + 1, searches, failures + 1)


async def test_an_answer_that_cannot_be_kept_is_a_failed_query(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sample(await scrape(client), "rag_query_failures_total", reason="document_store")
    keep = ChatService._add_message

    async def full(self: ChatService, *message: Any) -> None:
        if message[3] == "assistant":
            raise StoreUnavailable("the disk is full")
        await keep(self, *message)

    monkeypatch.setattr(ChatService, "_add_message", full)
    assert (await ask(client, await open_session(client), "Who?")).status_code == 503
    assert sample(await scrape(client), "rag_query_failures_total", reason="document_store") == before + 1


async def test_a_client_that_leaves_a_stream_has_made_a_query_and_no_failure(client: httpx.AsyncClient) -> None:
    await indexed(client, "handbook.md", HANDBOOK, "text/markdown")
    services: Services = client._transport.app.state.services  # type: ignore[attr-defined]
    session = await open_session(client)

    async def state() -> tuple[float, float]:
        text = await scrape(client)
        return sample(text, "rag_queries_total"), sample(text, "rag_query_failures_total", reason="ai")

    queries, failures = await state()
    for pieces in (1, 2):  # before the first token, and after it
        events = _events(services, await services.chat.ask(session, "Who trims the wick?", None))
        for _ in range(pieces):
            await anext(events)
        await events.aclose()  # type: ignore[attr-defined]
    assert await state() == (queries + 2, failures)

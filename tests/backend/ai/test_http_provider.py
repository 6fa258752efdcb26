"""Azure OpenAI and OpenAI over HTTP, against a server on loopback."""

import asyncio
import time
from contextlib import aclosing, suppress

import pytest

from app.services.ai.base import AIError, Chunk, Usage
from tests.backend.ai.clients import PROMPT, azure, checked, collect, openai
from tests.backend.ai.fake_openai import (
    API_KEY,
    GOOD_ANSWER,
    MODELS,
    SECRET_PROMPT,
    FakeOpenAI,
    answering,
    embedding,
    event,
    streaming,
)


async def test_an_answer_is_streamed_with_its_usage_last(server: FakeOpenAI) -> None:
    server.script = [streaming(GOOD_ANSWER)]
    async with openai(server.url) as provider:
        chunks = await collect(provider)
    assert chunks == [Chunk("Hel"), Chunk("lo\u2028there"), Chunk("", "stop", Usage(11, 3))]


async def test_pieces_arrive_while_the_answer_is_still_being_written(server: FakeOpenAI) -> None:
    server.script = [streaming([event("one "), event("two"), event(None, "stop")], pause=0.05)]
    async with openai(server.url) as provider:
        times = [time.perf_counter() async for _ in provider.stream(PROMPT)]
    assert times[1] - times[0] > 0.03


async def test_openai_is_asked_in_its_own_form(server: FakeOpenAI) -> None:
    server.script = [streaming(GOOD_ANSWER), embedding([1.0, 0.0]), MODELS]
    async with openai(server.url) as provider:
        await collect(provider)
        await provider.embed(["a text"])
        await provider.check()
    chat, embed, check = server.requests
    assert (chat.method, chat.target) == ("POST", "/v1/chat/completions")
    assert (embed.method, embed.target) == ("POST", "/v1/embeddings")
    assert (check.method, check.target) == ("GET", "/v1/models")
    assert all(request.headers["authorization"] == f"Bearer {API_KEY}" for request in server.requests)
    assert (chat.body["model"], chat.body["stream"]) == ("gpt-test", True)
    assert chat.body["stream_options"] == {"include_usage": True}
    assert embed.body == {"model": "embed-test", "input": ["a text"]}


async def test_azure_is_asked_in_its_own_form(server: FakeOpenAI) -> None:
    server.script = [streaming(GOOD_ANSWER), embedding([1.0, 0.0]), MODELS]
    async with azure(server.url) as provider:
        assert (await collect(provider))[-1].usage == Usage(11, 3)
        await provider.embed(["a text"])
        await provider.check()
    assert [request.target for request in server.requests] == [
        "/openai/deployments/chat-deployment/chat/completions?api-version=2024-10-21",
        "/openai/deployments/text-embedding-3-small/embeddings?api-version=2024-10-21",
        "/openai/models?api-version=2024-10-21",
    ]
    assert all(request.headers["api-key"] == API_KEY for request in server.requests)
    assert "model" not in server.requests[0].body
    # This family shortens its vectors on request.
    assert server.requests[1].body == {"input": ["a text"], "dimensions": 2}


async def test_the_prompt_holds_passages_history_and_question_in_that_order(server: FakeOpenAI) -> None:
    server.script = [streaming(GOOD_ANSWER)]
    async with openai(server.url) as provider:
        await collect(provider)
    system, *rest = server.requests[0].body["messages"]
    assert system["role"] == "system"
    assert "Runbook" in system["content"]
    assert "Delete old backups." in system["content"]
    assert rest == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Good day"},
        {"role": "user", "content": SECRET_PROMPT},
    ]


async def test_one_connection_serves_one_call_after_another(server: FakeOpenAI) -> None:
    server.script = [streaming(GOOD_ANSWER), embedding([1.0, 0.0]), streaming(GOOD_ANSWER), MODELS]
    async with openai(server.url) as provider:
        async with aclosing(provider.stream(PROMPT)) as chunks:
            async for chunk in chunks:
                if chunk.finish_reason:
                    break  # as a reader does who knows that this is the last one
        await provider.embed(["a text"])
        await collect(provider)
        await provider.check()
    assert server.connections == 1


async def test_a_call_carries_the_headers_of_the_request_at_hand(server: FakeOpenAI) -> None:
    server.script = [streaming(GOOD_ANSWER), MODELS]
    async with openai(server.url, extra_headers=lambda: {"X-Request-ID": "abc"}) as provider:
        await collect(provider)
        await provider.check()
    assert [request.headers["x-request-id"] for request in server.requests] == ["abc", "abc"]


async def test_a_cookie_from_the_provider_is_not_sent_back_in_the_next_users_call(server: FakeOpenAI) -> None:
    server.script = [answering(200, {"data": []}, {"Set-Cookie": "session=first-user; Path=/"}), MODELS]
    async with openai(server.url) as provider:
        await provider.check()
        await provider.check()
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


async def test_a_reader_that_leaves_ends_the_servers_work(server: FakeOpenAI) -> None:
    server.script = [streaming([event("word ")] * 1000, pause=0.005)]
    async with openai(server.url) as provider:
        async with aclosing(provider.stream(PROMPT)) as chunks:
            assert await anext(chunks) == Chunk("word ")
            assert not server.abandoned.is_set()
        # While the provider goes on: it is the answer that is given up, not the client.
        with suppress(TimeoutError):
            await asyncio.wait_for(server.abandoned.wait(), 2)
        assert server.abandoned.is_set()


async def test_usage_is_estimated_where_the_server_counts_none(server: FakeOpenAI) -> None:
    server.script = [streaming([event("four more words here"), event(None, "length")], done=False)]
    async with openai(server.url) as provider:
        last = (await collect(provider))[-1]
    assert last.finish_reason == "length"
    assert last.usage is not None
    assert last.usage.output_tokens == 5
    assert last.usage.input_tokens > 20


async def test_embeddings_come_back_in_the_order_of_the_texts(server: FakeOpenAI) -> None:
    server.script = [embedding([1.0, 0.0], [0.0, 1.0], order=[1, 0])]
    async with openai(server.url) as provider:
        embeddings = await provider.embed(["first", "second"])
    assert embeddings.vectors == [[1.0, 0.0], [0.0, 1.0]]
    assert embeddings.usage == Usage(7, 0)


async def test_embeddings_of_another_length_are_refused_with_the_setting_to_change(server: FakeOpenAI) -> None:
    server.script = [embedding([1.0, 0.0, 0.0])]
    async with openai(server.url) as provider:
        with pytest.raises(AIError, match="AI_EMBEDDING_DIMENSIONS=3") as caught:
            await provider.embed(["a text"])
    assert checked(caught.value).reason == "client_error"

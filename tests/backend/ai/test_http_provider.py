"""Azure OpenAI and OpenAI over HTTP, against a server on loopback."""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from app.services.ai.base import AIError, Chunk, Passage, Prompt, Turn, Usage
from app.services.ai.http_provider import HttpProvider, azure_api, openai_api

from tests.backend.ai.fake_openai import (
    API_KEY,
    GOOD_ANSWER,
    MODELS,
    SECRET_PROMPT,
    Behaviour,
    FakeOpenAI,
    answering,
    answering_bytes,
    embedding,
    event,
    fake_openai,
    hanging,
    hanging_up,
    refusing,
    streaming,
    usage,
)
from tests.backend.ai.scripted import until_error

PROMPT = Prompt(
    SECRET_PROMPT,
    [Passage("Runbook", "Delete old backups.")],
    [Turn("user", "Hello"), Turn("assistant", "Good day")],
)


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai() as fake:
        yield fake


@asynccontextmanager
async def openai(url: str, *, seconds: float = 5.0, **more: object) -> AsyncIterator[HttpProvider]:
    provider = HttpProvider(
        openai_api(f"{url}/v1/", API_KEY),
        chat_model="gpt-test",
        embedding_model=str(more.pop("embedding_model", "embed-test")),
        dimensions=2,
        timeout_seconds=seconds,
        transport=httpx.AsyncHTTPTransport(verify=False),
        **more,  # type: ignore[arg-type]
    )
    try:
        yield provider
    finally:
        await provider.close()


@asynccontextmanager
async def azure(url: str) -> AsyncIterator[HttpProvider]:
    provider = HttpProvider(
        azure_api(url, API_KEY, "chat-deployment", "text-embedding-3-small", "2024-10-21"),
        chat_model="chat-deployment",
        embedding_model="text-embedding-3-small",
        dimensions=2,
        timeout_seconds=5.0,
        transport=httpx.AsyncHTTPTransport(verify=False),
    )
    try:
        yield provider
    finally:
        await provider.close()


async def collect(provider: HttpProvider, prompt: Prompt = PROMPT) -> list[Chunk]:
    return [chunk async for chunk in provider.stream(prompt)]


async def failing(server: FakeOpenAI, behaviour: Behaviour, *, seconds: float = 5.0) -> AIError:
    """The error that a stream ends in, after a look for what must not be in it."""
    server.script = [behaviour]
    async with openai(server.url, seconds=seconds) as provider:
        with pytest.raises(AIError) as caught:
            await asyncio.wait_for(collect(provider), 5)
    return checked(caught.value)


def checked(error: AIError) -> AIError:
    shown = f"{error} {error!r} {''.join(traceback.format_exception(error))}"
    assert SECRET_PROMPT not in shown
    assert API_KEY not in shown
    return error


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


async def test_a_reader_that_leaves_ends_the_servers_work(server: FakeOpenAI) -> None:
    server.script = [streaming([event("word ")] * 1000, pause=0.005)]
    async with openai(server.url) as provider:
        async with aclosing(provider.stream(PROMPT)) as chunks:
            await anext(chunks)
        await asyncio.wait_for(server.abandoned.wait(), 2)


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


@pytest.mark.parametrize(
    "behaviour",
    [
        answering_bytes(b"<html>Please log in</html>"),
        answering(200, []),
        answering(200, {"data": [{"index": 0}]}),
        answering(200, {"data": [{"index": 0, "embedding": ["x"]}]}),
        embedding(),
    ],
)
async def test_rubbish_for_embeddings_is_a_protocol_error(server: FakeOpenAI, behaviour: Behaviour) -> None:
    server.script = [behaviour]
    async with openai(server.url) as provider:
        with pytest.raises(AIError) as caught:
            await provider.embed([SECRET_PROMPT])
    assert checked(caught.value).reason == "protocol"


@pytest.mark.parametrize(
    ("status", "reason", "hint"),
    [
        (400, "client_error", "too long"),
        (401, "client_error", "OPENAI_API_KEY"),
        (403, "client_error", "OPENAI_API_KEY"),
        (404, "client_error", "OPENAI_MODEL"),
        (408, "timeout", "its side"),
        (422, "client_error", "OPENAI_BASE_URL"),
        (429, "rate_limited", "quota"),
        (301, "client_error", "OPENAI_BASE_URL"),
        (500, "server_error", "its side"),
        (503, "server_error", "its side"),
    ],
)
async def test_each_status_has_its_reason_and_says_what_to_do(
    server: FakeOpenAI, status: int, reason: str, hint: str
) -> None:
    error = await failing(server, refusing(status))
    assert error.reason == reason
    assert str(status) in str(error)
    assert hint in str(error)
    assert "127.0.0.1" in str(error)
    assert error.retry_after is None


async def test_azures_errors_name_azures_settings(server: FakeOpenAI) -> None:
    server.script = [refusing(401), refusing(404)]
    async with azure(server.url) as provider:
        with pytest.raises(AIError, match="AZURE_OPENAI_KEY"):
            await collect(provider)
        with pytest.raises(AIError, match="AZURE_OPENAI_EMBEDDING_DEPLOYMENT"):
            await provider.embed(["a text"])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
    ],
)
async def test_the_wait_that_a_rate_limit_asks_for_is_handed_on(
    server: FakeOpenAI, headers: dict[str, str], seconds: float | None
) -> None:
    error = await failing(server, refusing(429, headers))
    assert (error.reason, error.retry_after) == ("rate_limited", seconds)


async def test_the_wait_may_be_a_date(server: FakeOpenAI) -> None:
    date = datetime.now(UTC) + timedelta(seconds=30)
    error = await failing(server, refusing(503, {"Retry-After": format_datetime(date, usegmt=True)}))
    assert error.retry_after == pytest.approx(30, abs=3)


async def test_a_server_that_says_nothing_is_a_timeout(server: FakeOpenAI) -> None:
    assert (await failing(server, hanging(), seconds=0.1)).reason == "timeout"


async def test_a_server_that_pauses_too_long_in_an_answer_is_a_timeout(server: FakeOpenAI) -> None:
    assert (await failing(server, streaming([event("a")] * 2, pause=0.3), seconds=0.1)).reason == "timeout"


async def test_a_server_that_hangs_up_before_it_answers_is_a_lost_connection(server: FakeOpenAI) -> None:
    assert (await failing(server, hanging_up)).reason == "connection"


async def test_a_server_that_is_not_there_is_a_lost_connection(unused_tcp_port: int) -> None:
    async with openai(f"http://user:hidden@127.0.0.1:{unused_tcp_port}") as provider:
        for call in (collect(provider), provider.embed(["a text"]), provider.check()):
            with pytest.raises(AIError, match="OPENAI_BASE_URL") as caught:
                await call
            assert checked(caught.value).reason == "connection"
            assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "behaviour",
    [
        streaming([event("half an ans")], breaking=True),
        streaming([event("half an ans")], done=True),
        streaming([event("half an ans")], done=False),
        streaming([b"data: {not json\n\n", *GOOD_ANSWER]),
        streaming([b"data: []\n\n", *GOOD_ANSWER]),
        streaming([event("a") | {"choices": [{"delta": {"content": 5}}]}, *GOOD_ANSWER]),
        streaming([event("a") | {"choices": [1]}, *GOOD_ANSWER]),
        streaming([event("a") | {"choices": [{"finish_reason": 5}]}, *GOOD_ANSWER]),
        streaming([*GOOD_ANSWER, usage(1, 1) | {"usage": {"prompt_tokens": "many"}}]),
        streaming([b"data: " + b"x" * 1_100_000, *[b"x"] * 100], pause=0.3),
        answering_bytes(b"<html>Please log in</html>"),
        answering_bytes(b""),
    ],
    ids=[
        "hung up",
        "done without an end",
        "no end",
        "no JSON",
        "list",
        "number for text",
        "number for a choice",
        "number for a reason",
        "usage",
        "endless line",
        "page",
        "empty",
    ],
)
async def test_a_broken_stream_is_a_protocol_error(server: FakeOpenAI, behaviour: Behaviour) -> None:
    assert (await failing(server, behaviour, seconds=2.0)).reason == "protocol"


async def test_what_came_before_a_break_is_handed_on(server: FakeOpenAI) -> None:
    server.script = [streaming([event("half an ans")], breaking=True)]
    async with openai(server.url) as provider:
        assert await until_error(provider.stream(PROMPT)) == (["half an ans"], "protocol")


async def test_an_error_inside_a_stream_is_the_servers(server: FakeOpenAI) -> None:
    inside = streaming([event("a"), {"error": {"message": SECRET_PROMPT}}])
    assert (await failing(server, inside)).reason == "server_error"


async def test_the_check_fails_for_a_key_that_is_not_valid_and_for_a_page(server: FakeOpenAI) -> None:
    server.script = [refusing(401), answering_bytes(b"<html>Please log in</html>"), answering(200, {"data": None})]
    reasons: list[str] = []
    async with openai(server.url) as provider:
        for _ in range(3):
            with pytest.raises(AIError) as caught:
                await provider.check()
            reasons.append(checked(caught.value).reason)
    assert reasons == ["client_error", "protocol", "protocol"]


async def test_a_key_that_no_header_may_hold_is_not_shown(server: FakeOpenAI) -> None:
    provider = HttpProvider(openai_api(server.url, f"{API_KEY}\nx"), "m", "e", 2, 5.0)
    with pytest.raises(AIError) as caught:
        await provider.check()
    await provider.close()
    checked(caught.value)


def test_the_key_is_not_in_the_description_of_an_api() -> None:
    for api in (openai_api("http://localhost", API_KEY), azure_api("http://localhost", API_KEY, "c", "e", "v")):
        assert API_KEY not in repr(api)

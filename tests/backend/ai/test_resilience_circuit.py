"""The circuits around a provider, its check, and all of it against a server on loopback."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import httpx
import pytest

from app.services.ai.base import AIError, Chunk
from app.services.ai.http_provider import HttpProvider, openai_api
from app.services.ai.resilience import ResilientProvider
from tests.backend.ai.bench import LIMITS, PROMPT, Bench
from tests.backend.ai.fake_openai import GOOD_ANSWER, FakeOpenAI, embedding, event, hanging_up, refusing, streaming
from tests.backend.ai.scripted import ANSWER, Clock, Step, drain, error


async def test_the_circuit_opens_is_tried_and_closes() -> None:
    bench = Bench(*[[error("server_error")]] * 4, limits=replace(LIMITS, attempts=1), failures=3)
    for _ in range(3):
        assert (await bench.failure()).reason == "server_error"
    assert bench.states == [("chat-model", "open")]
    refusal = await bench.failure()
    assert (refusal.reason, refusal.retry_after, bench.inner.calls) == ("circuit_open", 20.0, 3)

    bench.clock.now += 20
    assert (await bench.failure()).reason == "server_error"
    assert bench.states[1:] == [("chat-model", "half_open"), ("chat-model", "open")]

    bench.clock.now += 20
    assert await bench.answer() == list(ANSWER)
    assert bench.states[3:] == [("chat-model", "half_open"), ("chat-model", "closed")]


async def test_no_retry_runs_into_a_circuit_that_its_own_call_has_opened() -> None:
    bench = Bench(*[[error("connection")]] * 5, failures=2)
    assert (await bench.failure()).reason == "connection"
    assert (bench.inner.calls, len(bench.retries)) == (2, 1)


async def test_streams_that_always_break_off_open_the_circuit() -> None:
    broken: list[Step] = [Chunk("a"), error("protocol")]
    bench = Bench(broken, broken, broken, failures=3)
    for _ in range(3):
        await bench.failure()
    assert (await bench.failure()).reason == "circuit_open"


async def test_whole_answers_and_whole_embeddings_start_the_count_anew() -> None:
    broken: list[Step] = [Chunk("a"), error("protocol")]
    bench = Bench(broken, list(ANSWER), broken, list(ANSWER), broken, failures=2)
    for _ in range(2):
        await bench.failure()
        await bench.answer()
    await bench.failure()
    assert bench.states == []
    bench.inner.scripts = [[error("protocol")], [], [error("protocol")]]
    with pytest.raises(AIError, match="protocol"):
        await bench.provider.embed(["abc"])
    await bench.provider.embed(["abc"])
    with pytest.raises(AIError, match="protocol"):
        await bench.provider.embed(["abc"])
    assert bench.states == []


async def test_an_answer_whose_reader_leaves_with_its_last_piece_is_a_whole_one() -> None:
    broken: list[Step] = [Chunk("a"), error("protocol")]
    bench = Bench(broken, list(ANSWER), broken, failures=2)
    await bench.failure()
    async with aclosing(bench.provider.stream(PROMPT)) as chunks:
        async for chunk in chunks:
            if chunk.finish_reason:
                break
    await bench.failure()
    assert bench.states == []


async def test_each_model_has_its_own_circuit() -> None:
    bench = Bench([error("connection")], limits=replace(LIMITS, attempts=1), failures=1)
    await bench.failure()
    assert bench.states == [("chat-model", "open")]
    assert (await bench.provider.embed(["abc"])).vectors == [[3.0, 0.0]]


async def test_while_a_trial_is_under_way_others_are_refused() -> None:
    bench = Bench([error("connection")], [0.1, *ANSWER], limits=replace(LIMITS, attempts=1), failures=1)
    await bench.failure()
    bench.clock.now += 20
    trial = asyncio.create_task(bench.answer())
    await asyncio.sleep(0.02)
    assert (await bench.failure()).reason == "circuit_open"
    assert await trial == list(ANSWER)
    assert await bench.answer() == list(ANSWER)


async def test_the_check_is_one_attempt_and_asks_no_circuit() -> None:
    bench = Bench([error("connection")], limits=replace(LIMITS, attempts=1), failures=1)
    await bench.failure()
    bench.inner.scripts = [[error("server_error")]]
    with pytest.raises(AIError, match="server_error"):
        await bench.provider.check()
    await bench.provider.check()
    assert bench.states == [("chat-model", "open")]


async def test_the_check_has_its_time_limit() -> None:
    bench = Bench([5.0], limits=replace(LIMITS, first_chunk=0.05))
    with pytest.raises(AIError) as caught:
        await bench.provider.check()
    assert caught.value.reason == "timeout"


async def test_closing_closes_the_provider() -> None:
    bench = Bench()
    await bench.provider.close()
    assert bench.inner.closed


def over_http(server: FakeOpenAI, clock: Clock, failures: int = 5) -> ResilientProvider:
    api = openai_api(server.url, "key")
    inner = HttpProvider(api, "chat", "embed", 2, 5.0, transport=httpx.AsyncHTTPTransport(verify=False))
    return ResilientProvider(inner, LIMITS, failures, 20.0, clock=clock, sleep=clock.sleep)


async def test_over_http_a_server_that_recovers_is_answered_from(server: FakeOpenAI) -> None:
    clock = Clock()
    provider = over_http(server, clock)
    server.script = [refusing(500), refusing(429, {"Retry-After": "3"}), streaming(GOOD_ANSWER), hanging_up]
    server.script += [embedding([1.0, 0.0])]
    assert "".join(chunk.text for chunk in await drain(provider.stream(PROMPT))) == "Hello\u2028there"
    assert (await provider.embed(["abc"])).vectors == [[1.0, 0.0]]
    assert clock.slept[1] == 3.0
    assert len(clock.slept) == 3
    await provider.close()


async def test_over_http_the_circuit_spares_a_broken_server(server: FakeOpenAI) -> None:
    clock = Clock()
    provider = over_http(server, clock, failures=2)
    server.script = [refusing(500), refusing(500)]
    reasons: list[str] = []
    for _ in range(3):
        with pytest.raises(AIError) as caught:
            await drain(provider.stream(PROMPT))
        reasons.append(caught.value.reason)
    assert reasons == ["server_error", "circuit_open", "circuit_open"]
    assert len(server.requests) == 2
    clock.now += 20
    server.script = [streaming([event("again"), event(None, "stop")])]
    assert (await drain(provider.stream(PROMPT)))[0].text == "again"
    await provider.close()

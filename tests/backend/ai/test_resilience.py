"""Time limits, retries and circuits around a provider."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import httpx
import pytest
from app.services.ai.base import AIError, Chunk, ErrorReason, Prompt
from app.services.ai.http_provider import HttpProvider, openai_api
from app.services.ai.resilience import Limits, ResilientProvider

from tests.backend.ai.fake_openai import (
    GOOD_ANSWER,
    FakeOpenAI,
    embedding,
    event,
    fake_openai,
    hanging_up,
    refusing,
    streaming,
)
from tests.backend.ai.scripted import ANSWER, LAST, Clock, ScriptedProvider, Step, drain, error, settle, until_error

PROMPT = Prompt("How do I free space?")
LIMITS = Limits(first_chunk=5.0, between_chunks=5.0, whole=60.0, attempts=3, backoff=0.5, max_backoff=8.0)


class Bench:
    """A guarded provider whose script, clock and reports a test can see."""

    def __init__(self, *scripts: Sequence[Step], limits: Limits = LIMITS, failures: int = 100) -> None:
        self.inner = ScriptedProvider(list(scripts))
        self.clock = Clock()
        self.retries: list[tuple[str, str]] = []
        self.states: list[tuple[str, str]] = []
        self.provider = ResilientProvider(
            self.inner,
            limits,
            failures,
            20.0,
            lambda model, reason: self.retries.append((model, reason)),
            lambda model, state: self.states.append((model, state)),
            self.clock,
            self.clock.sleep,
        )

    async def answer(self) -> list[Chunk]:
        return await drain(self.provider.stream(PROMPT))

    async def failure(self) -> AIError:
        with pytest.raises(AIError) as caught:
            await self.answer()
        return caught.value


async def test_a_good_answer_passes_through_as_it_is() -> None:
    bench = Bench()
    assert await bench.answer() == list(ANSWER)
    assert (await bench.provider.embed(["abc"])).vectors == [[3.0, 0.0]]
    assert bench.retries == []
    assert bench.states == []


@pytest.mark.parametrize("reason", ["timeout", "rate_limited", "server_error", "connection"])
async def test_what_may_pass_is_tried_again(reason: ErrorReason) -> None:
    bench = Bench([error(reason)], [error(reason)])
    assert await bench.answer() == list(ANSWER)
    assert bench.inner.calls == 3
    assert bench.retries == [("chat-model", reason)] * 2


async def test_embeddings_are_tried_again_too() -> None:
    bench = Bench([error("server_error")])
    assert (await bench.provider.embed(["abc"])).vectors == [[3.0, 0.0]]
    assert bench.retries == [("embedding-model", "server_error")]


@pytest.mark.parametrize("reason", ["client_error", "protocol", "injected", "circuit_open"])
async def test_what_will_not_pass_is_not_tried_again(reason: ErrorReason) -> None:
    bench = Bench([error(reason)])
    assert (await bench.failure()).reason == reason
    assert bench.inner.calls == 1
    assert bench.retries == []


async def test_after_the_last_attempt_the_error_itself_comes_out() -> None:
    bench = Bench([error("timeout")], [error("connection")], [error("server_error")])
    assert (await bench.failure()).reason == "server_error"
    assert bench.inner.calls == 3
    assert bench.retries == [("chat-model", "timeout"), ("chat-model", "connection")]


async def test_the_waits_double_and_half_of_each_is_chance() -> None:
    firsts, seconds, thirds = set(), set(), set()
    for _ in range(50):
        bench = Bench(*[[error("server_error")]] * 4, limits=replace(LIMITS, attempts=4))
        await bench.failure()
        first, second, third = bench.clock.slept
        firsts.add(first)
        seconds.add(second)
        thirds.add(third)
    assert 0.25 <= min(firsts) < max(firsts) <= 0.5
    assert 0.5 <= min(seconds) < max(seconds) <= 1.0
    assert 1.0 <= min(thirds) < max(thirds) <= 2.0


async def test_no_wait_is_longer_than_the_longest() -> None:
    bench = Bench(*[[error("server_error")]] * 4, limits=replace(LIMITS, attempts=4, max_backoff=0.6))
    await bench.failure()
    assert max(bench.clock.slept) <= 0.6


async def test_the_provider_is_waited_for_as_long_as_it_asks() -> None:
    bench = Bench([error("rate_limited", 7.0)], [error("server_error", 0.0)])
    await bench.answer()
    assert bench.clock.slept[0] == 7.0
    assert 0.5 <= bench.clock.slept[1] <= 1.0


async def test_a_provider_that_asks_for_too_long_is_not_asked_again() -> None:
    bench = Bench([error("rate_limited", 60.0)], limits=replace(LIMITS, whole=600.0))
    failure = await bench.failure()
    assert (failure.reason, failure.retry_after) == ("rate_limited", 60.0)
    assert bench.clock.slept == []


async def test_no_attempt_begins_after_the_time_for_the_whole_call() -> None:
    bench = Bench(*[[error("rate_limited", 6.0)]] * 5, limits=replace(LIMITS, attempts=5, whole=10.0))
    assert (await bench.failure()).reason == "rate_limited"
    assert bench.clock.slept == [6.0]


async def test_a_stream_that_has_begun_is_not_tried_again() -> None:
    bench = Bench([Chunk("half an "), error("server_error")])
    assert await until_error(bench.provider.stream(PROMPT)) == (["half an "], "server_error")
    assert bench.inner.calls == 1


@pytest.mark.parametrize("script", [[], [Chunk("half an ")]])
async def test_a_stream_without_an_end_is_a_protocol_error(script: list[Step]) -> None:
    bench = Bench(script)
    assert (await bench.failure()).reason == "protocol"


async def test_each_attempt_has_its_time_limit_and_a_late_one_is_tried_again() -> None:
    bench = Bench([5.0, *ANSWER], limits=replace(LIMITS, first_chunk=0.05))
    started = time.perf_counter()
    assert await bench.answer() == list(ANSWER)
    assert time.perf_counter() - started < 1
    assert bench.retries == [("chat-model", "timeout")]
    assert bench.inner.closed_streams == 2


async def test_an_embedding_has_its_time_limit() -> None:
    bench = Bench([5.0], [5.0], limits=replace(LIMITS, first_chunk=0.05, attempts=2))
    with pytest.raises(AIError, match="AI_TIMEOUT_SECONDS") as caught:
        await bench.provider.embed(["abc"])
    assert caught.value.reason == "timeout"


async def test_a_pause_between_two_pieces_has_its_own_limit() -> None:
    bench = Bench([Chunk("a"), 5.0, LAST], limits=replace(LIMITS, between_chunks=0.05))
    assert (await bench.failure()).reason == "timeout"
    assert bench.inner.closed_streams == 1


async def test_the_whole_call_has_its_limit_however_steady_the_stream() -> None:
    inner = ScriptedProvider([[Chunk("a"), 0.02] * 100])
    provider = ResilientProvider(inner, replace(LIMITS, whole=0.2), 100, 20.0)
    started = time.perf_counter()
    with pytest.raises(AIError) as caught:
        await drain(provider.stream(PROMPT))
    assert caught.value.reason == "timeout"
    assert time.perf_counter() - started < 1


async def test_a_slow_reader_costs_the_provider_no_time() -> None:
    inner = ScriptedProvider([[Chunk("a"), Chunk("b"), Chunk("c"), LAST]])
    provider = ResilientProvider(inner, replace(LIMITS, between_chunks=0.2, whole=0.2), 100, 20.0)
    async for _ in provider.stream(PROMPT):
        await asyncio.sleep(0.1)
    assert inner.closed_streams == 1


async def test_a_reader_that_leaves_closes_the_stream_and_fails_nothing() -> None:
    bench = Bench([Chunk("a"), Chunk("b"), LAST], failures=1)
    stream = bench.provider.stream(PROMPT)
    await anext(stream)
    await stream.aclose()
    assert bench.inner.closed_streams == 1
    assert bench.states == []


@pytest.mark.parametrize("script", [[5.0, *ANSWER], [Chunk("a"), 5.0, LAST]], ids=["before", "during"])
async def test_a_reader_that_is_cancelled_closes_the_stream_and_fails_nothing(script: list[Step]) -> None:
    bench = Bench(script, failures=1)
    task: asyncio.Task[object] = asyncio.create_task(bench.answer())
    await asyncio.sleep(0.02)
    await settle(task)
    assert bench.inner.closed_streams == 1
    assert (bench.inner.calls, bench.states) == (1, [])


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


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai() as fake:
        yield fake


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

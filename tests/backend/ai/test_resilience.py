"""Time limits and retries around a provider."""

import asyncio
import time
from dataclasses import replace

import pytest

from app.services.ai.base import AIError, Chunk, ErrorReason
from app.services.ai.resilience import ResilientProvider
from tests.backend.ai.bench import LIMITS, PROMPT, Bench
from tests.backend.ai.scripted import ANSWER, LAST, ScriptedProvider, Step, drain, error, settle, until_error


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

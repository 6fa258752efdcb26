"""The AI as the rest of the service sees it: its measurements, and the faults that strike it."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.core.faults import Fault, FaultName, board
from app.services.ai import service as service_module
from app.services.ai.base import AIError, Chunk, Prompt
from app.services.ai.faulty import FaultyProvider
from app.services.ai.resilience import Limits, ResilientProvider
from app.services.ai.service import EMBED_BATCH, AIService
from tests.backend.ai.scripted import ANSWER, LAST, ScriptedProvider, drain, error, settle

PROMPT = Prompt("How do I free space?")
PRICES = {"chat-model": (2.0, 8.0), "embedding-model": (0.5, 0.0)}


@dataclass
class Recorder:
    """Stands in for the metrics, and remembers."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append((name, *arguments))

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == name]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(service_module, "metrics", recorder)
    return recorder


@pytest.fixture
def no_faults() -> Iterator[None]:
    yield
    board.replace([])


def switch_on(name: FaultName, delay: float = 0.0) -> None:
    board.replace([Fault(name, 100, time.time() + 60, delay)])


async def test_an_answer_is_counted_timed_and_priced(recorded: Recorder) -> None:
    service = AIService(ScriptedProvider([[0.05, *ANSWER]]), PRICES)
    assert await drain(service.stream(PROMPT)) == list(ANSWER)
    ((model, kind, seconds, tokens),) = recorded.of("track_ai_request")
    assert (model, kind, tokens) == ("chat-model", "chat", 15)
    assert 0.05 <= seconds < 1
    ((model, first),) = recorded.of("track_first_token")
    assert model == "chat-model"
    assert 0.05 <= first <= seconds
    assert recorded.of("track_ai_usage") == [("chat-model", 10, 5, pytest.approx((10 * 2 + 5 * 8) / 1e6))]
    assert recorded.of("track_ai_error") == []


async def test_the_first_token_is_the_first_text(recorded: Recorder) -> None:
    service = AIService(ScriptedProvider([[Chunk(""), 0.05, Chunk("a"), LAST]]), PRICES)
    await drain(service.stream(PROMPT))
    assert recorded.of("track_first_token")[0][1] >= 0.05


async def test_a_model_without_a_price_costs_nothing(recorded: Recorder) -> None:
    await drain(AIService(ScriptedProvider(), {}).stream(PROMPT))
    assert recorded.of("track_ai_usage") == [("chat-model", 10, 5, 0.0)]


async def test_a_failed_answer_is_counted_with_its_reason_and_no_tokens(recorded: Recorder) -> None:
    service = AIService(ScriptedProvider([[Chunk("a"), error("protocol")]]), PRICES)
    with pytest.raises(AIError):
        await drain(service.stream(PROMPT))
    assert recorded.of("track_ai_error") == [("chat-model", "chat", "protocol")]
    ((_, _, _, tokens),) = recorded.of("track_ai_request")
    assert tokens == 0
    assert recorded.of("track_ai_usage") == []


async def test_an_answer_that_fails_at_once_has_no_first_token(recorded: Recorder) -> None:
    with pytest.raises(AIError):
        await drain(AIService(ScriptedProvider([[error("connection")]]), PRICES).stream(PROMPT))
    assert recorded.of("track_first_token") == []
    assert len(recorded.of("track_ai_request")) == 1


async def test_a_reader_that_leaves_is_no_error_and_closes_the_stream(recorded: Recorder) -> None:
    inner = ScriptedProvider([[Chunk("a"), Chunk("b"), LAST]])
    async with aclosing(AIService(inner, PRICES).stream(PROMPT)) as chunks:
        await anext(chunks)
    assert inner.closed_streams == 1
    assert recorded.of("track_ai_error") == []
    assert len(recorded.of("track_ai_request")) == 1


async def test_a_reader_that_is_cancelled_is_no_error_and_closes_the_stream(recorded: Recorder) -> None:
    inner = ScriptedProvider([[5.0, LAST]])
    task: asyncio.Task[object] = asyncio.create_task(drain(AIService(inner, PRICES).stream(PROMPT)))
    await asyncio.sleep(0.02)
    await settle(task)
    assert inner.closed_streams == 1
    assert recorded.of("track_ai_error") == []
    assert len(recorded.of("track_ai_request")) == 1


async def test_embeddings_are_counted_timed_and_priced(recorded: Recorder) -> None:
    service = AIService(ScriptedProvider(), PRICES)
    assert await service.embed(["a", "bc"]) == [[1.0, 0.0], [2.0, 0.0]]
    ((model, kind, _, tokens),) = recorded.of("track_ai_request")
    assert (model, kind, tokens) == ("embedding-model", "embedding", 2)
    assert recorded.of("track_ai_usage") == [("embedding-model", 2, 0, pytest.approx(2 * 0.5 / 1e6))]


async def test_many_texts_are_embedded_in_several_calls_and_none_in_no_call(recorded: Recorder) -> None:
    inner = ScriptedProvider()
    texts = ["x" * number for number in range(EMBED_BATCH + 1)]
    vectors = await AIService(inner, PRICES).embed(texts)
    assert [vector[0] for vector in vectors] == list(range(EMBED_BATCH + 1))
    assert inner.batches == [EMBED_BATCH, 1]
    assert len(recorded.of("track_ai_request")) == 2
    assert await AIService(inner, PRICES).embed([]) == []
    assert len(inner.batches) == 2


async def test_a_failed_embedding_is_counted_with_its_reason(recorded: Recorder) -> None:
    with pytest.raises(AIError):
        await AIService(ScriptedProvider([[error("rate_limited")]]), PRICES).embed(["a"])
    assert recorded.of("track_ai_error") == [("embedding-model", "embedding", "rate_limited")]
    assert recorded.of("track_ai_request")[0][3] == 0


async def test_it_passes_on_what_the_provider_is_and_does(recorded: Recorder) -> None:
    inner = ScriptedProvider([[], [error("connection")]])
    service = AIService(inner, PRICES)
    assert (service.name, service.chat_model, service.embedding_model) == ("openai", "chat-model", "embedding-model")
    assert service.dimensions == 2
    await service.check()
    with pytest.raises(AIError):
        await service.check()
    await service.close()
    assert inner.closed
    assert recorded.calls == []


@pytest.mark.usefixtures("no_faults")
async def test_while_the_ai_is_down_on_purpose_every_call_fails_and_none_reaches_the_provider(
    recorded: Recorder,
) -> None:
    inner = ScriptedProvider()
    service = AIService(FaultyProvider(inner), PRICES)
    switch_on("ai_down")
    for call in (drain(service.stream(PROMPT)), service.embed(["a"]), service.check()):
        with pytest.raises(AIError, match="ai_down") as caught:
            await call
        assert caught.value.reason == "injected"
    assert inner.calls == 0
    assert [call[2] for call in recorded.of("track_ai_error")] == ["injected", "injected"]
    board.replace([])
    assert await drain(service.stream(PROMPT)) == list(ANSWER)
    await service.check()
    await service.close()
    assert inner.closed


@pytest.mark.usefixtures("no_faults")
async def test_an_ai_that_is_slow_on_purpose_runs_into_the_time_limit(recorded: Recorder) -> None:
    service = AIService(
        ResilientProvider(FaultyProvider(ScriptedProvider()), Limits(0.1, 0.1, 5.0, attempts=1), 5, 20.0), PRICES
    )
    switch_on("ai_slow", delay=0.02)
    assert await drain(service.stream(PROMPT)) == list(ANSWER)
    assert recorded.of("track_first_token")[0][1] >= 0.02
    switch_on("ai_slow", delay=5.0)
    for call in (drain(service.stream(PROMPT)), service.embed(["a"]), service.check()):
        with pytest.raises(AIError) as caught:
            await call
        assert caught.value.reason == "timeout"


@pytest.mark.usefixtures("no_faults")
async def test_a_reader_that_leaves_closes_the_provider_behind_the_faults() -> None:
    inner = ScriptedProvider([[Chunk("a"), Chunk("b"), LAST]])
    stream = FaultyProvider(inner).stream(PROMPT)
    await anext(stream)
    await stream.aclose()
    assert inner.closed_streams == 1

"""Time limits, retries and a circuit breaker around any provider.

Retries are tenacity's: stamina, which wraps it, can sleep by the real clock only and reports to process-wide hooks,
one of which puts a counter of its own into the metrics. The circuit breaker is `circuit`'s, for the reason given there.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from opentelemetry.trace import get_current_span
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from app.core.logging_config import logger
from app.services.ai.base import AIError, AIProvider, Chunk, Embeddings, Prompt
from app.services.ai.circuit import Circuit, CircuitState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait for a provider, in seconds, and how often to ask it."""

    #: Of one attempt, to the first piece of an answer or to the whole of an embedding.
    first_chunk: float
    #: Between two pieces of an answer.
    between_chunks: float
    #: Of all attempts, the waits between them and the whole stream; the reader's own time does not count.
    whole: float
    attempts: int = 3
    #: The first wait; it doubles with each attempt, and half of it is left to chance.
    backoff: float = 0.5
    #: The longest wait. A provider that asks for more is not asked again.
    max_backoff: float = 10.0


class ResilientProvider:
    """A provider that gives up in time, tries again what may work, and leaves alone what does not.

    A stream is tried again until its first piece was handed on, never afterwards. `on_retry(model, reason)` is called
    before each further attempt, `on_circuit(model, state)` at each change of a circuit. Each model has its own circuit:
    a deployment can be down, or out of quota, while the other works.
    """

    def __init__(
        self,
        provider: AIProvider,
        limits: Limits,
        circuit_failures: int,
        circuit_reset_seconds: float,
        on_retry: Callable[[str, str], None] = lambda model, reason: None,
        on_circuit: Callable[[str, CircuitState], None] = lambda model, state: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name, self.dimensions = provider.name, provider.dimensions
        self.chat_model, self.embedding_model = provider.chat_model, provider.embedding_model
        self._provider, self._limits = provider, limits
        self._on_retry, self._on_circuit = on_retry, on_circuit
        self._clock, self._sleep = clock, sleep

        def circuit(model: str) -> Circuit:
            return Circuit(
                circuit_failures, circuit_reset_seconds, clock, lambda state: self._circuit_changed(model, state)
            )

        self._circuits = {model: circuit(model) for model in {self.chat_model, self.embedding_model}}

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Vectors of these texts."""

        async def attempt(limit: float) -> Embeddings:
            return await self._within(limit, self._provider.embed(texts))

        embeddings, era = await self._retrying(self.embedding_model, attempt)
        self._circuits[self.embedding_model].succeeded(era)
        return embeddings

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """The answer, piece by piece."""
        started = self._clock()
        circuit = self._circuits[self.chat_model]

        async def attempt(limit: float) -> tuple[AsyncGenerator[Chunk, None], Chunk]:
            upstream = self._provider.stream(prompt)
            return upstream, await self._next(upstream, limit)

        (upstream, chunk), era = await self._retrying(self.chat_model, attempt)
        left = self._limits.whole - (self._clock() - started)
        try:
            while chunk.finish_reason is None:
                yield chunk
                asked = self._clock()
                chunk = await self._next(upstream, min(self._limits.between_chunks, left))
                left -= self._clock() - asked
            # Before the last piece is handed on, because a reader may leave with it.
            circuit.succeeded(era)
            yield chunk
        except AIError as error:
            circuit.failed(era, error)
            raise
        finally:
            await upstream.aclose()

    async def check(self) -> None:
        """One attempt, within the time limit, whatever the circuits say: it is how their cause is seen."""
        await self._within(self._limits.first_chunk, self._provider.check())

    async def close(self) -> None:
        """Closes the provider."""
        await self._provider.close()

    async def _retrying(self, model: str, attempt: Callable[[float], Awaitable[T]]) -> tuple[T, int]:
        """The result of the first attempt that succeeds, and its era in the circuit."""
        circuit, limits = self._circuits[model], self._limits
        deadline = self._clock() + limits.whole

        async def guarded() -> tuple[T, int]:
            with circuit.call() as era:
                return await attempt(min(limits.first_chunk, deadline - self._clock())), era

        def worth_it(error: BaseException) -> bool:
            if not isinstance(error, AIError) or (error.retry_after or 0) > limits.max_backoff:
                return False
            return error.transient and circuit.state == "closed"

        def too_late(state: RetryCallState) -> bool:
            late = self._clock() + state.upcoming_sleep >= deadline
            return late or state.attempt_number >= limits.attempts

        def note(state: RetryCallState) -> None:
            error = _error(state)
            logger.warning(
                "ai request is tried again", model=model, reason=error.reason, wait_seconds=state.upcoming_sleep
            )
            get_current_span().add_event("retry", {"error.type": error.reason, "wait_seconds": state.upcoming_sleep})
            self._on_retry(model, error.reason)

        retrying = AsyncRetrying(
            sleep=self._sleep,
            retry=retry_if_exception(worth_it),
            stop=too_late,
            wait=self._wait,
            before_sleep=note,
            reraise=True,
        )
        result: tuple[T, int] = await retrying(guarded)
        return result

    def _wait(self, state: RetryCallState) -> float:
        """What the provider asked for, and never less than the backoff."""
        backoff = min(self._limits.max_backoff, self._limits.backoff * 2 ** (state.attempt_number - 1))
        jittered = random.uniform(backoff / 2, backoff)  # noqa: S311 - no secret depends on it
        return max(_error(state).retry_after or 0.0, jittered)

    async def _next(self, upstream: AsyncGenerator[Chunk, None], limit: float) -> Chunk:
        try:
            return await self._within(limit, anext(upstream))
        except StopAsyncIteration:
            raise AIError("protocol", f"The answer of {self.chat_model} ended before its last piece") from None

    async def _within(self, limit: float, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(max(limit, 0)):
                return await answer
        except TimeoutError:
            raise AIError(
                "timeout",
                f"The AI provider ({self.name}) gave no answer within {limit:.3g} s; "
                "if it is only slow, raise AI_TIMEOUT_SECONDS",
            ) from None

    def _circuit_changed(self, model: str, state: CircuitState) -> None:
        logger.warning("ai circuit changed", model=model, state=state)
        self._on_circuit(model, state)


def _error(state: RetryCallState) -> AIError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, AIError)  # `worth_it` lets nothing else be tried again
    return error

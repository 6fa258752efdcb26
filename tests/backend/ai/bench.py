"""A guarded provider of which a test sees everything."""

from collections.abc import Sequence

import pytest

from app.services.ai.base import AIError, Chunk, Prompt
from app.services.ai.resilience import Limits, ResilientProvider
from tests.backend.ai.scripted import Clock, ScriptedProvider, Step, drain

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

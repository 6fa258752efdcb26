"""The faults `ai_down` and `ai_slow`, between the provider and whoever guards it.

They strike inside the time limits, retries and circuit, so that these behave as they would for a real failure.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from app.core.faults import InjectedFault, board
from app.services.ai.base import AIError, AIProvider, Chunk, Embeddings, Prompt


class FaultyProvider:
    """A provider that fails or dawdles before each call while the fault board says so."""

    def __init__(self, provider: AIProvider) -> None:
        self.name, self.dimensions = provider.name, provider.dimensions
        self.chat_model, self.embedding_model = provider.chat_model, provider.embedding_model
        self._provider = provider

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Vectors of these texts."""
        await _strike()
        return await self._provider.embed(texts)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """The answer, piece by piece."""
        await _strike()
        async with aclosing(self._provider.stream(prompt)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def check(self) -> None:
        """Fails like any other call."""
        await _strike()
        await self._provider.check()

    async def close(self) -> None:
        """Closes the provider."""
        await self._provider.close()


async def _strike() -> None:
    try:
        board.fail("ai_down")
    except InjectedFault as fault:
        raise AIError("injected", f"The AI provider was not asked: {fault}") from None
    await board.delay("ai_slow")

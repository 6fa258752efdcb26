"""A provider that does what a test wrote down, and a clock that only sleeping moves."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from app.services.ai.base import AIError, Chunk, Embeddings, ErrorReason, Prompt, Usage

#: One step of a script: fail, wait so many seconds, or hand on a piece.
Step = AIError | float | Chunk
LAST = Chunk("", "stop", Usage(10, 5))
ANSWER: tuple[Step, ...] = (Chunk("one "), Chunk("two"), LAST)


def error(reason: ErrorReason, retry_after: float | None = None) -> AIError:
    return AIError(reason, f"made up: {reason}", retry_after)


@dataclass
class ScriptedProvider:
    """Goes through one script a call; without one left, it answers well."""

    scripts: list[Sequence[Step]] = field(default_factory=list)
    name: str = "openai"
    chat_model: str = "chat-model"
    embedding_model: str = "embedding-model"
    dimensions: int = 2
    calls: int = 0
    closed_streams: int = 0
    closed: bool = False
    batches: list[int] = field(default_factory=list)

    def _next(self) -> Sequence[Step]:
        self.calls += 1
        return self.scripts.pop(0) if self.scripts else ANSWER

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        self.batches.append(len(texts))
        for step in self._next():
            await self._take(step)
        return Embeddings([[float(len(text)), 0.0] for text in texts], Usage(len(texts)))

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        script = self._next()
        try:
            for step in script:
                await self._take(step)
                if isinstance(step, Chunk):
                    yield step
        finally:
            self.closed_streams += 1

    async def check(self) -> None:
        for step in self._next():
            await self._take(step)

    async def close(self) -> None:
        self.closed = True

    async def _take(self, step: Step) -> None:
        if isinstance(step, AIError):
            raise step
        if isinstance(step, float):
            await asyncio.sleep(step)


class Clock:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


async def drain(stream: AsyncGenerator[Chunk, None]) -> list[Chunk]:
    """All that comes, and then the end or the error."""
    return [chunk async for chunk in stream]


async def until_error(stream: AsyncGenerator[Chunk, None]) -> tuple[list[str], ErrorReason | None]:
    """The texts that came, and why no more did."""
    texts: list[str] = []
    try:
        async for chunk in stream:
            texts.append(chunk.text)  # noqa: PERF401 - a comprehension would lose what came before the error
    except AIError as failure:
        return texts, failure.reason
    return texts, None


async def settle(task: "asyncio.Task[object]") -> None:
    """Cancels a task and waits for its end."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

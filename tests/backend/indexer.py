"""An indexing service with its stores, whose worker runs when a test says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from app.core.config import Settings
from app.services.ai.factory import build_ai
from app.services.ai.service import AIService
from app.services.extraction import Limits
from app.services.indexing import IndexingService
from app.stores.documents import DocumentStore
from app.stores.factory import build_document_store, build_vector_store
from app.stores.vectors import VectorStore


def failing_first(call: Callable[..., Awaitable[Any]], failures: list[Exception]) -> Callable[..., Awaitable[Any]]:
    """The call, which raises these first, one a time."""

    async def fail_or_call(*arguments: Any) -> Any:
        if failures:
            raise failures.pop(0)
        return await call(*arguments)

    return fail_or_call


class Hanging:
    """A call that does not end; `reached` is set once it was made."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    async def __call__(self, *_: object) -> None:
        self.reached.set()
        await asyncio.sleep(60)


@dataclass(frozen=True)
class Indexer:
    """The service and what it is made of."""

    settings: Settings
    store: DocumentStore
    vectors: VectorStore
    ai: AIService
    service: IndexingService

    @property
    def parts(self) -> tuple[Settings, DocumentStore, VectorStore, AIService, Limits]:
        """What another one of the same stores is made of."""
        return self.settings, self.store, self.vectors, self.ai, Limits()

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker is at the queue meanwhile."""
        worker = asyncio.create_task(self.service.run())
        try:
            yield
        finally:
            worker.cancel()

    async def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job once it has ended and let go of its upload."""
        async with asyncio.timeout(10):
            while (found := await self.service.job(job["id"]))["finished_at"] is None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            while await self.store.get("uploads", job["id"]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return found


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Indexer]:
    """A service on the stores of these settings."""
    ai = build_ai(settings)
    store = build_document_store(settings)
    vectors = build_vector_store(settings, ai.dimensions)
    await store.start()
    await vectors.start()
    try:
        yield Indexer(settings, store, vectors, ai, IndexingService(settings, store, vectors, ai, Limits()))
    finally:
        await vectors.close()
        await store.close()
        await ai.close()

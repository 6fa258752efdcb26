"""The queue of indexing jobs is fair: no document holds up the others."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.services import indexing
from app.services.ai.base import AIError
from app.services.ai.factory import build_ai
from app.services.extraction import Limits
from app.services.indexing import IndexingService
from app.stores.factory import build_document_store, build_vector_store
from tests.backend.conftest import make_settings


async def test_a_document_that_the_provider_fails_on_each_time_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "IDLE_SECONDS", 0.02)
    settings = make_settings(tmp_path)
    ai = build_ai(settings)
    embed = ai.embed

    async def embed_all_but_one(texts: Sequence[str]) -> Any:
        if any("poison" in text for text in texts):
            raise AIError("server_error", "the provider broke on it")
        return await embed(texts)

    monkeypatch.setattr(ai, "embed", embed_all_but_one)
    store = build_document_store(settings)
    vectors = build_vector_store(settings, ai.dimensions)
    await store.start()
    await vectors.start()
    service = IndexingService(settings, store, vectors, ai, Limits())
    await service.accept("bad.txt", "text", b"poison")
    good = await service.accept("good.txt", "text", b"a text like any other")
    worker = asyncio.create_task(service.run())
    try:
        async with asyncio.timeout(10):
            while (await service.job(good["id"]))["status"] != "completed":  # noqa: ASYNC110 - nobody tells that a job ended
                await asyncio.sleep(0.02)
        assert (await service.counts())["completed"] == 1, "the other one waits for a provider that can do it"
    finally:
        worker.cancel()
        await vectors.close()
        await store.close()
        await ai.close()

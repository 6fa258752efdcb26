"""A job waits for what is away, is tried again where that may help, and fails with its reason where it does not."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.core.faults import Fault, board
from app.services import claims, indexing
from app.services.ai.base import AIError
from app.services.extraction import ExtractionUnavailable, extract_safely
from app.stores.errors import StoreRefused, StoreUnavailable
from tests.backend.conftest import make_settings
from tests.backend.indexer import Indexer, failing_first, opened


@pytest.fixture
async def indexer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Indexer]:
    monkeypatch.setattr(indexing, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(indexing, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(indexing, "LONGEST_AWAY_SECONDS", 0.05)
    async with opened(make_settings(tmp_path, indexing_max_attempts=3)) as indexer:
        yield indexer


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The format of each file that is read."""
    read: list[str] = []

    async def reading(content: bytes, file_format: Any, limits: Any) -> Any:
        read.append(file_format)
        return await extract_safely(content, file_format, limits)

    monkeypatch.setattr(indexing, "extract_safely", reading)
    return read


@pytest.fixture
def embedded(indexer: Indexer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each call embedded."""
    embedded: list[int] = []
    embed = indexer.ai.embed

    async def embedding(texts: Sequence[str]) -> list[list[float]]:
        embedded.append(len(texts))
        return await embed(texts)

    monkeypatch.setattr(indexer.ai, "embed", embedding)
    return embedded


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float, float]]:
    """What each pause was asked for, in place of the pauses."""
    pauses: list[tuple[int, float, float]] = []

    def asked(failures: int, first: float, longest: float) -> float:
        pauses.append((failures, first, longest))
        return 0.001

    monkeypatch.setattr(indexing, "growing_pause", asked)
    return pauses


async def test_nothing_is_read_or_embedded_while_the_vector_store_is_away(
    indexer: Indexer, read: list[str], embedded: list[int], pauses: list[tuple[int, float, float]]
) -> None:
    board.replace([Fault("vector_store_down", 100, time.time() + 60)])
    job = await indexer.service.accept("a.txt", "text", b"a text")
    async with indexer.working():
        while len(pauses) < 5:  # noqa: ASYNC110 - nobody tells that a worker paused
            await asyncio.sleep(0.01)
        assert (read, embedded) == ([], [])
        assert pauses[:5] == [(failures, 0.01, 0.05) for failures in range(1, 6)], "less and less often"
        board.replace([])
        ended = await indexer.ended(job)
    assert (ended["status"], ended["attempts"], len(embedded)) == ("completed", 1, 1)


async def test_an_upload_does_not_hurry_a_worker_that_waits_for_a_store(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def away() -> None:
        nonlocal asked
        asked += 1
        raise StoreUnavailable("away")

    monkeypatch.setattr(indexer.vectors, "ping", away)
    monkeypatch.setattr(indexing, "growing_pause", lambda *_: 30.0)
    async with indexer.working():
        for number in range(5):
            await indexer.service.accept(f"{number}.txt", "text", b"a text")
            await asyncio.sleep(0.03)
    assert asked == 1


async def test_a_document_that_the_vector_store_refuses_is_failed_after_its_attempts(
    indexer: Indexer, embedded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise StoreRefused("Qdrant at here failed to upsert: HTTP 400 Bad Request.")

    monkeypatch.setattr(indexer.vectors, "replace", refuse)
    job = await indexer.service.accept("a.txt", "text", b"a text")
    async with indexer.working():
        ended = await indexer.ended(job)
    assert (ended["status"], ended["attempts"], len(embedded)) == ("failed", 3, 3)
    assert "HTTP 400 Bad Request" in ended["error"]
    assert await indexer.store.count("uploads", {}) == 0


async def test_a_document_that_cannot_be_stored_just_now_waits_longer_each_time(
    indexer: Indexer, pauses: list[tuple[int, float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [StoreUnavailable("Qdrant at here failed to upsert: HTTP 500 Internal Server Error.")] * 4
    monkeypatch.setattr(indexer.vectors, "replace", failing_first(indexer.vectors.replace, [*full]))
    job = await indexer.service.accept("a.txt", "text", b"a text")
    async with indexer.working():
        ended = await indexer.ended(job)
    assert (ended["status"], ended["attempts"]) == ("completed", 1), "waiting is no attempt"
    rests = [asked for asked in pauses if asked[2] == claims.LONGEST_REST_SECONDS]
    assert [asked[0] for asked in rests] == [1, 2, 3, 4]
    assert [asked[0] for asked in pauses if asked not in rests] == [1, 2, 3, 4], "nor does the worker take another"


async def test_nothing_is_embedded_while_the_vector_store_takes_no_write(
    indexer: Indexer, read: list[str], embedded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [StoreUnavailable("Qdrant at here failed to delete: HTTP 500 Internal Server Error.")] * 3
    monkeypatch.setattr(indexer.vectors, "_remove", failing_first(indexer.vectors._remove, [*full]))
    job = await indexer.service.accept("a.txt", "text", b"a text")
    async with indexer.working():
        ended = await indexer.ended(job)
    assert (ended["status"], ended["attempts"], len(read), len(embedded)) == ("completed", 1, 4, 1)


@pytest.mark.parametrize("after", [False, True], ids=["not done", "done but not answered"])
@pytest.mark.parametrize("status", ["completed", "queued"])
async def test_how_a_job_ended_is_written_once_the_store_is_back(
    indexer: Indexer, embedded: list[int], monkeypatch: pytest.MonkeyPatch, status: str, after: bool
) -> None:
    update, failures = indexer.store.update, 3

    async def away(collection: str, where: Any, changes: Any) -> int:
        nonlocal failures
        failures -= changes.get("status") == status
        if changes.get("status") != status or failures < 0:
            return await update(collection, where, changes)
        if after:
            await update(collection, where, changes)
        raise StoreUnavailable("MongoDB at here failed to update.")

    busy: list[Exception] = [AIError("rate_limited", "too many")] if status == "queued" else []
    monkeypatch.setattr(indexer.ai, "embed", failing_first(indexer.ai.embed, busy))
    monkeypatch.setattr(indexer.store, "update", away)
    monkeypatch.setattr(claims, "FIRST_PAUSE_SECONDS", 0.001)
    job = await indexer.service.accept("a.txt", "text", b"a text")
    async with indexer.working():
        ended = await indexer.ended(job)
    assert (ended["status"], ended["attempts"]) == ("completed", 1)
    assert len(embedded) == 1, "the work is not done twice"
    assert failures < 0


async def test_a_provider_that_answers_with_nonsense_costs_an_attempt_each_time(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonsense: list[Exception] = [AIError("protocol", "no JSON")] * 2
    monkeypatch.setattr(indexer.ai, "embed", failing_first(indexer.ai.embed, nonsense))
    job = await indexer.service.accept("a.txt", "text", b"a text")
    async with indexer.working():
        ended = await indexer.ended(job)
        assert (ended["status"], ended["attempts"]) == ("completed", 3)
        nonsense += [AIError("protocol", "no JSON")] * 3
        ended = await indexer.ended(await indexer.service.accept("b.txt", "text", b"another text"))
    assert (ended["status"], ended["attempts"]) == ("failed", 3)


async def test_a_document_waits_for_a_key_that_is_mended(indexer: Indexer, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals: list[Exception] = [AIError("client_error", "401", misconfigured=True)] * 5
    monkeypatch.setattr(indexer.ai, "embed", failing_first(indexer.ai.embed, refusals))
    monkeypatch.setattr(claims, "LONGEST_REST_SECONDS", 0.02)
    monkeypatch.setattr(indexing, "LONGEST_REST_SECONDS", 0.02)
    job = await indexer.service.accept("a.txt", "text", b"a text")
    async with indexer.working():
        ended = await indexer.ended(job)
    assert (ended["status"], ended["attempts"], ended["waits"]) == ("completed", 1, 5)


async def test_a_job_rests_as_long_as_it_is_told_to(
    indexer: Indexer, embedded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> None:
        raise AIError("connection", "down")

    monkeypatch.setattr(indexer.ai, "embed", down)
    monkeypatch.setattr(indexing, "growing_pause", lambda *_: 30.0)
    job = await indexer.service.accept("a.txt", "text", b"a text")
    assert await indexer.service._work_once() == "nothing"
    assert (await indexer.service.job(job["id"]))["queued_at"] > time.time() + 25
    assert await indexer.service._work_once() == "nothing"
    assert (await indexer.service.job(job["id"]))["waits"] == 1


async def test_a_passing_fault_of_this_server_costs_an_attempt_and_no_document(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[Exception] = [ExtractionUnavailable("No process could be started to read files.")]
    monkeypatch.setattr(indexing, "extract_safely", failing_first(extract_safely, faults))
    job = await indexer.service.accept("a.txt", "text", b"a text")
    async with indexer.working():
        ended = await indexer.ended(job)
    assert (ended["status"], ended["attempts"]) == ("completed", 2)


async def test_a_server_that_can_read_nothing_fails_the_job_in_the_end(
    indexer: Indexer, pauses: list[tuple[int, float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reading(*_: object) -> None:
        raise ExtractionUnavailable("No process could be started to read files.")

    monkeypatch.setattr(indexing, "extract_safely", reading)
    job = await indexer.service.accept("a.txt", "text", b"a text")
    async with indexer.working():
        ended = await indexer.ended(job)
    assert (ended["status"], ended["attempts"]) == ("failed", 3)
    assert "No process could be started" in ended["error"]
    assert [asked[:2] for asked in pauses] == [(1, indexing.RETRY_SECONDS), (2, indexing.RETRY_SECONDS)]

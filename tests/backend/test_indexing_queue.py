"""The queue of indexing jobs: fair, no longer than it may be, and no job is lost or done by halves."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.errors import ProblemError
from app.services import indexing
from app.services.ai.base import AIError
from app.services.extraction import isolation
from app.services.indexing import IndexingService
from app.services.metrics_service import metrics
from app.stores.documents import StoreUnavailable
from tests.backend.conftest import make_settings, started
from tests.backend.indexer import Hanging, Indexer, opened


@pytest.fixture
async def indexer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Indexer]:
    monkeypatch.setattr(indexing, "IDLE_SECONDS", 0.02)
    async with opened(make_settings(tmp_path, max_queued_jobs=3)) as indexer:
        yield indexer


async def test_a_document_that_the_provider_fails_on_each_time_holds_up_no_other(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = indexer.ai.embed

    async def embed_all_but_one(texts: Sequence[str]) -> Any:
        if any("poison" in text for text in texts):
            raise AIError("server_error", "the provider broke on it")
        return await embed(texts)

    monkeypatch.setattr(indexer.ai, "embed", embed_all_but_one)
    await indexer.service.accept("bad.txt", "text", b"poison")
    good = await indexer.service.accept("good.txt", "text", b"a text like any other")
    async with indexer.working():
        await indexer.ended(good)
        assert (await indexer.service.counts())["completed"] == 1, "the other one waits for a provider that can do it"


async def test_uploads_at_once_are_no_more_than_there_is_room_for(indexer: Indexer) -> None:
    uploads = [indexer.service.accept(f"{n}.txt", "text", b"a text") for n in range(30)]
    answers = Counter(
        answer.status_code if isinstance(answer, ProblemError) else type(answer)
        for answer in await asyncio.gather(*uploads, return_exceptions=True)
    )
    assert answers == {dict: 3, 429: 27}
    assert await indexer.service.counts() == {"queued": 3}
    await indexer.store.update("jobs", {}, {"status": "completed"})
    await indexer.service.accept("later.txt", "text", b"a text")


async def test_a_full_queue_is_told_before_the_file_is_looked_at(tmp_path: Path) -> None:
    async with started(make_settings(tmp_path, max_queued_jobs=1)) as client:
        await client.put("/internal/faults", json={"fault": "vector_store_down", "seconds": 30})
        answers: list[httpx.Response] = []
        for name in ("good.txt", "broken.txt"):
            content = b"caf\xe9" if name == "broken.txt" else b"text"
            for _ in range(50):  # for a moment a worker has the job, and it does not wait
                answers.append(await client.post("/api/v1/documents", files={"file": (name, content, "text/plain")}))
                if answers[-1].status_code == 429:
                    break
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) > 0


async def test_uploads_that_wait_for_their_check_are_no_more_than_there_is_memory_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation._checks, "_places", 2)
    async with started(make_settings(tmp_path)) as client:
        files = [("file", (f"{number}.txt", b"text", "text/plain")) for number in range(6)]
        answers = await asyncio.gather(*(client.post("/api/v1/documents", files=[file]) for file in files))
    assert {answer.status_code for answer in answers} == {202, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert "waiting to be read" in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize("status", ["queued", "running"])
async def test_a_job_that_an_older_version_accepted_is_done(indexer: Indexer, status: str) -> None:
    job = await indexer.service.accept("old.txt", "text", b"accepted before an upgrade")
    await indexer.store.delete("jobs", {"id": job["id"]})
    new = {"queued_at", "owner", "waits"}
    await indexer.store.insert(
        "jobs", {name: value for name, value in job.items() if name not in new} | {"status": status}
    )
    async with indexer.working():
        await indexer.ended(job)
    assert (await indexer.service.counts()) == {"completed": 1}


async def test_an_upload_says_when_it_came(indexer: Indexer) -> None:
    job = await indexer.service.accept("a.txt", "text", b"a text")
    upload = await indexer.store.get("uploads", job["id"])
    assert upload is not None
    assert upload["created_at"] == job["created_at"], "or it would be kept for an hour more when nobody needs it"


async def test_an_upload_whose_job_cannot_be_kept_leaves_nothing(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = indexer.store.insert

    async def kept_too_late(collection: str, record: dict[str, Any]) -> None:
        await insert(collection, record)
        if collection == "jobs":
            raise StoreUnavailable("no answer within 5 s (a change may still take effect)")

    monkeypatch.setattr(indexer.store, "insert", kept_too_late)
    with pytest.raises(StoreUnavailable):
        await indexer.service.accept("a.txt", "text", b"a text")
    assert await indexer.store.count("uploads", {}) == await indexer.store.count("jobs", {}) == 0


async def test_a_worker_that_was_silent_for_too_long_spoils_nothing_of_the_next_ones(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await indexer.service.accept("a.txt", "text", b"a text")
    done, taken_over = asyncio.Event(), asyncio.Event()
    index = indexer.service._index

    async def frozen_at_the_end(job: dict[str, Any]) -> int:
        pieces = await index(job)
        await indexer.store.update("jobs", {}, {"lease_until": 0.0})
        done.set()
        await taken_over.wait()
        return pieces

    monkeypatch.setattr(indexer.service, "_index", frozen_at_the_end)
    ended = metrics.indexing_jobs_total.labels("completed")._value.get
    before = ended()
    first = asyncio.create_task(indexer.service._work_once())
    await done.wait()
    other = IndexingService(*indexer.parts)
    index_by_other = other._index
    meanwhile: list[str] = []

    async def after_the_first(job: dict[str, Any]) -> int:
        taken_over.set()
        await first
        meanwhile.append((await other.job(job["id"]))["status"])
        return await index_by_other(job)

    monkeypatch.setattr(other, "_index", after_the_first)
    await other._work_once()
    assert meanwhile == ["running"]
    assert (await other.job(job["id"]))["status"] == "completed"
    assert ended() == before + 1
    assert await indexer.store.count("uploads", {}) == 0


async def test_a_clock_that_was_set_back_takes_nothing_off_the_duration(indexer: Indexer) -> None:
    job = await indexer.service.accept("a.txt", "text", b"a text")
    await indexer.store.update("jobs", {}, {"created_at": time.time() + 3600})
    before = metrics.indexing_duration._sum.get()
    assert await indexer.service._work_once() == "done"
    assert (await indexer.service.job(job["id"]))["status"] == "completed"
    assert metrics.indexing_duration._sum.get() >= before


@pytest.mark.parametrize("where", ["ping", "replace"])
async def test_a_process_that_is_told_to_stop_gives_its_job_back(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    slow = Hanging()
    monkeypatch.setattr(indexer.vectors, where, slow)
    job = await indexer.service.accept("a.txt", "text", b"a text")
    worker = asyncio.create_task(indexer.service.run())
    await slow.reached.wait()
    assert (await indexer.service.job(job["id"]))["status"] == "running"
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    left = await indexer.service.job(job["id"])
    assert (left["status"], left["attempts"], left["queued_at"]) == ("queued", 0, job["queued_at"])


async def test_a_process_that_stops_after_a_job_ended_leaves_it_so(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Hanging()
    job = await indexer.service.accept("a.txt", "text", b"a text")
    monkeypatch.setattr(indexer.store, "delete", slow)
    worker = asyncio.create_task(indexer.service.run())
    await slow.reached.wait()
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert (await indexer.service.job(job["id"]))["status"] == "completed"


async def test_a_process_stops_though_its_store_does_not_answer(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Hanging()
    monkeypatch.setattr(indexing, "LETTING_GO_SECONDS", 0.05)
    await indexer.service.accept("a.txt", "text", b"a text")
    monkeypatch.setattr(indexer.store, "update", slow)
    worker = asyncio.create_task(indexer.service.run())
    await slow.reached.wait()
    worker.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await worker

"""What is too old is removed from the document store, and only that."""

import asyncio
import time
from pathlib import Path

import pytest

from app.core.faults import Fault, board
from app.services import retention
from app.services.retention import DAY, RetentionService
from app.stores.documents import DocumentStore, StoreUnavailable
from app.stores.factory import build_document_store
from tests.backend.conftest import make_settings, started


class Enough(Exception):
    """Ends what would go on for ever."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)


@pytest.fixture
def service(store: DocumentStore, tmp_path: Path) -> RetentionService:
    return RetentionService(make_settings(tmp_path, job_retention_days=2, message_retention_days=10), store)


async def ids(store: DocumentStore, collection: str) -> set[str]:
    return {record["id"] for record in await store.find(collection, {})}


async def test_what_is_old_goes_and_only_that(store: DocumentStore, service: RetentionService) -> None:
    now = time.time()
    for name, days in {"old": 2.1, "young": 1.9}.items():
        await store.insert("jobs", {"id": name, "finished_at": now - days * DAY, "created_at": 0})
    await store.insert("jobs", {"id": "waiting", "finished_at": None, "created_at": now - 100 * DAY})
    for collection, field in (
        ("messages", "created_at"),
        ("feedback", "created_at"),
        ("sessions", "last_active_at"),
    ):
        await store.insert(collection, {"id": "old", field: now - 10.1 * DAY})
        await store.insert(collection, {"id": "young", field: now - 9.9 * DAY})
    for collection in ("documents", "faults", "api_keys"):
        await store.insert(collection, {"id": "other", "created_at": 0, "finished_at": 0, "last_active_at": 0})

    assert await service.prune() == {"jobs": 1, "messages": 1, "feedback": 1, "sessions": 1, "uploads": 0}

    assert await ids(store, "jobs") == {"young", "waiting"}
    for collection in ("messages", "feedback", "sessions"):
        assert await ids(store, collection) == {"young"}, collection
    for collection in ("documents", "faults", "api_keys"):
        assert await ids(store, collection) == {"other"}, collection
    assert sum((await service.prune()).values()) == 0, "the next time there is nothing to do"


async def test_more_than_a_batch_goes_in_batches(
    store: DocumentStore, service: RetentionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        await store.insert("messages", {"id": str(number), "created_at": float(number)})
    sizes, delete = [], store.delete

    async def counted(collection: str, where: dict[str, object]) -> int:
        sizes.append(await delete(collection, where))
        return sizes[-1]

    monkeypatch.setattr(store, "delete", counted)
    assert (await service.prune())["messages"] == 8
    assert sizes == [3, 3, 2]


async def test_the_upload_that_a_killed_worker_left_goes_with_its_job(
    store: DocumentStore, service: RetentionService
) -> None:
    await store.insert("jobs", {"id": "done", "finished_at": 1.0})
    await store.insert("uploads", {"id": "done", "content": "aGVsbG8="})
    await store.insert("uploads", {"id": "waiting", "content": "aGVsbG8="})
    await service.prune()
    assert await ids(store, "uploads") == {"waiting"}


async def test_an_upload_without_a_job_goes_after_an_hour_and_one_that_waits_never(
    store: DocumentStore, service: RetentionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    for number in range(8):  # more than a batch
        await store.insert("uploads", {"id": f"left{number}", "content": "aGVsbG8=", "created_at": now - 3700})
    await store.insert("uploads", {"id": "accepted now", "content": "aGVsbG8=", "created_at": now - 3500})
    for status in ("queued", "running", "completed", "failed"):
        await store.insert("uploads", {"id": status, "content": "aGVsbG8=", "created_at": now - 9000})
        await store.insert("jobs", {"id": status, "status": status, "finished_at": now})

    async def of_content(collection: str, *_: object) -> None:
        assert collection != "uploads", "hundreds of uploads are more than there is memory for"

    monkeypatch.setattr(store, "get", of_content)
    assert (await service.prune())["uploads"] == 10
    monkeypatch.undo()
    assert await ids(store, "uploads") == {"accepted now", "queued", "running"}


async def test_an_upload_from_before_they_had_a_time_goes_an_hour_after_it_was_first_seen(
    store: DocumentStore, service: RetentionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.insert("uploads", {"id": "left", "content": "aGVsbG8="})
    await store.insert("uploads", {"id": "queued", "content": "aGVsbG8="})
    await store.insert("jobs", {"id": "queued", "status": "queued", "finished_at": None})
    assert (await service.prune())["uploads"] == 0
    monkeypatch.setattr(retention, "ORPHAN_SECONDS", -1)
    assert (await service.prune())["uploads"] == 1
    assert await ids(store, "uploads") == {"queued"}


async def test_a_session_that_came_to_life_meanwhile_stays(
    store: DocumentStore, service: RetentionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.insert("sessions", {"id": "woken", "last_active_at": 1.0})
    find = store.find

    async def woken_after_it_was_read(collection: str, *args: object, **more: object) -> object:
        found = await find(collection, *args, **more)  # type: ignore[arg-type]
        if collection == "sessions":
            await store.update("sessions", {"id": "woken"}, {"last_active_at": time.time()})
        return found

    monkeypatch.setattr(store, "find", woken_after_it_was_read)
    assert (await service.prune())["sessions"] == 0
    assert await ids(store, "sessions") == {"woken"}


async def test_a_store_that_is_away_is_tried_again(
    store: DocumentStore, service: RetentionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.insert("messages", {"id": "old", "created_at": 1.0})
    board.replace([Fault("database_down", 100, time.time() + 30)])
    with pytest.raises(StoreUnavailable):
        await service.prune()
    pauses = 0

    async def sleep(seconds: float) -> None:
        nonlocal pauses
        pauses += seconds == retention.EVERY_SECONDS
        board.replace([])
        if pauses == 2:
            raise Enough

    monkeypatch.setattr(retention.asyncio, "sleep", sleep)
    with pytest.raises(Enough):
        await service.run()
    monkeypatch.undo()
    assert await ids(store, "messages") == set()


async def test_a_service_that_starts_begins_with_it(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    store = build_document_store(settings)
    await store.start()
    await store.insert("messages", {"id": "old", "created_at": 1.0})
    async with started(settings):
        for _ in range(200):
            if not await ids(store, "messages"):
                break
            await asyncio.sleep(0.02)
    assert await ids(store, "messages") == set()
    await store.close()

"""What surrounds every operation of a document store: metrics, faults, time limits."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.core.faults import Fault, board
from app.stores.documents import NO_COLLECTION, OPERATION_LABELS, DocumentStore, DuplicateRecord, StoreUnavailable

Tracked = Any
NewStore = Callable[..., DocumentStore]


async def every_operation(store: DocumentStore, collection: str) -> None:
    await store.ping()
    await store.insert(collection, {"id": "x", "created_at": 1.0})
    await store.put(collection, {"id": "x", "created_at": 1.0})
    await store.get(collection, "x")
    await store.find(collection, {})
    await store.ids(collection, {})
    await store.update(collection, {}, {"a": 1})
    await store.claim(collection, {"a": 1}, {"a": 2}, oldest_by="created_at")
    await store.count(collection, {})
    await store.count_by(collection, "a")
    await store.delete(collection, {})


async def test_every_operation_is_timed_under_a_label_that_is_known_in_advance(
    store: DocumentStore, tracked: Tracked
) -> None:
    await every_operation(store, "sessions")
    assert tracked.operations == [
        ("ping", NO_COLLECTION),
        *(
            (operation, "sessions")
            for operation in ("insert", "put", "get", "find", "find", "update", "claim", "count", "count", "delete")
        ),
    ]
    assert set(tracked.operations) <= set(OPERATION_LABELS)
    assert all(0 < duration < 5 for duration in tracked.durations)
    assert tracked.errors == []


async def test_the_fault_strikes_every_operation_and_is_timed_and_counted(
    store: DocumentStore, tracked: Tracked
) -> None:
    board.replace([Fault("database_down", 100, time.time() + 60)])
    calls = [
        store.ping(),
        store.insert("jobs", {"id": "x"}),
        store.put("jobs", {"id": "x"}),
        store.get("jobs", "x"),
        store.find("jobs", {}),
        store.ids("jobs", {}),
        store.update("jobs", {}, {"a": 1}),
        store.claim("jobs", {}, {"a": 1}, oldest_by="id"),
        store.count("jobs", {}),
        store.count_by("jobs", "a"),
        store.delete("jobs", {}),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable, match="the fault database_down is on"):
            await call
    assert tracked.errors == tracked.operations
    assert len(tracked.errors) == len(calls)


async def test_the_fault_spares_the_records_that_end_it(store: DocumentStore) -> None:
    board.replace([Fault("database_down", 100, time.time() + 60)])
    await store.put("faults", {"id": "database_down", "until": 1.0})
    assert await store.delete("faults", {}) == 1


async def test_a_duplicate_is_an_answer_and_not_a_failure_of_the_store(store: DocumentStore, tracked: Tracked) -> None:
    await store.insert("jobs", {"id": "x"})
    with pytest.raises(DuplicateRecord):
        await store.insert("jobs", {"id": "x"})
    assert tracked.operations == [("insert", "jobs"), ("insert", "jobs")]
    assert tracked.errors == []


async def test_whatever_the_driver_does_an_operation_ends_in_time(
    new_store: NewStore, tracked: Tracked, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(0.05)
    monkeypatch.setattr(store, "_get", lambda *_: asyncio.sleep(60))
    with pytest.raises(StoreUnavailable, match=r"failed to get in jobs: no answer within 0\.05 s"):
        await store.get("jobs", "x")
    assert tracked.errors == tracked.operations == [("get", "jobs")]
    assert 0.04 < tracked.durations[0] < 1


async def test_a_cancelled_call_leaves_the_store_working(store: DocumentStore) -> None:
    for number in range(20):
        call = asyncio.create_task(store.put("jobs", {"id": str(number), "status": "queued"}))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    await store.put("jobs", {"id": "last", "status": "queued"})
    assert await store.get("jobs", "last") == {"id": "last", "status": "queued"}

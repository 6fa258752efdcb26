"""A job is one worker's at a time, whatever becomes of the worker and of the clock."""

import asyncio
import time
from typing import Any

import pytest

from app.core.faults import Fault, board
from app.services.claims import LONGEST_REST_SECONDS, Claims
from app.stores.documents import DocumentStore, Record


@pytest.fixture
def claims(store: DocumentStore) -> Claims:
    return Claims(store, lease_seconds=60)


async def put(store: DocumentStore, name: str, **fields: Any) -> None:
    job = {"id": name, "status": "queued", "queued_at": time.time() - 10, "lease_until": 0.0, "attempts": 0}
    await store.insert("jobs", {**job, **fields})


async def taken(claims: Claims) -> Record:
    job = await claims.take()
    assert job is not None
    return job


async def test_whose_job_was_taken_over_changes_it_no_more(store: DocumentStore, claims: Claims) -> None:
    await put(store, "a")
    late = await taken(claims)
    assert await claims.change(late, {"lease_until": 1.0})
    owner = await taken(claims)
    assert owner["id"] == late["id"]
    assert not await claims.change(late, {"status": "completed"})
    await claims.give_back(late, 0.0, 7)
    assert await store.get("jobs", "a") == owner
    assert await claims.change(owner, {"status": "completed"})
    assert not await claims.change(owner, {"status": "failed"}), "it has ended"


async def test_a_job_is_kept_while_its_worker_is_alive_and_no_longer_than_it_is_its_own(store: DocumentStore) -> None:
    claims = Claims(store, lease_seconds=0.3)
    await put(store, "a")
    job = await taken(claims)
    keeper = asyncio.create_task(claims.keep(job))
    board.replace([Fault("database_down", 100, time.time() + 0.25)])  # one write fails
    await asyncio.sleep(0.6)
    kept = await store.get("jobs", "a")
    assert kept is not None
    assert kept["lease_until"] > job["lease_until"] + 0.2
    await store.update("jobs", {}, {"owner": "another"})
    async with asyncio.timeout(5):
        await keeper


async def test_a_job_rests_while_others_are_taken_and_then_comes_back(store: DocumentStore, claims: Claims) -> None:
    await put(store, "a", queued_at=1.0)
    await put(store, "b")
    await claims.give_back(await taken(claims), 0.3, 2)
    assert (await taken(claims))["id"] == "b"
    assert await claims.take() is None
    await asyncio.sleep(0.3)
    back = await taken(claims)
    assert (back["id"], back["attempts"], back["waits"]) == ("a", 2, 1)


async def test_a_job_that_is_let_go_keeps_its_place(store: DocumentStore, claims: Claims) -> None:
    await put(store, "a", queued_at=1.0)
    await put(store, "b")
    job = await taken(claims)
    await claims.let_go(job)
    again = await taken(claims)
    assert again["owner"] != job["owner"]
    assert {**again, "owner": "", "lease_until": 0} == {**job, "owner": "", "lease_until": 0}


async def test_a_clock_that_was_set_back_leaves_no_job_behind(store: DocumentStore, claims: Claims) -> None:
    await put(store, "a", queued_at=time.time() + 3600)
    await put(store, "resting", queued_at=time.time() + LONGEST_REST_SECONDS - 5)
    assert (await taken(claims))["id"] == "a"
    assert await claims.take() is None

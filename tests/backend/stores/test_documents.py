"""What every document store does, MongoDB and SQLite alike."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.stores.documents import NO_COLLECTION, DocumentStore, DuplicateRecord, StoreUnavailable

Tracked = Any
NewStore = Callable[..., DocumentStore]

HOSTILE = [
    "'; DROP TABLE jobs; --",
    '" OR "1"="1',
    "') OR 1=1 --",
    "$where",
    '{"$gt": ""}',
    "%",
    "_",
    "\\",
    "\\u0000",
    "é ü 漢字 😀 \u2028",
    "line\nbreak\ttab",
    "",
]


async def ids(store: DocumentStore, collection: str, where: dict[str, Any]) -> set[str]:
    return {record["id"] for record in await store.find(collection, where)}


async def test_a_record_comes_back_as_it_went_in(store: DocumentStore) -> None:
    record = {
        "id": "one",
        "text": "quotes ' \" and é 漢字 😀",
        "whole": 3,
        "big": 2**62,
        "negative": -(2**63),
        "fraction": 3.0,
        "tiny": 5e-324,
        "long": 0.1 + 0.2,
        "yes": True,
        "no": False,
        "nothing": None,
        "list": [1, 1.5, None, True, "x", {}, {"list": []}],
        "nested": {"Any Key": {"of": ["depth", {"and": None}]}},
    }
    await store.insert("messages", record)
    found = await store.get("messages", "one")
    assert found == record
    assert isinstance(found["whole"], int)
    assert isinstance(found["fraction"], float)
    assert found["yes"] is True


async def test_what_is_not_there_is_none(store: DocumentStore) -> None:
    assert await store.get("messages", "nowhere") is None
    assert await store.find("messages", {"session_id": "nowhere"}) == []
    assert await store.count("messages", {}) == 0
    assert await store.update("messages", {"id": "nowhere"}, {"text": "x"}) == 0
    assert await store.delete("messages", {"id": "nowhere"}) == 0


async def test_insert_refuses_an_id_that_is_taken_and_changes_nothing(store: DocumentStore) -> None:
    await store.insert("documents", {"id": "one", "title": "first"})
    with pytest.raises(DuplicateRecord, match="documents"):
        await store.insert("documents", {"id": "one", "title": "second"})
    assert await store.get("documents", "one") == {"id": "one", "title": "first"}
    await store.insert("jobs", {"id": "one"})  # ids are a collection's own


async def test_put_adds_and_then_replaces_the_whole_record(store: DocumentStore) -> None:
    await store.put("feedback", {"id": "one", "score": 1, "comment": "poor"})
    await store.put("feedback", {"id": "one", "score": 5})
    assert await store.get("feedback", "one") == {"id": "one", "score": 5}
    assert await store.count("feedback", {}) == 1


async def test_update_sets_fields_on_all_that_match_and_leaves_the_rest(store: DocumentStore) -> None:
    for number, status in enumerate(["queued", "queued", "failed"]):
        await store.insert("jobs", {"id": str(number), "status": status, "kept": {"as": 1.0}})
    changes = {"status": "running", "started_at": 12.5, "error": None, "attempts": 1, "steps": [{"name": "chunk"}]}
    assert await store.update("jobs", {"status": "queued"}, changes) == 2
    assert await store.get("jobs", "0") == {"id": "0", "kept": {"as": 1.0}, **changes}
    assert await store.get("jobs", "2") == {"id": "2", "status": "failed", "kept": {"as": 1.0}}


async def test_find_sorts_and_limits(store: DocumentStore) -> None:
    for number in (3, 1, 2, 5, 4):
        await store.insert("messages", {"id": f"m{number}", "session_id": "s", "created_at": number / 10})
    newest = await store.find("messages", {"session_id": "s"}, sort="created_at", limit=2)
    assert [record["id"] for record in newest] == ["m5", "m4"]
    oldest = await store.find("messages", {"session_id": "s"}, sort="created_at", newest_first=False)
    assert [record["id"] for record in oldest] == ["m1", "m2", "m3", "m4", "m5"]


async def test_ids_are_those_of_the_first_records_that_match(store: DocumentStore) -> None:
    for name in ("d", "b", "a", "c"):
        await store.insert("uploads", {"id": name, "created_at": float(ord(name))})
    assert await store.ids("uploads", {}) == ["a", "b", "c", "d"]
    assert await store.ids("uploads", {"created_at": {"$lt": float(ord("d"))}}, limit=2) == ["a", "b"]
    assert await store.ids("uploads", {"created_at": {"$lt": float(ord("d"))}, "id": {"$gt": "b"}}, limit=2) == ["c"]
    assert await store.ids("uploads", {"id": {"$gt": "d"}}) == []


async def test_records_of_one_moment_are_sorted_by_id(store: DocumentStore) -> None:
    """In a collection that no index sorts by chance."""
    for name in ("b", "c", "a"):
        await store.insert("documents", {"id": name, "created_at": 1.0})
    assert [record["id"] for record in await store.find("documents", {}, sort="created_at")] == ["c", "b", "a"]


CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"int", "float", "text", "true", "null", "missing"}),
    ({"v": 1}, {"int"}),
    ({"v": 1.0}, {"int"}),
    ({"v": 2.5}, {"float"}),
    ({"v": True}, {"true"}),
    ({"v": False}, set()),
    ({"v": "1"}, {"text"}),
    ({"v": None}, {"null", "missing"}),
    ({"v": {"$ne": 1}}, {"float", "text", "true", "null", "missing"}),
    ({"v": {"$ne": None}}, {"int", "float", "text", "true"}),
    ({"v": {"$ne": True}}, {"int", "float", "text", "null", "missing"}),
    ({"v": {"$lt": 2.5}}, {"int"}),
    ({"v": {"$lte": 2.5}}, {"int", "float"}),
    ({"v": {"$gt": 1}}, {"float"}),
    ({"v": {"$gte": 1}}, {"int", "float"}),
    ({"v": {"$gte": ""}}, {"text"}),
    ({"v": {"$lt": "2"}}, {"text"}),
    ({"v": {"$gt": 0, "$lt": 2}}, {"int"}),
    ({"v": {"$in": [1, "1", None]}}, {"int", "text", "null", "missing"}),
    ({"v": {"$in": [2.5, True]}}, {"float", "true"}),
    ({"v": {"$in": []}}, set()),
    ({"id": "int"}, {"int"}),
    ({"id": {"$in": ["int", "text", "nowhere"]}, "v": {"$ne": 1}}, {"text"}),
    ({"id": {"$gt": "null"}}, {"text", "true"}),
    ({"v": 1, "id": "float"}, set()),
]


async def test_where_means_the_same_everywhere(store: DocumentStore) -> None:
    values = {"int": 1, "float": 2.5, "text": "1", "true": True, "null": None}
    for name, value in values.items():
        await store.insert("sessions", {"id": name, "v": value})
    await store.insert("sessions", {"id": "missing"})
    for where, expected in CASES:
        assert await ids(store, "sessions", where) == expected, where
        assert await store.count("sessions", where) == len(expected), where


async def test_a_timestamp_compares_exactly(store: DocumentStore) -> None:
    moments = [time.time() + step / 7 for step in range(20)]
    for number, moment in enumerate(moments):
        await store.insert("sessions", {"id": str(number), "last_active_at": moment})
    for number, moment in enumerate(moments):
        assert await ids(store, "sessions", {"last_active_at": moment}) == {str(number)}
        assert await store.count("sessions", {"last_active_at": {"$lt": moment}}) == number


async def test_hostile_text_is_only_text(store: DocumentStore) -> None:
    for number, text in enumerate(HOSTILE):
        await store.insert("jobs", {"id": f"{number}{text}", "status": text, "n": number})
    for number, text in enumerate(HOSTILE):
        expected = {"id": f"{number}{text}", "status": text, "n": number}
        assert await store.get("jobs", f"{number}{text}") == expected
        assert await store.find("jobs", {"status": text}) == [expected]
        assert await store.find("jobs", {"status": {"$in": [text]}, "id": {"$ne": text}}) == [expected]
        assert await store.update("jobs", {"status": text}, {"error": text}) == 1
    assert await store.count_by("jobs", "status") == dict.fromkeys(HOSTILE, 1)
    assert await store.delete("jobs", {"error": {"$in": HOSTILE}}) == len(HOSTILE)


async def test_a_name_that_could_be_read_as_a_query_is_refused(store: DocumentStore) -> None:
    for name in ("status') OR 1=1 --", "a.b", "$where", "Status", "", "_id", "a b", "n" * 65):
        calls = [
            store.find("jobs", {name: 1}),
            store.find("jobs", {}, sort=name),
            store.update("jobs", {}, {name: 1}),
            store.claim("jobs", {}, {"status": "x"}, oldest_by=name),
            store.count("jobs", {}, distinct=name),
            store.count_by("jobs", name),
            store.insert("jobs", {"id": "x", name: 1}),
            store.delete("jobs", {name: 1}),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="cannot be a field"):
                await call
        with pytest.raises(ValueError, match="no collection"):
            await store.count(name, {})


async def test_count_tells_how_many_differ(store: DocumentStore) -> None:
    for number, user in enumerate(["ann", "bob", "ann", None]):
        await store.insert("messages", {"id": str(number), "user": user, "created_at": float(number)})
    await store.insert("messages", {"id": "without", "created_at": 9.0})
    assert await store.count("messages", {}) == 5
    assert await store.count("messages", {}, distinct="user") == 2
    assert await store.count("messages", {"created_at": {"$gte": 2.0}}, distinct="user") == 1
    assert await store.count("messages", {"user": "ann"}, distinct="user") == 1
    assert await store.count("messages", {"user": "nobody"}, distinct="user") == 0


async def test_count_by_tells_how_many_of_each(store: DocumentStore) -> None:
    assert await store.count_by("jobs", "status") == {}
    for number, status in enumerate(["queued", "failed", "queued", None, 7, ["queued"]]):
        await store.insert("jobs", {"id": str(number), "status": status, "created_at": float(number)})
    await store.insert("jobs", {"id": "without"})
    assert await store.count_by("jobs", "status") == {"queued": 2, "failed": 1}
    assert await store.count_by("jobs", "status", {"created_at": {"$gt": 0.0}}) == {"queued": 1, "failed": 1}


async def test_delete_removes_what_matches_only(store: DocumentStore) -> None:
    for number in range(4):
        await store.insert("uploads", {"id": str(number), "created_at": float(number)})
    assert await store.delete("uploads", {"created_at": {"$lt": 2.0}}) == 2
    assert await ids(store, "uploads", {}) == {"2", "3"}
    assert await store.delete("uploads", {}) == 2


async def test_claim_takes_the_oldest_and_returns_it_changed(store: DocumentStore) -> None:
    for name, created, status in (("b", 2.0, "queued"), ("a", 1.0, "queued"), ("old", 0.0, "failed")):
        await store.insert("uploads", {"id": name, "created_at": created, "status": status})
    changes = {"status": "running", "started_at": 5.0}
    assert await store.claim("uploads", {"status": "queued"}, changes, oldest_by="created_at") == {
        "id": "a",
        "created_at": 1.0,
        **changes,
    }
    second = await store.claim("uploads", {"status": "queued"}, changes, oldest_by="created_at")
    assert second is not None
    assert second["id"] == "b"
    assert await store.claim("uploads", {"status": "queued"}, changes, oldest_by="created_at") is None
    assert await store.get("uploads", "old") == {"id": "old", "created_at": 0.0, "status": "failed"}


async def test_claim_takes_records_of_one_moment_by_id(store: DocumentStore) -> None:
    for name in ("b", "c", "a"):
        await store.insert("documents", {"id": name, "created_at": 1.0, "status": "queued"})
    claims = [
        await store.claim("documents", {"status": "queued"}, {"status": "x"}, oldest_by="created_at") for _ in "123"
    ]
    assert [record["id"] for record in claims if record is not None] == ["a", "b", "c"]


async def test_two_claimers_never_get_the_same_record(store: DocumentStore, new_store: NewStore) -> None:
    """Fifty tasks over two stores, which share nothing but the database, as two processes do."""
    other = new_store()
    await other.start()
    for number in range(40):
        await store.insert("jobs", {"id": str(number), "created_at": float(number), "status": "queued"})
    claims = [
        claimer.claim("jobs", {"status": "queued"}, {"status": "running", "by": task}, oldest_by="created_at")
        for task, claimer in enumerate([store, other] * 25)
    ]
    taken = [record for record in await asyncio.gather(*claims) if record is not None]
    await other.close()
    assert sorted(int(record["id"]) for record in taken) == list(range(40))
    for record in taken:
        assert await store.get("jobs", record["id"]) == record


async def test_records_survive_a_restart_and_start_may_be_repeated(new_store: NewStore) -> None:
    store = new_store()
    await store.start()
    await store.start()
    await store.insert("uploads", {"id": "one", "content": "x" * 300_000})
    await store.close()
    await store.close()
    store = new_store()
    await store.start()
    assert await store.get("uploads", "one") == {"id": "one", "content": "x" * 300_000}
    await store.close()


async def test_a_store_that_is_not_open_says_so(new_store: NewStore, tracked: Tracked) -> None:
    store = new_store()
    for call in (store.ping(), store.get("jobs", "x"), store.put("jobs", {"id": "x"})):
        with pytest.raises(StoreUnavailable, match=r"not open: call start\(\) first"):
            await call
    assert tracked.errors == [("ping", NO_COLLECTION), ("get", "jobs"), ("put", "jobs")]

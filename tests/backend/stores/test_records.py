"""What no store is asked to keep, because not every one would keep it."""

from typing import Any

import pytest

from app.stores.records import check_changes, check_record, check_where


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (float("nan"), "field is not a finite number"),
        ([1, float("inf")], r"field\[1\] is not a finite number"),
        (2**63, "more than 64 bits"),
        ({"deep": {"Secret": b"bytes"}}, r"field\.deep\.Secret is a bytes"),
        ((1, 2), "field is a tuple"),
        ([[1]], "a list in a list"),
        ("half \ud83d", "surrogate"),
        ({"a.b": 1}, "a key that is no plain string"),
        ({"$set": 1}, "a key that is no plain string"),
        ({1: 1}, "a key that is no plain string"),
        ({"": 1}, "a key that is no plain string"),
    ],
)
def test_a_value_that_is_not_json_is_refused_by_its_place_and_not_quoted(value: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        check_record({"id": "x", "field": value})
    assert "bytes'" not in str(refused.value)
    with pytest.raises(ValueError, match=complaint):
        check_changes({"field": value})


@pytest.mark.parametrize("record", [{}, {"id": 1}, {"id": ""}, {"id": None}])
def test_a_record_needs_a_string_for_an_id(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs an id"):
        check_record(record)


@pytest.mark.parametrize("changes", [{}, {"id": "other"}, {"id": "other", "status": "x"}])
def test_changes_change_something_and_never_the_id(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="never the id"):
        check_changes(changes)


@pytest.mark.parametrize(
    "condition",
    [
        {"$where": "1"},
        {"$regex": ".*"},
        {"$eq": 1},
        {"gt": 1},
        {},
        {"$gt": None},
        {"$gt": True},
        {"$gt": {}},
        {"$in": "text"},
        {"$in": [[1]]},
        {"$in": [{"$gt": ""}]},
        {"$ne": {"$gt": ""}},
        {"$lt": float("nan")},
        [1],
        b"bytes",
    ],
)
def test_a_condition_that_is_not_offered_is_refused(condition: Any) -> None:
    with pytest.raises(ValueError, match="field"):
        check_where({"field": condition})

"""What a record and a query may hold, so that MongoDB and SQLite mean the same by both.

Everything that reaches a store passes here first. What one of them would refuse, change or read as an operator is
refused for both, as a `ValueError`: it is a mistake of the calling code, not a failure of the store.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

Record = dict[str, Any]
"""JSON types only (str, int, float, bool, None, list, dict), no list in a list; "id" is a string key."""

Where = Mapping[str, Any]
"""Field -> value, or {"$lt": v}, {"$lte": v}, {"$gt": v}, {"$gte": v}, {"$ne": v}, {"$in": [v, ...]}, together.

A field is one of the record's own (no paths into nested ones) and holds a string, number, bool or None where it is
compared. None also stands for a field that is missing. Numbers compare with numbers only, strings with strings,
and True is not 1.
"""

COLLECTIONS = ("sessions", "messages", "documents", "jobs", "uploads", "feedback", "faults", "api_keys")

INDEXES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("jobs", ("status", "created_at")),
    ("jobs", ("status", "queued_at")),
    ("jobs", ("finished_at",)),
    ("uploads", ("created_at",)),
    ("messages", ("session_id", "created_at")),
    ("messages", ("created_at",)),
    ("sessions", ("closed_at", "last_active_at")),
    ("sessions", ("last_active_at",)),
    ("feedback", ("created_at",)),
)
"""(collection, fields) of each index; the store appends the id, by which it breaks ties when it sorts."""

ORDERINGS = ("$lt", "$lte", "$gt", "$gte")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_INT64 = range(-(2**63), 2**63)


def check_collection(collection: str) -> None:
    """Refuses a collection that is not one of `COLLECTIONS`."""
    if collection not in COLLECTIONS:
        raise ValueError(f"there is no collection {collection!r}: use one of {', '.join(COLLECTIONS)}")


def check_field(field: str) -> None:
    """Refuses a name that is not lower case letters, digits and underscores: it becomes part of a query's text."""
    if not _FIELD.fullmatch(field):
        raise ValueError(f"{field!r} cannot be a field: use lower case letters, digits and underscores")


def check_record(record: Record) -> None:
    """Refuses a record without a string id, or with anything that is not JSON."""
    if not isinstance(record.get("id"), str) or not record["id"]:
        raise ValueError("a record needs an id: a string that is not empty")
    for field, value in record.items():
        check_field(field)
        _check_json(value, field)


def check_changes(changes: Mapping[str, Any]) -> None:
    """Refuses no changes at all, a change of the id, or a value that is not JSON."""
    if not changes or "id" in changes:
        raise ValueError("changes name at least one field, and never the id")
    for field, value in changes.items():
        check_field(field)
        _check_json(value, field)


def check_where(where: Where) -> None:
    """Refuses an operator that is not listed at `Where`, and a value that it cannot compare with."""
    for field, condition in where.items():
        check_field(field)
        if not isinstance(condition, Mapping):
            _check_scalar(condition, field)
            continue
        if not condition:
            raise ValueError(f"the condition on {field} is empty: give a value or an operator")
        for operator, value in condition.items():
            _check_operator(field, operator, value)


def _check_operator(field: str, operator: str, value: Any) -> None:
    if operator == "$in":
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ValueError(f"$in on {field} needs a list of values")
        for item in value:
            _check_scalar(item, field)
    elif operator == "$ne":
        _check_scalar(value, field)
    elif operator in ORDERINGS:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{operator} on {field} needs a number or a string")
        _check_scalar(value, field)
    else:
        raise ValueError(f"{operator!r} on {field} is not an operator: use {', '.join(ORDERINGS)}, $ne or $in")


def _check_scalar(value: Any, field: str) -> None:
    if isinstance(value, dict | list):
        raise ValueError(
            f"{field} can be compared with a string, a number, a bool or None, not with a {type(value).__name__}"
        )
    _check_json(value, field)


def _check_json(value: Any, path: str) -> None:
    """Refuses what the two stores would not both give back unchanged. Names the place, never the value."""
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if not value.isascii():
            _check_unicode(value, path)
    elif isinstance(value, int):
        if value not in _INT64:
            raise ValueError(f"{path} is an integer of more than 64 bits: store it as a string")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{path} is not a finite number, and JSON has no other")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            if isinstance(item, list):
                raise ValueError(f"{path} has a list in a list, which FerretDB cannot store: put it into a dict")
            _check_json(item, f"{path}[{position}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key or key.startswith("$") or "." in key or "\0" in key:
                raise ValueError(f"{path} has a key that is no plain string, or holds a dot, a NUL or a leading dollar")
            _check_json(item, f"{path}.{key}")
    else:
        raise ValueError(f"{path} is a {type(value).__name__}: use str, int, float, bool, None, list or dict")


def _check_unicode(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{path} holds half of a surrogate pair, which UTF-8 cannot carry") from None

"""`Where` as SQL over JSON bodies, with MongoDB's meaning. Values are always bound, never written into the text.

Names are written into the text: `app.stores.records` lets only `[a-z][a-z0-9_]*` through, and an expression index
serves a query only where the query repeats its expression to the letter.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from app.stores.records import Where

Condition = tuple[str, list[Any]]

_NUMBER = "'integer', 'real'"
_TEXT = "'text'"
_COMPARISONS = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}


def column(field: str) -> str:
    """The SQL expression of a field's value."""
    return "id" if field == "id" else f"json_extract(body, '$.{field}')"


def json_kind(field: str) -> str:
    """The SQL expression of the JSON type of a field's value, NULL where the field is missing."""
    return "'text'" if field == "id" else f"json_type(body, '$.{field}')"


def condition(where: Where) -> Condition:
    """The text after WHERE, and its values in order."""
    parts: list[str] = []
    values: list[Any] = []
    for field, wanted in where.items():
        tests = wanted.items() if isinstance(wanted, Mapping) else [("$in", [wanted])]
        for operator, value in tests:
            text, bound = _test(field, operator, value)
            parts.append(text)
            values += bound
    return " AND ".join(parts) or "1", values


def _test(field: str, operator: str, value: Any) -> Condition:
    if operator == "$in":
        return _among(field, value)
    if operator == "$ne":
        text, values = _among(field, [value])
        return f"({text}) IS NOT TRUE", values
    # json_extract alone would put every string above every number; MongoDB compares like with like.
    kinds = _TEXT if isinstance(value, str) else _NUMBER
    return f"({column(field)} {_COMPARISONS[operator]} ? AND {json_kind(field)} IN ({kinds}))", [value]


def _among(field: str, values: Iterable[Any]) -> Condition:
    """True where the field holds one of the values, of the same JSON type; never unknown for None or a bool."""
    texts: list[Any] = []
    numbers: list[Any] = []
    parts: list[str] = []
    for value in values:
        if value is None:
            parts.append(f"{column(field)} IS NULL")
        elif isinstance(value, bool):
            parts.append(f"{json_kind(field)} IS '{str(value).lower()}'")
        else:
            (texts if isinstance(value, str) else numbers).append(value)
    for kinds, bound in ((_TEXT, texts), (_NUMBER, numbers)):
        if bound:
            marks = ", ".join("?" * len(bound))
            parts.append(f"({column(field)} IN ({marks}) AND {json_kind(field)} IN ({kinds}))")
    return f"({' OR '.join(parts) or '0'})", texts + numbers

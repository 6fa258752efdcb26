"""Grafana's transformations of tables, those that the dashboards use."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from scripts.find.model import SourceError
from scripts.report.board import Json
from scripts.report.stores import Table

Tables = list[Table]


def transform(tables: Tables, steps: Sequence[Json]) -> Tables:
    """Applies a panel's transformations in their order. Raises SourceError for one that is not known here."""
    for step in steps:
        if step.get("disabled"):
            continue
        if step["id"] not in _KNOWN:
            raise SourceError(f"the transformation {step['id']!r} is not known to this report")
        tables = _KNOWN[step["id"]](tables, step.get("options") or {})
    return tables


def _merge(tables: Tables, _: Json) -> Tables:
    """One row for what is alike in all columns that the tables share."""
    filled = [table for table in tables if table.columns]
    if not filled:
        return tables[:1]
    shared = [name for name in filled[0].columns if all(name in table.columns for table in filled)]
    rows: dict[tuple[Any, ...], Json] = {}
    for table in filled:
        for row in table.rows():
            rows.setdefault(tuple(row[name] for name in shared), {}).update(row)
    return [Table.of(list(rows.values()))]


def _organize(tables: Tables, options: Json) -> Tables:
    """Leaves columns out, puts the rest in order, gives them headings."""
    left_out = {name for name, yes in (options.get("excludeByName") or {}).items() if yes}
    order, headings = options.get("indexByName") or {}, options.get("renameByName") or {}
    organized = []
    for table in tables:
        names = [name for name in table.columns if name not in left_out]
        names.sort(key=lambda name: order.get(name, len(order)))
        columns = {headings.get(name) or name: table.columns[name] for name in names}
        organized.append(Table(columns, table.ref))
    return organized


def _sort(tables: Tables, options: Json) -> Tables:
    """By one column; what has no value comes last."""
    (by,) = options["sort"]
    for table in tables:
        rows = [row for row in table.rows() if row.get(by["field"]) is not None]
        rows.sort(key=lambda row: row[by["field"]], reverse=bool(by.get("desc")))
        rows += [row for row in table.rows() if row.get(by["field"]) is None]
        table.columns = {name: [row[name] for row in rows] for name in table.columns}
    return tables


def _limit(tables: Tables, options: Json) -> Tables:
    """The first rows."""
    count = int(options.get("limitField", 10))
    return [Table({name: values[:count] for name, values in one.columns.items()}, one.ref) for one in tables]


_KNOWN: Final[dict[str, Callable[[Tables, Json], Tables]]] = {
    "merge": _merge,
    "organize": _organize,
    "sortBy": _sort,
    "limit": _limit,
}

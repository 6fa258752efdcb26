"""Tables, and Grafana's transformations of them that the dashboards use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripts.find.model import SourceError
from scripts.report.board import Json


@dataclass
class Table:
    """Rows, which may lack columns; `links` are where the first column of each leads."""

    rows: Sequence[Mapping[str, Any]]
    links: Sequence[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The columns, in the order in which they come up."""
        return list(dict.fromkeys(name for row in self.rows for name in row))


def transform(tables: list[Table], steps: Sequence[Json]) -> list[Table]:
    """Applies a panel's transformations in their order. Raises SourceError for one that is not known here."""
    for step in steps:
        if step["id"] == "merge":
            tables = [_merge([table for table in tables if table.rows])]
        elif step["id"] == "organize":
            tables = [_organize(table, step["options"]) for table in tables]
        else:
            raise SourceError(f"the transformation {step['id']!r} is not known to this report")
    return tables


def _merge(tables: list[Table]) -> Table:
    """One row for what is alike in all columns that the tables share."""
    shared = [name for name in tables[0].names if all(name in table.names for table in tables)] if tables else []
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in (row for table in tables for row in table.rows):
        rows.setdefault(tuple(row[name] for name in shared), {}).update(row)
    return Table(list(rows.values()))


def _organize(table: Table, options: Json) -> Table:
    """Leaves columns out, puts the rest in order, gives them headings."""
    left_out, order = options.get("excludeByName") or {}, options.get("indexByName") or {}
    names = sorted(
        (name for name in table.names if not left_out.get(name)), key=lambda name: order.get(name, len(order))
    )
    headings = {name: (options.get("renameByName") or {}).get(name) or name for name in names}
    return Table([{headings[name]: row.get(name) for name in names} for row in table.rows], table.links)

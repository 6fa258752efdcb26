"""Addresses of Grafana's Explore: for links of panels, of found requests and of reports.

The `left=` form is used because Grafana 9 knows no other one and later ones still read it.
"""

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

#: Grafana's first major version that takes a trace's id for TraceQL; before it, an id was a query of another type.
TRACEQL_TAKES_IDS: Final = 10


def path(uid: str, query: Mapping[str, object], start: str, end: str) -> str:
    """Explore with one query to a data source, whose uid is its type.

    `start` and `end` are milliseconds since 1970, or what Grafana itself puts in their place.
    """
    state = {
        "datasource": uid,
        "queries": [{"refId": "A", "datasource": {"type": uid, "uid": uid}, **query}],
        "range": {"from": start, "to": end},
    }
    return "/explore?left=" + quote(json.dumps(state, separators=(",", ":")), safe="")


def window(start: float, end: float) -> tuple[str, str]:
    """Two moments (Unix seconds) as `path` takes them."""
    return f"{start * 1000:.0f}", f"{end * 1000:.0f}"


def one_trace(trace: str, major: int = TRACEQL_TAKES_IDS) -> dict[str, object]:
    """The query to Tempo for a trace by its id, as Grafana of this major version understands it."""
    return {"query": trace, "queryType": "traceql" if major >= TRACEQL_TAKES_IDS else "traceId"}

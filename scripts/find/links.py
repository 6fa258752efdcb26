"""The same request in Grafana: addresses of Explore, for whichever Grafana runs."""

import json
from urllib.parse import quote

from scripts.find.model import SourceError
from scripts.find.search import Story
from scripts.find.sources.http import Server
from scripts.find.sources.loki import EVERY_LINE

#: Shown around the request (seconds), so that a graph has something to stand out from.
MARGIN = 300.0
#: Before it, a trace's id was another type of query than TraceQL.
_TRACEQL_TAKES_IDS = 10


def links(story: Story, address: str) -> list[tuple[str, str]]:
    """Titles and addresses. Raises SourceError where no Grafana runs."""
    health = Server("Grafana", address).get("/api/health")
    major = int(str(health.get("version", "0")).partition(".")[0] or 0)
    found = [
        ("all lines of the request", _explore(address, "loki", {"expr": query, "queryType": "range"}, story))
        for query in (f'{EVERY_LINE} | request_id="{request}"' for request in sorted(story.requests))
    ]
    kind = "traceql" if major >= _TRACEQL_TAKES_IDS else "traceId"
    for trace, spans in story.traces.items():
        found.append((f"trace {spans[0].name}", _explore(address, "tempo", {"query": trace, "queryType": kind}, story)))
    return found


def _explore(address: str, source: str, query: dict[str, str], story: Story) -> str:
    """Explore's `left=` form of address: Grafana 9 knows no other one, and later ones still read it."""
    state = {
        "datasource": source,
        "queries": [{"refId": "A", "datasource": {"type": source, "uid": source}, **query}],
        "range": {"from": str(int((story.start - MARGIN) * 1000)), "to": str(int((story.end + MARGIN) * 1000))},
    }
    return f"{address}/explore?left={quote(json.dumps(state, separators=(',', ':')), safe='')}"


def links_or_reason(story: Story, address: str) -> tuple[list[tuple[str, str]], str]:
    """The links, or else why there are none."""
    try:
        return links(story, address), ""
    except SourceError as error:
        return [], str(error)

"""The same request in Grafana: addresses of Explore, for whichever Grafana runs."""

from monitoring import explore
from scripts.find.model import SourceError
from scripts.find.search import Story
from scripts.find.sources.http import Server
from scripts.find.sources.loki import EVERY_LINE

#: Shown around the request (seconds), so that a graph has something to stand out from.
MARGIN = 300.0


def links(story: Story, address: str) -> list[tuple[str, str]]:
    """Titles and addresses. Raises SourceError where no Grafana runs."""
    version = major(address)
    found = [
        ("all lines of the request", _explore(address, "loki", {"expr": query, "queryType": "range"}, story))
        for query in (f'{EVERY_LINE} | request_id="{request}"' for request in sorted(story.requests))
    ]
    for trace, spans in story.traces.items():
        found.append((f"trace {spans[0].name}", _explore(address, "tempo", explore.one_trace(trace, version), story)))
    return found


def major(address: str) -> int:
    """Grafana's major version. Raises SourceError where none runs."""
    health = Server("Grafana", address).get("/api/health")
    return int(str(health.get("version", "0")).partition(".")[0] or 0)


def _explore(address: str, source: str, query: dict[str, object], story: Story) -> str:
    return address + explore.path(source, query, *explore.window(story.start - MARGIN, story.end + MARGIN))


def links_or_reason(story: Story, address: str) -> tuple[list[tuple[str, str]], str]:
    """The links, or else why there are none."""
    try:
        return links(story, address), ""
    except SourceError as error:
        return [], str(error)

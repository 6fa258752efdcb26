"""Spans from Tempo."""

import time
from collections.abc import Collection

from scripts.find.model import SourceError, Span, parse_spans, unique
from scripts.find.sources import Reach
from scripts.find.sources.http import Server

#: Tempo's own limit of one search's range (seconds): 7 days.
LONGEST_RANGE = 168 * 3600
#: It leaves the newest half minute out, as it is set up by default, and refuses a range that is empty then (seconds).
SHORTEST_RANGE = 120
#: One request causes a few traces (its own, its job's); more of them mean that an id is used again and again.
MAX_TRACES = 20


class Tempo:
    """The spans that the services sent to Tempo."""

    def __init__(self, address: str) -> None:
        self._server = Server("Tempo", address)
        self.name = self._server.name
        self._cut = False

    def spans(self, requests: Collection[str], traces: Collection[str], since: float) -> list[Span]:
        """By trace id at once; by request id as soon as Tempo's search knows of it, some seconds later."""
        known = dict.fromkeys(traces)
        spans = [span for trace in known for span in self._trace(trace)]
        found = [trace for request in sorted(requests) for trace in self._search(request, since)]
        found += [link for span in spans for link in span.links]
        new = [trace for trace in dict.fromkeys(found) if trace not in known]
        self._cut = self._cut or len(new) > MAX_TRACES
        return unique([*spans, *(span for trace in new[:MAX_TRACES] for span in self._trace(trace))])

    def reach(self) -> Reach:
        """The newest trace that the search knows of; it cannot tell the oldest."""
        found = self._server.get("/api/search", q="{} with (most_recent=true)", limit=1, **_window(0)).get("traces")
        newest = max((int(trace["startTimeUnixNano"]) / 1e9 for trace in found or ()), default=None)
        return Reach(None, newest)

    def remarks(self) -> list[str]:
        """Whether traces are missing."""
        return [f"only {MAX_TRACES} of the traces that follow from it are shown"] if self._cut else []

    def _search(self, request: str, since: float) -> list[str]:
        query = f'{{ span.request.id = "{request}" }}'
        answer = self._server.get("/api/search", q=query, limit=2 * MAX_TRACES, **_window(since))
        return [trace["traceID"].zfill(32) for trace in answer.get("traces") or ()]  # it leaves leading zeros out

    def _trace(self, trace: str) -> list[Span]:
        answer = self._server.get(f"/api/v2/traces/{trace}")
        try:
            return parse_spans(answer["trace"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceError(f"{self.name} answers with something that is no trace: {error!r}") from None


def _window(since: float) -> dict[str, int]:
    now = time.time()
    return {"start": int(min(max(since, now - LONGEST_RANGE + 60), now - SHORTEST_RANGE)), "end": int(now)}

"""Lines from Loki."""

import time
from collections.abc import Collection
from typing import Any

from scripts.find.model import FAILED_PATTERN, Line, SourceError, parse_line
from scripts.find.sources import MAX_LINES, Reach
from scripts.find.sources.http import Server

#: Every line: Loki wants one matcher that no empty value fits.
EVERY_LINE = '{service=~".+"}'
#: Loki's own limit of one query's range is 30 days and an hour (seconds).
LONGEST_RANGE = 720 * 3600
#: A clock of another machine may be this much ahead (seconds).
AHEAD = 60


class Loki:
    """The lines that Promtail brought to Loki."""

    def __init__(self, address: str) -> None:
        self._server = Server("Loki", address)
        self.name = self._server.name
        self._cut = False

    def lines(self, identities: Collection[str], since: float) -> list[Line]:
        """By the structured metadata `request_id` and `trace_id`."""
        wanted = " or ".join(f'request_id="{one}" or trace_id="{one}"' for one in sorted(identities))
        return self._query(f"{EVERY_LINE} | {wanted}", since, "forward")

    def failures(self, since: float) -> list[Line]:
        """The newest, by their text: no label says what a status was."""
        return [line for line in self._query(f"{EVERY_LINE} |~ `{FAILED_PATTERN}`", since, "backward") if line.failed]

    def reach(self) -> Reach:
        """Of the last 30 days."""
        ends = [self._query(EVERY_LINE, 0, direction, 1) for direction in ("forward", "backward")]
        oldest, newest = (lines[0].time if lines else None for lines in ends)
        return Reach(oldest, newest)

    def remarks(self) -> list[str]:
        """Whether lines are missing."""
        return [f"there are more than {MAX_LINES} lines: the rest is in Loki"] if self._cut else []

    def _query(self, query: str, since: float, direction: str, limit: int = MAX_LINES) -> list[Line]:
        start = max(since, time.time() - LONGEST_RANGE)
        answer = self._server.get(
            "/loki/api/v1/query_range",
            query=query,
            start=int(start * 1e9),
            end=int((time.time() + AHEAD) * 1e9),
            limit=limit,
            direction=direction,
        )
        try:
            lines = [
                _line(stream["stream"], value) for stream in answer["data"]["result"] for value in stream["values"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{self.name} answers with something that is not Loki's: {error!r}") from None
        self._cut = self._cut or (limit > 1 and len(lines) >= limit)
        return lines


def _line(labels: dict[str, Any], value: list[str]) -> Line:
    """A line with its labels; one that is no JSON of ours is shown as it stands."""
    parsed = parse_line(value[1])
    if parsed is not None:
        return parsed
    named = {name: str(labels.get(name, "")) for name in ("level", "logger", "service", "request_id", "trace_id")}
    return Line(time=int(value[0]) / 1e9, event=value[1], values={}, **named)

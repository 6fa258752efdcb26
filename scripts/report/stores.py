"""What Prometheus, Loki and Tempo answer; where no Loki runs, what the log files hold."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from scripts.find.model import Line, SourceError, parse_line
from scripts.find.sources.http import Server
from scripts.report.board import Window

#: Prometheus gives no more points of a series in one answer.
MAX_POINTS: Final = 11_000
#: Exemplars of one query that are drawn: the largest, which are what one looks for.
MAX_EXEMPLARS: Final = 20
#: Tempo's own limit of one search's range (seconds), and what it needs at least.
_TEMPO_RANGE: Final = (120.0, 167 * 3600.0)


@dataclass
class Series:
    """One line: its name in the legend, its labels, and its points; `times` in Unix seconds."""

    labels: Mapping[str, str]
    times: list[float]
    values: list[float]
    name: str = ""
    ref: str = ""


@dataclass(frozen=True)
class Exemplar:
    """One measurement with its trace."""

    time: float
    value: float
    trace: str


@dataclass
class Table:
    """Columns of equal length by name; `ref` is the query that it comes from."""

    columns: dict[str, list[Any]]
    ref: str = ""
    links: list[str] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """The same by row."""
        return [dict(zip(self.columns, values, strict=True)) for values in zip(*self.columns.values(), strict=True)]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], ref: str = "") -> "Table":
        """From rows, each of which may lack columns."""
        names = dict.fromkeys(name for row in rows for name in row)
        return cls({name: [row.get(name) for row in rows] for name in names}, ref)


class Prometheus:
    """PromQL. Every method raises SourceError when it is not answered; times in Unix seconds."""

    def __init__(self, address: str) -> None:
        self._server = Server("Prometheus", address)

    def range(self, query: str, window: Window, step: float) -> list[Series]:
        """Points that lie on multiples of the step, as Grafana asks for them."""
        start, end = (math.floor(moment / step) * step for moment in (window.start, window.end))
        if (end - start) / step > MAX_POINTS:
            raise SourceError(f"{(end - start) / step:.0f} points a line are more than Prometheus gives ({MAX_POINTS})")
        found = self._server.get("/api/v1/query_range", query=query, start=str(start), end=str(end), step=str(step))
        return [_series(one["metric"], one["values"]) for one in found["data"]["result"]]

    def instant(self, query: str, at: float) -> list[Series]:
        """A point each."""
        data = self._server.get("/api/v1/query", query=query, time=f"{at:.3f}")["data"]
        if data["resultType"] in ("scalar", "string"):
            return [_series({}, [data["result"]])]
        return [_series(one["metric"], [one["value"]]) for one in data["result"]]

    def label_values(self, query: str, window: Window) -> list[str]:
        """What Grafana's `label_values(selector, label)` gives."""
        found = re.fullmatch(r"label_values\((?:(.*),)?\s*(\w+)\s*\)", query, re.DOTALL)
        if not found:
            raise SourceError(f"a variable asks {query!r}: only label_values() is understood here")
        times = {"start": f"{window.start:.0f}", "end": f"{window.end:.0f}"}
        selector = {"match[]": found[1].strip()} if found[1] else {}
        values = self._server.get(f"/api/v1/label/{found[2]}/values", **times, **selector)["data"]
        return sorted(map(str, values))

    def exemplars(self, query: str, window: Window) -> list[Exemplar]:
        """The largest."""
        times = {"start": f"{window.start:.3f}", "end": f"{window.end:.3f}"}
        data = self._server.get("/api/v1/query_exemplars", query=query, **times)["data"]
        found = [
            Exemplar(float(one["timestamp"]), float(one["value"]), one["labels"]["trace_id"])
            for series in data
            for one in series["exemplars"]
            if "trace_id" in one["labels"]
        ]
        once = {one.trace: one for one in found}.values()
        return sorted(once, key=lambda one: -one.value)[:MAX_EXEMPLARS]


class Loki:
    """LogQL. Every method raises SourceError when it is not answered."""

    def __init__(self, address: str) -> None:
        self._server = Server("Loki", address)

    def lines(self, query: str, window: Window, limit: int) -> list[Line]:
        """The newest lines, newest first."""
        result = self._ask(query, window, limit=limit, direction="backward")
        if result["resultType"] != "streams":
            raise SourceError(f"the query gives no lines but a {result['resultType']}")
        lines = [_line(stream["stream"], *value[:2]) for stream in result["result"] for value in stream["values"]]
        return sorted(lines, key=lambda line: -line.time)[:limit]

    def range(self, query: str, window: Window, step: float) -> list[Series]:
        """A number over time."""
        result = self._ask(query, window, step=f"{step:.0f}")
        if result["resultType"] != "matrix":
            raise SourceError(f"the query gives no numbers but {result['resultType']}")
        return [_series(one["metric"], one["values"]) for one in result["result"]]

    def _ask(self, query: str, window: Window, **more: str | int) -> Any:
        times = {"start": int(window.start * 1e9), "end": int(window.end * 1e9)}
        return self._server.get("/loki/api/v1/query_range", query=query, **times, **more)["data"]


class Tempo:
    """TraceQL. Raises SourceError when it is not answered."""

    def __init__(self, address: str) -> None:
        self._server = Server("Tempo", address)

    def traces(self, query: str, window: Window, limit: int) -> Table:
        """The newest traces, a row each; of the last week at most, which is all that Tempo searches at once."""
        shortest, longest = _TEMPO_RANGE
        start = min(max(window.start, window.end - longest), window.end - shortest)
        times = {"start": int(start), "end": int(window.end)}
        found = self._server.get("/api/search", q=f"{query} with (most_recent=true)", limit=limit, **times)
        rows = [
            {
                "Trace ID": one["traceID"].zfill(32),
                "Start time": int(one["startTimeUnixNano"]) / 1e6,
                "Service": one.get("rootServiceName", ""),
                "Name": one.get("rootTraceName", ""),
                "Duration": float(one.get("durationMs", 0)),
            }
            for one in found.get("traces") or ()
        ]
        return Table.of(sorted(rows, key=lambda row: -row["Start time"]))


def instant_table(series: Sequence[Series], ref: str, alone: bool) -> Table:
    """Labels and values as columns, named as Grafana names them."""
    value = "Value" if alone else f"Value #{ref}"
    return Table.of([{"Time": one.times[-1] * 1000, **one.labels, value: one.values[-1]} for one in series], ref)


def on_grid(series: Sequence[Series], step: float) -> tuple[list[float], list[list[float]]]:
    """All series on the same times, NaN where one has no point."""
    times = [moment for one in series for moment in one.times]
    if not times:
        return [], []
    first = min(times)
    length = round((max(times) - first) / step) + 1
    rows = []
    for one in series:
        row = [math.nan] * length
        for moment, value in zip(one.times, one.values, strict=True):
            row[round((moment - first) / step)] = value
        rows.append(row)
    return [first + number * step for number in range(length)], rows


def _series(labels: Mapping[str, str], points: Sequence[Sequence[Any]]) -> Series:
    return Series(labels, [float(point[0]) for point in points], [float(point[1]) for point in points])


def _line(labels: Mapping[str, str], nanoseconds: str, text: str) -> Line:
    """A line as it was written; one that is no JSON of ours with Loki's labels."""
    parsed = parse_line(text)
    if parsed is not None:
        return parsed
    named = {name: str(labels.get(name, "")) for name in ("level", "logger", "service", "request_id", "trace_id")}
    return Line(time=int(nanoseconds) / 1e9, event=text, values={}, **named)

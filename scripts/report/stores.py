"""What Prometheus, Loki and Tempo answer. Every method raises SourceError when it is not answered; times are Unix's."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from scripts.find.model import Line, SourceError, parse_line
from scripts.find.sources.http import Server
from scripts.report.board import Window
from scripts.report.tables import Table

#: Exemplars of one query that are drawn: the largest, which are what one looks for.
MAX_EXEMPLARS: Final = 20
#: Tempo leaves the newest out of a search, refuses an empty range, and one of more than a week (seconds).
_TEMPO_RANGE: Final = (120.0, 167 * 3600.0)


@dataclass
class Series:
    """One line: its labels, its points, and its name in the legend."""

    labels: Mapping[str, str]
    times: list[float]
    values: list[float]
    name: str = ""


@dataclass(frozen=True)
class Exemplar:
    """One measurement with its trace."""

    time: float
    value: float
    trace: str


class Prometheus:
    """PromQL."""

    def __init__(self, address: str) -> None:
        self._server = Server("Prometheus", address)

    def range(self, query: str, window: Window, step: float) -> list[Series]:
        """Points that lie on multiples of the step, as Grafana asks for them: those of a day on midnight."""
        ahead = (datetime.fromtimestamp(window.end, window.zone).utcoffset() or timedelta()).total_seconds()
        start, end = (math.floor((moment + ahead) / step) * step - ahead for moment in (window.start, window.end))
        found = self._server.get("/api/v1/query_range", query=query, start=str(start), end=str(end), step=str(step))
        return [_series(one["metric"], one["values"]) for one in found["data"]["result"]]

    def instant(self, query: str, at: float) -> list[Series]:
        """A point each."""
        data = self._server.get("/api/v1/query", query=query, time=f"{at:.3f}")["data"]
        result = [{"metric": {}, "value": data["result"]}] if data["resultType"] == "scalar" else data["result"]
        return [_series(one["metric"], [one["value"]]) for one in result]

    def label_values(self, query: str, window: Window) -> list[str]:
        """What Grafana's `label_values(selector, label)` gives."""
        found = re.fullmatch(r"label_values\((.*),\s*(\w+)\s*\)", query, re.DOTALL)
        if not found:
            raise SourceError(f"a variable asks {query!r}: only label_values(selector, label) is understood here")
        values = self._server.get(f"/api/v1/label/{found[2]}/values", **{"match[]": found[1], **_times(window)})
        return sorted(map(str, values["data"]))

    def exemplars(self, query: str, window: Window) -> list[Exemplar]:
        """The largest."""
        data = self._server.get("/api/v1/query_exemplars", query=query, **_times(window))["data"]
        found = [one for series in data for one in series["exemplars"] if "trace_id" in one["labels"]]
        dots = [Exemplar(float(one["timestamp"]), float(one["value"]), one["labels"]["trace_id"]) for one in found]
        return sorted({one.trace: one for one in dots}.values(), key=lambda one: -one.value)[:MAX_EXEMPLARS]


class Loki:
    """LogQL."""

    def __init__(self, address: str) -> None:
        self._server = Server("Loki", address)

    def lines(self, query: str, window: Window, limit: int) -> list[Line]:
        """The newest lines, newest first."""
        found = self._ask("streams", query, window, limit=limit, direction="backward")
        lines = [_line(stream["stream"], *value[:2]) for stream in found for value in stream["values"]]
        return sorted(lines, key=lambda line: -line.time)[:limit]

    def range(self, query: str, window: Window, step: float) -> list[Series]:
        """A number over time."""
        found = self._ask("matrix", query, window, step=f"{step:.0f}s")
        return [_series(one["metric"], one["values"]) for one in found]

    def instant(self, query: str, at: float) -> list[Series]:
        """A number each."""
        found = self._server.get("/loki/api/v1/query", query=query, time=f"{at:.3f}")["data"]["result"]
        return [_series(one["metric"], [one["value"]]) for one in found]

    def _ask(self, kind: str, query: str, window: Window, **more: str | int) -> Any:
        data = self._server.get("/loki/api/v1/query_range", query=query, **_times(window), **more)["data"]
        if data["resultType"] != kind:
            raise SourceError(f"the query gives no {kind} but {data['resultType']}: {query}")
        return data["result"]


class Tempo:
    """TraceQL."""

    def __init__(self, address: str) -> None:
        self._server = Server("Tempo", address)

    def traces(self, query: str, window: Window, limit: int) -> list[dict[str, Any]]:
        """The newest traces, with the columns that Grafana gives them; of the last week at most."""
        shortest, longest = _TEMPO_RANGE
        start = min(max(window.start, window.end - longest), window.end - shortest)
        times = {"start": int(start), "end": int(window.end), "limit": limit}
        found = self._server.get("/api/search", q=f"{query} with (most_recent=true)", **times).get("traces") or ()
        rows = [
            {
                "Trace ID": one["traceID"].zfill(32),
                "Start time": int(one["startTimeUnixNano"]) / 1e6,
                "Service": one.get("rootServiceName", ""),
                "Name": one.get("rootTraceName", ""),
                "Duration": float(one.get("durationMs", 0)),
            }
            for one in found
        ]
        return sorted(rows, key=lambda row: -row["Start time"])


def instant_table(series: Sequence[Series], value: str) -> Table:
    """Labels and values as columns, named as Grafana names them."""
    return Table([{"Time": one.times[-1] * 1000, **one.labels, value: one.values[-1]} for one in series])


def on_grid(series: Sequence[Series], step: float) -> tuple[list[float], "np.ndarray[Any, np.dtype[np.float64]]"]:
    """All series on the same times, a row each, NaN where one has no point."""
    times = [moment for one in series for moment in one.times]
    if not times:
        return [], np.empty((0, 0))
    first, length = min(times), round((max(times) - min(times)) / step) + 1
    rows = np.full((len(series), length), np.nan)
    for row, one in zip(rows, series, strict=True):
        row[np.rint((np.array(one.times) - first) / step).astype(int)] = one.values
    return [first + number * step for number in range(length)], rows


def _times(window: Window) -> dict[str, str]:
    return {"start": f"{window.start:.3f}", "end": f"{window.end:.3f}"}


def _series(labels: Mapping[str, str], points: Sequence[Sequence[Any]]) -> Series:
    return Series(labels, [float(point[0]) for point in points], [float(point[1]) for point in points])


def _line(labels: Mapping[str, str], nanoseconds: str, text: str) -> Line:
    """A line as it was written; one that is no JSON of ours with Loki's labels."""
    named = {name: str(labels.get(name, "")) for name in ("level", "logger", "service", "request_id", "trace_id")}
    return parse_line(text) or Line(time=int(nanoseconds) / 1e9, event=text, values={}, **named)

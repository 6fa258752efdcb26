"""Panels as what the page's template draws of them: a kind, and what belongs to it."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from scripts.find.model import SourceError
from scripts.report import charts
from scripts.report.ask import Answer, Context, Stores, ask, trace_link
from scripts.report.board import Json
from scripts.report.fields import PALETTE, Look, look
from scripts.report.stores import Series, on_grid
from scripts.report.tables import transform

#: Lines of one plot, rows of one table, bars of one panel: more cannot be told apart.
MOST: Final = 30

Drawn = dict[str, Any]

#: Grafana's calculations of one number for many.
_CALCULATIONS: Final[dict[str, tuple[str, Callable[[Sequence[float]], float]]]] = {
    "lastNotNull": ("last", lambda known: known[-1]),
    "max": ("max", max),
    "min": ("min", min),
    "sum": ("sum", sum),
    "mean": ("mean", lambda known: sum(known) / len(known)),
}


def draw(panel: Json, about: Context, stores: Stores) -> Drawn:
    """A panel, or in its place why there is none."""
    kind = panel["type"]
    if kind in ("text", "row"):
        return {"kind": kind, "text": panel.get("options", {}).get("content", "")}
    try:
        if kind not in _DRAW:
            raise SourceError(f"panels of the kind {kind!r} are not known to this report")
        answer = ask(panel, about, stores)
        drawn = _DRAW[kind](panel, answer, about, stores)
    except SourceError as error:
        return {"kind": "failed", "text": f"Not drawn: {error}"}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return {"kind": "failed", "text": f"Not drawn: what came back was not understood ({error!r})"}
    empty = {"kind": "empty", "text": look(panel, "").settings.get("noValue") or "No data"}
    return {"note": answer.note, **(drawn or empty)}


def _reduced(values: Sequence[float], calculation: str) -> float:
    """One number for many; NaN where there is none."""
    if calculation not in _CALCULATIONS:
        raise SourceError(f"the calculation {calculation!r} is not known to this report")
    known = [value for value in values if not math.isnan(value)]
    return float(_CALCULATIONS[calculation][1](known)) if known else math.nan


def _chart(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    """Lines, areas or bars over time."""
    # Where there are too many, the largest are drawn.
    largest = sorted(answer.series, key=lambda one: _reduced(one.values, "max"), reverse=True)[:MOST]
    series = [one for one in answer.series if one in largest]
    times, rows = on_grid(series, answer.step)
    if not np.isfinite(rows).any():
        return {}
    base, looks = look(panel, ""), [look(panel, one.name, about.window.zone) for one in series]
    colours = [one.fixed or PALETTE[number % len(PALETTE)] for number, one in enumerate(looks)]
    below = np.zeros_like(rows)
    if base.option("stacking", "mode") == "normal":
        below[1:] = np.cumsum(np.nan_to_num(rows), axis=0)[:-1]
    values, bars = rows + below, base.custom.get("drawStyle") == "bars"
    # Areas and bars begin at 0, which has to be seen.
    scaled = np.append(values, below) if bars or below.any() else values.ravel()
    least, most, unit = (base.settings.get(key) for key in ("min", "max", "unit"))
    low, high, ticks = charts.scale(scaled, least, most, binary=unit == "bytes")
    canvas = charts.Canvas(about.window, low, high)
    canvas.grid(ticks)
    for what in about.happenings:
        canvas.span(what.start, what.end, what.colour, what.title)
    ends = [moment + answer.step for moment in times] if base.custom.get("barAlignment") == 1 else times
    for number, colour in enumerate(colours):
        if len(below) > 1 and below.any() and not np.nan_to_num(rows[number]).any():
            continue  # of nothing, only its edge would be seen, on top of another's
        if bars:
            canvas.bars(ends, values[number], below[number], colour, answer.step)
        else:
            canvas.line(times, values[number], below[number], colour, base.custom.get("fillOpacity", 0) / 100)
    if base.option("thresholdsStyle", "mode") == "dashed":
        for value, colour in base.steps:
            canvas.limit(value, colour)
    _dots(canvas, answer, base, about, stores, lambda value: value)
    calculations = (panel.get("options", {}).get("legend") or {}).get("calcs") or ["lastNotNull"]
    return {
        "kind": "chart",
        "chart": charts.Chart(low, high, canvas.svg(), _ys(low, high, ticks, base), charts.time_ticks(about.window)),
        "legend": [
            (colour, one.name, [(value := _reduced(one.values, how), words.text(value)) for how in calculations])
            for one, words, colour in zip(series, looks, colours, strict=True)
        ],
        "calculations": [_CALCULATIONS[how][0] for how in calculations],
        "note": f"{len(answer.series) - MOST} smaller ones are not drawn" if len(answer.series) > MOST else "",
    }


def _dots(
    canvas: charts.Canvas, answer: Answer, base: Look, about: Context, stores: Stores, place: Callable[[float], float]
) -> None:
    for dot in answer.exemplars:
        link, title = trace_link(stores, dot.trace, about.window), f"{base.text(dot.value)}, trace {dot.trace}"
        canvas.dot(dot.time, place(dot.value), "#CC79A7", link, title)


def _ys(low: float, high: float, ticks: Sequence[float], base: Look) -> list[tuple[float, str]]:
    plain = Look({"unit": base.settings.get("unit", "")})
    return [(100 * (tick - low) / (high - low), plain.text(tick)) for tick in ticks]


def _buckets(answer: Answer) -> tuple[list[float], list[Series]]:
    """The upper bounds of a histogram, and its series in their order."""
    series = sorted(answer.series, key=lambda one: float(one.labels["le"]))
    return [float(one.labels["le"]) for one in series], series


def _heat(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    """A column for each step, a cell for each bucket: how many there were in it."""
    bounds, series = _buckets(answer)
    times, rows = on_grid(series, answer.step)
    if not times:
        return {}
    cells = np.maximum(0, np.diff(np.nan_to_num(rows), axis=0, prepend=0))
    base, canvas = look(panel, ""), charts.Canvas(about.window, 0, len(bounds))
    canvas.cells(times, answer.step, cells, panel["options"]["color"]["exponent"])
    # Buckets are drawn equally high, whatever their bounds.
    edges = [0.0, *(bound if math.isfinite(bound) else 2 * bounds[-2] for bound in bounds)]
    _dots(canvas, answer, base, about, stores, lambda value: float(np.interp(value, edges, range(len(edges)))))
    every = math.ceil(len(bounds) / 6)
    ys = [(100 * (i + 1) / len(bounds), base.text(bound)) for i, bound in enumerate(bounds) if i % every == every - 1]
    chart = charts.Chart(0, len(bounds), canvas.svg(), ys, charts.time_ticks(about.window))
    return {"kind": "heat", "chart": chart, "most": float(cells.max())}


def _histogram(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    """A bar for each bucket: how many there are in it at the end of the window."""
    bounds, series = _buckets(answer)
    counts, base = np.diff([one.values[-1] for one in series], prepend=0), look(panel, "")
    bars = [
        {"name": f"≤ {base.text(bound)}", "value": count, "text": f"{count:.0f}", "colour": PALETTE[0], "share": share}
        for bound, count, share in zip(bounds, counts, 100 * counts / max(1, *counts, 1), strict=True)
    ]
    return {"kind": "bars", "bars": bars} if bars else {}


def _numbers(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    """A number for each series, and its place between the ends of its scale."""
    options = panel.get("options", {})
    calculation = ((options.get("reduceOptions") or {}).get("calcs") or ["lastNotNull"])[0]
    values = [_reduced(one.values, calculation) for one in answer.series[:MOST]]
    named = len(values) > 1 or panel["type"] == "bargauge" or options.get("textMode") == "value_and_name"
    found = []
    for one, value in zip(answer.series, values, strict=False):
        words = look(panel, one.name, about.window.zone)
        low, high = words.ends(values)
        found.append(
            {
                "name": one.name if named else "",
                "value": value,
                "text": words.text(value),
                "colour": words.fixed or words.colour(value) or PALETTE[0],
                "share": _place(value, low, high),
                "ring": [(_place(step, low, high), colour) for step, colour in words.steps if step < high],
                "ends": (words.text(low), words.text(high)),
            }
        )
    if all(math.isnan(value) for value in values):
        return {}
    kind = {"gauge": "dials", "stat": "numbers"}.get(panel["type"], "bars")
    return {"kind": kind, kind: found, "filled": options.get("colorMode") == "background"}


def _place(value: float, low: float, high: float) -> float:
    """Where a value lies between two ends, in percent."""
    return 0.0 if math.isnan(value) else 100 * min(1.0, max(0.0, (value - low) / (high - low)))


def _table(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    tables = transform(answer.tables, panel.get("transformations") or ())
    table = next((one for one in tables if one.rows), None)
    if table is None:
        return {}
    looks = {name: look(panel, name, about.window.zone) for name in table.names}
    if table.links:
        looks["Start time"] = Look({"unit": "dateTimeAsIso"}, about.window.zone)
        looks["Duration"] = Look({"unit": "ms"})
    rows = [[_cell(how, row.get(name)) for name, how in looks.items()] for row in table.rows[:MOST]]
    for row, link in zip(rows, table.links, strict=False):
        row[0]["href"] = link
    more = len(table.rows) - MOST
    heads = [(name, all(row[i]["number"] for row in rows)) for i, name in enumerate(looks)]
    return {"kind": "table", "heads": heads, "rows": rows, "note": f"{more} more rows" if more > 0 else ""}


def _cell(how: Look, value: Any) -> Drawn:
    cell = how.option("cellOptions", "type")
    return {
        "value": value,
        "text": "" if value is None else how.text(value),
        "number": isinstance(value, int | float),
        "colour": how.colour(value) if cell.startswith("color-") else "",
        "filled": cell == "color-background",
    }


def _logs(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    return {"kind": "logs", "lines": answer.lines} if answer.lines else {}


_DRAW: Final[dict[str, Callable[[Json, Answer, Context, Stores], Drawn]]] = {
    "timeseries": _chart,
    "heatmap": _heat,
    "histogram": _histogram,
    "stat": _numbers,
    "gauge": _numbers,
    "bargauge": _numbers,
    "barchart": _numbers,
    "piechart": _numbers,
    "table": _table,
    "logs": _logs,
}

"""Panels as what the page's template draws of them: a kind, and what belongs to it."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from scripts.find.model import Line as LogLine
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


def draw(panel: Json, about: Context, stores: Stores) -> Drawn:
    """A panel, or in its place why there is none."""
    if panel["type"] in ("text", "row"):
        return {"kind": panel["type"], "text": panel.get("options", {}).get("content", "")}
    if panel["type"] not in _DRAW:
        return {"kind": "failed", "text": f"A panel of the kind {panel['type']} is not drawn here"}
    try:
        answer = ask(panel, about, stores)
        drawn = _DRAW[panel["type"]](panel, answer, about, stores)
    except SourceError as error:
        return {"kind": "failed", "text": f"Not drawn: {error}"}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return {"kind": "failed", "text": f"Not drawn: what came back was not understood ({error!r})"}
    if not drawn:
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        return {"kind": "empty", "text": defaults.get("noValue") or "No data"}
    return {**drawn, "note": drawn.get("note") or answer.note}


def reduced(values: Sequence[float], calculation: str) -> float:
    """One number for many, as Grafana's calculations of this name; NaN where there is none."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return math.nan
    if calculation not in _CALCULATIONS:
        raise SourceError(f"the calculation {calculation!r} is not known to this report")
    return _CALCULATIONS[calculation](known)


_CALCULATIONS: Final[dict[str, Callable[[list[float]], float]]] = {
    "lastNotNull": lambda known: known[-1],
    "last": lambda known: known[-1],
    "firstNotNull": lambda known: known[0],
    "first": lambda known: known[0],
    "max": max,
    "min": min,
    "sum": sum,
    "count": len,
    "mean": lambda known: sum(known) / len(known),
    "range": lambda known: max(known) - min(known),
    "diff": lambda known: known[-1] - known[0],
}
_CALLED: Final = {"lastNotNull": "last", "firstNotNull": "first"}


def _look(panel: Json, series: Series, about: Context) -> Look:
    return look(panel, series.name, series.ref, series.labels, zone=about.window.zone)


def _chart(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    """Lines, areas or bars over time."""
    times, rows = on_grid(answer.series, answer.step)
    if not times:
        return {}
    # The largest are drawn, in the order of the answer.
    largest = sorted(range(len(rows)), key=lambda i: -max((v for v in rows[i] if not math.isnan(v)), default=-math.inf))
    shown = sorted(largest[:MOST])
    looks = [_look(panel, answer.series[i], about) for i in shown]
    base = look(panel, "", zone=about.window.zone)
    below, drawn = [0.0] * len(times), []
    for number, (i, one) in enumerate(zip(shown, looks, strict=True)):
        custom, values = one.custom, rows[i]
        stacked = (custom.get("stacking") or {}).get("mode") in ("normal", "percent")
        if stacked:
            values = [bottom + value for bottom, value in zip(below, values, strict=True)]
        dashed = (custom.get("lineStyle") or {}).get("fill") in ("dash", "dot")
        line = charts.Line(
            values=values,
            colour=one.fixed() or PALETTE[number % len(PALETTE)],
            fill=custom.get("fillOpacity", 0) / 100,
            width=float(custom.get("lineWidth", 1.5)),
            dashed=dashed,
            below=list(below) if stacked else (),
        )
        if stacked:
            below = [bottom if math.isnan(value) else value for bottom, value in zip(below, values, strict=True)]
        drawn.append(line)
    settings = base.settings
    bounds = (settings.get(end, base.custom.get(f"axisSoft{end.title()}")) for end in ("min", "max"))
    low, high, ticks = charts.scale([value for line in drawn for value in line.values], *bounds)
    canvas = charts.Canvas(about.window, low, high)
    canvas.grid(ticks)
    for happening in about.happenings:
        canvas.span(happening.start, happening.end, happening.colour, f"{happening.kind}: {happening.title}")
    for line in drawn:
        if base.custom.get("drawStyle") == "bars":
            canvas.bars(times, line, answer.step)
        else:
            canvas.line(times, line)
    if (base.custom.get("thresholdsStyle") or {}).get("mode", "off") != "off":
        for value, colour in base.steps:
            canvas.limit(value, colour)
    for dot in answer.exemplars:
        link = trace_link(stores.grafana, dot.trace)
        canvas.dot(dot.time, dot.value, PALETTE[0], link, f"{base.text(dot.value)}, trace {dot.trace}")
    return {
        "kind": "chart",
        "chart": charts.Chart(low, high, canvas.svg(), _ys(low, high, ticks, base), charts.time_ticks(about.window)),
        **_legend(panel, [answer.series[i] for i in shown], looks, [line.colour for line in drawn]),
        "note": f"{len(rows) - MOST} smaller series are not drawn" if len(rows) > MOST else "",
    }


def _ys(low: float, high: float, ticks: Sequence[float], base: Look) -> list[tuple[float, str]]:
    plain = Look({key: value for key, value in base.settings.items() if key not in ("mappings", "decimals")}, base.zone)
    return [(100 * (tick - low) / (high - low), plain.text(tick)) for tick in ticks]


def _legend(panel: Json, series: Sequence[Series], looks: Sequence[Look], colours: Sequence[str]) -> Drawn:
    legend = panel.get("options", {}).get("legend") or {}
    calculations = legend.get("calcs") or ["lastNotNull"]
    rows = [
        (colour, one.name(line.name), [(value := reduced(line.values, how), one.text(value)) for how in calculations])
        for line, one, colour in zip(series, looks, colours, strict=True)
    ]
    return {"legend": rows, "calculations": [_CALLED.get(how, how) for how in calculations]}


def _heat(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    """A column for each step, a cell for each bucket: how many there were in it."""
    bounds = sorted(answer.series, key=lambda one: float(one.labels["le"]))
    times, rows = on_grid(bounds, answer.step)
    if not times:
        return {}
    cells = [
        [max(0.0, upper - lower) for upper, lower in zip(row, [0.0] * len(row) if i == 0 else rows[i - 1], strict=True)]
        for i, row in enumerate(rows)
    ]
    canvas = charts.Canvas(about.window, 0, len(rows))
    exponent = float((panel.get("options", {}).get("color") or {}).get("exponent", 0.5))
    canvas.cells(times, answer.step, cells, exponent)
    edges = [float(one.labels["le"]) for one in bounds]
    base = look(panel, "", zone=about.window.zone)
    for dot in answer.exemplars:
        place = _ordinal(dot.value, edges)
        link = trace_link(stores.grafana, dot.trace)
        canvas.dot(dot.time, place, "#CC79A7", link, f"{base.text(dot.value)}, trace {dot.trace}")
    every = math.ceil(len(edges) / 6)
    ys = [(100 * (i + 1) / len(edges), base.text(edge)) for i, edge in enumerate(edges) if i % every == every - 1]
    chart = charts.Chart(0, len(rows), canvas.svg(), ys, charts.time_ticks(about.window))
    most = max((cell for row in cells for cell in row if not math.isnan(cell)), default=0.0)
    return {"kind": "heat", "chart": chart, "most": most, "most_text": look({}, "").text(round(most, 1))}


def _ordinal(value: float, edges: Sequence[float]) -> float:
    """Where a value lies among buckets that are drawn equally high."""
    number = next((i for i, edge in enumerate(edges) if value <= edge), len(edges) - 1)
    lower, upper = edges[number - 1] if number else 0.0, edges[number]
    inside = (value - lower) / (upper - lower) if math.isfinite(upper) and upper > lower else 0.5
    return number + inside


def _histogram(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    """How many there are of each size: a bar for each bucket, as they are at the end of the window."""
    bounds = sorted(answer.series, key=lambda one: float(one.labels["le"]))
    base = look(panel, "", zone=about.window.zone)
    counts = [one.values[-1] for one in bounds]
    sizes = [count - before for count, before in zip(counts, [0.0, *counts], strict=False)]
    most = max(sizes, default=0.0)
    bars = [
        {"name": f"≤ {base.text(float(one.labels['le']))}", "value": size, "text": f"{size:.0f}", "colour": PALETTE[0],
         "share": 100 * size / (most or 1)} for one, size in zip(bounds, sizes, strict=True)
    ]  # fmt: skip
    return {"kind": "bars", "bars": bars} if bars else {}


def _numbers(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    """A number for each series, and its place between the ends of its scale."""
    options = panel.get("options", {})
    calculation = ((options.get("reduceOptions") or {}).get("calcs") or ["lastNotNull"])[0]
    looks = [_look(panel, one, about) for one in answer.series]
    values = [reduced(one.values, calculation) for one in answer.series]
    found = []
    for one, how, value in zip(answer.series[:MOST], looks, values, strict=False):
        low, high = how.ends(values)
        colour = how.fixed() or how.colour(value) or PALETTE[0]
        ring = [(_place(step, low, high), shade) for step, shade in how.steps if step < high]
        name = how.name(one.name) if len(answer.series) > 1 or how.settings.get("displayName") else ""
        share = 0.0 if math.isnan(value) else _place(value, low, high)
        found.append({"name": name, "value": value, "text": how.text(value), "colour": colour, "share": share,
                      "ring": ring, "ends": (how.text(low), how.text(high))})  # fmt: skip
    if all(math.isnan(value) for value in values):
        return {}
    if panel["type"] == "gauge":
        return {"kind": "dials", "numbers": found}
    if panel["type"] in ("bargauge", "piechart", "barchart"):
        return {"kind": "bars", "bars": found}
    filled = options.get("colorMode") in ("background", "background_solid")
    return {"kind": "numbers", "numbers": found, "filled": filled}


def _place(value: float, low: float, high: float) -> float:
    """Where a value lies between two ends, in percent."""
    return 100 * min(1.0, max(0.0, (value - low) / (high - low)))


def _table(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    tables = transform(answer.tables, panel.get("transformations") or ())
    table = next((one for one in tables if one.columns), None)
    if table is None:
        return {}
    looks = {name: look(panel, name, table.ref, zone=about.window.zone) for name in table.columns}
    if table.links:
        looks["Start time"] = Look({"unit": "dateTimeAsIso"}, about.window.zone)
        looks["Duration"] = Look({"unit": "ms"}, about.window.zone)
    names = [name for name in table.columns if not looks[name].custom.get("hidden")]
    rows = [[_cell(looks[name], row[name]) for name in names] for row in table.rows()[:MOST]]
    for row, link in zip(rows, table.links, strict=False):
        row[0]["href"] = link
    heads = [(looks[name].name(name), all(cell["number"] for cell in column))
             for name, column in zip(names, zip(*rows, strict=True), strict=True)]  # fmt: skip
    more = len(table.rows()) - MOST
    return {"kind": "table", "heads": heads, "rows": rows, "note": f"{more} more rows" if more > 0 else ""}


def _cell(how: Look, value: Any) -> Drawn:
    number = isinstance(value, int | float)
    cell = (how.custom.get("cellOptions") or {}).get("type", "auto")
    return {"value": value, "text": "" if value is None else how.text(value), "number": number,
            "colour": how.colour(value) if cell.startswith("color-") else "",
            "filled": cell == "color-background"}  # fmt: skip


def _logs(panel: Json, answer: Answer, about: Context, stores: Stores) -> Drawn:
    return {"kind": "logs", "lines": answer.lines, "fields": _fields} if answer.lines else {}


def _fields(line: LogLine) -> list[tuple[str, str]]:
    """What a line says beyond its event."""
    own = {"request_id": line.request_id, "trace_id": line.trace_id, **line.fields}
    return [(name, str(value)) for name, value in own.items() if value not in ("", None)]


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

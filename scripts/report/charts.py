"""Plots as SVG that stretches to its place: text, which must not stretch, stands beside it in HTML.

Matplotlib finds the ticks and the colours; a whole figure of its own would have to be drawn anew for a phone.
"""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
from markupsafe import Markup
from matplotlib import colormaps, dates, image, ticker

from scripts.report.board import Window

#: Units of the picture in both directions; it is stretched to the size of its place.
SIZE: Final = 1000
_MOST_TICKS: Final = 6
#: Has no types.
_DATES: Final[Any] = dates


@dataclass(frozen=True)
class Line:
    """What is drawn of one series: values on the chart's times, from `below` up when it is stacked."""

    values: Sequence[float]
    colour: str
    fill: float = 0.0
    width: float = 1.5
    dashed: bool = False
    below: Sequence[float] = ()


@dataclass
class Chart:
    """A picture with its scales: `low` and `high` are the values at its edges, `ys` and `xs` percent and text."""

    low: float
    high: float
    svg: Markup
    ys: list[tuple[float, str]] = field(default_factory=list)
    xs: list[tuple[float, str]] = field(default_factory=list)

    @property
    def widest(self) -> str:
        """The longest text beside the picture, which makes room for all of them."""
        return max((text for _, text in self.ys), key=len, default="")


def scale(values: Sequence[float], low: float | None, high: float | None) -> tuple[float, float, list[float]]:
    """The ends of an axis and its ticks; ends that are not given are chosen so that all values fit."""
    known = [value for value in values if math.isfinite(value)]
    least = min(known, default=0.0) if low is None else low
    most = max(known, default=1.0) if high is None else high
    if most <= least and low is None:
        least = min(0.0, least)
    if most <= least:
        most = least + (abs(least) or 1.0)
    ticks = [float(tick) for tick in ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(least, most)]
    least = min(least, ticks[0]) if low is None else least
    most = max(most, ticks[-1]) if high is None else most
    return least, most, [tick for tick in ticks if least <= tick <= most]


def time_ticks(window: Window) -> list[tuple[float, str]]:
    """Where along the window which time is written."""
    locator = _DATES.AutoDateLocator(tz=window.zone, minticks=3, maxticks=_MOST_TICKS)
    start, end = (datetime.fromtimestamp(moment, window.zone) for moment in (window.start, window.end))
    places = [float(place) for place in locator.tick_values(start, end)]
    texts = _DATES.ConciseDateFormatter(locator, tz=window.zone, show_offset=False).format_ticks(places)
    first, last = (float(_DATES.date2num(moment)) for moment in (start, end))
    shown = [(100 * (place - first) / (last - first), text) for place, text in zip(places, texts, strict=True)]
    return [(place, text) for place, text in shown if 2 <= place <= 98]


class Canvas:
    """Collects the parts of one picture."""

    def __init__(self, window: Window, low: float, high: float) -> None:
        self._window, self._low, self._high = window, low, high
        self._parts: list[str] = []

    def x(self, moment: float) -> int:
        """A time (Unix seconds) across the picture."""
        return round(SIZE * (moment - self._window.start) / self._window.seconds)

    def y(self, value: float) -> int:
        """A value down the picture; far outside, it stays near the edge."""
        share = (value - self._low) / (self._high - self._low)
        return round(SIZE * (1 - min(2.0, max(-1.0, share))))

    def grid(self, ticks: Sequence[float]) -> None:
        """Lines at the ticks."""
        self._parts.append(f'<path class="g" d="{"".join(f"M0 {self.y(tick)}h{SIZE}" for tick in ticks)}"/>')

    def limit(self, value: float, colour: str) -> None:
        """A dashed line at a threshold, if it lies in the picture."""
        if self._low <= value <= self._high:
            self._parts.append(f'<path class="t" stroke="{colour}" d="M0 {self.y(value)}h{SIZE}"/>')

    def span(self, start: float, end: float, colour: str, title: str) -> None:
        """Something that went on for a while: an alert, a fault, a deployment."""
        left, right = max(0, self.x(start)), min(SIZE, self.x(end))
        box = f'x="{left}" y="0" width="{max(2, right - left)}" height="{SIZE}" fill="{colour}"'
        self._parts.append(Markup('<rect class="s" {}><title>{}</title></rect>').format(Markup(box), title))  # noqa: S704

    def line(self, times: Sequence[float], line: Line) -> None:
        """A line, and the area below it; where a value is missing, it is interrupted."""
        below = line.below or [max(self._low, 0.0)] * len(times)
        upper, area = [], []
        for run in _runs(line.values):
            points = [(self.x(times[i]), self.y(line.values[i])) for i in run]
            upper.append(_path(points))
            area.append(_path(points + [(self.x(times[i]), self.y(below[i])) for i in reversed(run)]) + "z")
        if line.fill:
            self._parts.append(f'<path class="a" fill="{line.colour}" opacity="{line.fill:g}" d="{"".join(area)}"/>')
        if line.width:
            style = f' stroke-width="{line.width:g}"' + (' stroke-dasharray="6 4"' if line.dashed else "")
            self._parts.append(f'<path stroke="{line.colour}"{style} d="{"".join(upper)}"/>')

    def bars(self, times: Sequence[float], line: Line, step: float) -> None:
        """A bar for each value, which covers the step that ends with it."""
        below = line.below or [max(self._low, 0.0)] * len(times)
        boxes = []
        for moment, bottom, value in zip(times, below, line.values, strict=True):
            if math.isfinite(value):
                left, right = self.x(moment - 0.9 * step), self.x(moment - 0.1 * step)
                boxes.append(_path([(left, self.y(value)), (right, self.y(value)), (right, self.y(bottom)),
                                    (left, self.y(bottom))]) + "z")  # fmt: skip
        self._parts.append(
            f'<path class="a" fill="{line.colour}" opacity="{line.fill or 0.7:g}" d="{"".join(boxes)}"/>'
        )

    def dot(self, moment: float, value: float, colour: str, href: str, title: str) -> None:
        """One measurement, a link to its trace."""
        if self._low <= value <= self._high and self._window.start <= moment <= self._window.end:
            link = '<a href="{}"><path class="d" stroke="{}" d="M{} {}h0"><title>{}</title></path></a>'
            self._parts.append(Markup(link).format(href, colour, self.x(moment), self.y(value), title))  # noqa: S704

    def cells(self, times: Sequence[float], step: float, rows: Sequence[Sequence[float]], exponent: float) -> None:
        """A grid of numbers by brightness, the first row lowest; what is 0 or missing stays empty."""
        numbers = np.nan_to_num(np.array(rows, dtype=float))
        colours = colormaps["viridis"]((numbers / (numbers.max() or 1)) ** exponent, bytes=True)
        colours[numbers <= 0] = 0
        written = io.BytesIO()
        image.imsave(written, colours[::-1], format="png")
        left, right = self.x(times[0] - step), self.x(times[-1])
        data = base64.b64encode(written.getvalue()).decode()
        place = f'x="{left}" y="0" width="{right - left}" height="{SIZE}" preserveAspectRatio="none"'
        self._parts.append(f'<image {place} href="data:image/png;base64,{data}"/>')

    def svg(self) -> Markup:
        """All of it."""
        inner = "".join(self._parts)
        return Markup(f'<svg viewBox="0 0 {SIZE} {SIZE}" preserveAspectRatio="none" aria-hidden="true">{inner}</svg>')  # noqa: S704


def _runs(values: Sequence[float]) -> list[list[int]]:
    """The positions of values without a gap."""
    runs: list[list[int]] = [[]]
    for position, value in enumerate(values):
        if math.isfinite(value):
            runs[-1].append(position)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _path(points: Sequence[tuple[int, int]]) -> str:
    """A path in steps from point to point, which is half as long as one in places; points in between go."""
    kept: list[tuple[int, int]] = []
    for point in points:
        if len(kept) > 1 and kept[-1][1] == kept[-2][1] == point[1]:
            kept[-1] = point
        else:
            kept.append(point)
    (x, y), *rest = kept
    steps = []
    for to_x, to_y in rest:
        steps.append(f"{to_x - x} {to_y - y}".replace(" -", "-"))
        x, y = to_x, to_y
    return f"M{kept[0][0]} {kept[0][1]}" + ("l" + " ".join(steps) if steps else "h0")

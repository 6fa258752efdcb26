"""Plots as SVG that stretches to its place: text, which must not stretch, stands beside it in HTML.

Matplotlib finds the ticks and the colours; a whole figure of its own would have to be drawn anew for a phone.
"""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
from markupsafe import Markup
from matplotlib import colormaps, dates, image, ticker

from scripts.report.board import Window

#: Units of the picture in both directions; it is stretched to the size of its place.
SIZE: Final = 1000
_DATES: Final[Any] = dates  # has no types

Values: TypeAlias = Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Chart:
    """A picture with its scales: `low` and `high` are the values at its edges, `ys` and `xs` percent and text."""

    low: float
    high: float
    svg: Markup
    ys: Sequence[tuple[float, str]]
    xs: Sequence[tuple[float, str]]

    @property
    def widest(self) -> str:
        """The longest text beside the picture, which makes room for all of them."""
        return max((text for _, text in self.ys), key=len, default="")


def scale(values: Values, low: float | None, high: float | None, binary: bool) -> tuple[float, float, list[float]]:
    """The ends of an axis and its ticks; ends that are not given are chosen so that all values fit.

    `binary`: of bytes, whose round numbers are those of KiB, MiB and so on.
    """
    known = [float(value) for value in values if math.isfinite(value)]
    least = min(known, default=0.0) if low is None else low
    most = max(known, default=1.0) if high is None else high
    if most <= least and low is None:
        least = min(0.0, least)
    if most <= least:
        most = least + (abs(least) or 1.0)
    unit = 1024.0 ** int(math.log(max(abs(least), abs(most), 1), 1024)) if binary else 1.0
    locator = ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
    ticks = [unit * float(tick) for tick in locator.tick_values(least / unit, most / unit)]
    least = min(least, ticks[0]) if low is None else least
    most = max(most, ticks[-1]) if high is None else most
    return least, most, [tick for tick in ticks if least <= tick <= most]


def time_ticks(window: Window) -> list[tuple[float, str]]:
    """Where along the window which time is written."""
    locator = _DATES.AutoDateLocator(tz=window.zone, minticks=3, maxticks=6)
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
        box = '<rect class="s" x="{}" width="{}" height="1000" fill="{}"><title>{}</title></rect>'
        self._parts.append(Markup(box).format(left, max(2, right - left), colour, title))  # noqa: S704 (escapes)

    def line(self, times: Sequence[float], values: Values, below: Values, colour: str, fill: float) -> None:
        """A line, and the area between it and `below`; where a value is missing, it is interrupted."""
        upper, area = "", ""
        for run in _runs(values):
            points = [(self.x(times[i]), self.y(values[i])) for i in run]
            upper += _path(points)
            area += _path(points + [(self.x(times[i]), self.y(below[i])) for i in reversed(run)]) + "z"
        if fill:
            self._parts.append(f'<path class="a" fill="{colour}" opacity="{fill:g}" d="{area}"/>')
        self._parts.append(f'<path stroke="{colour}" d="{upper}"/>')

    def bars(self, times: Sequence[float], values: Values, below: Values, colour: str, step: float) -> None:
        """A bar for each value, which covers the step that ends with it."""
        boxes = ""
        for moment, bottom, value in zip(times, below, values, strict=True):
            if math.isfinite(value):
                left, width = self.x(moment - 0.9 * step), max(1, round(SIZE * 0.8 * step / self._window.seconds))
                boxes += f"M{left} {self.y(bottom)}V{self.y(value)}h{width}V{self.y(bottom)}z"
        self._parts.append(f'<path class="a" fill="{colour}" opacity="0.8" d="{boxes}"/>')

    def dot(self, moment: float, value: float, colour: str, href: str, title: str) -> None:
        """One measurement, a link to its trace."""
        if self._low <= value <= self._high and self._window.start <= moment <= self._window.end:
            link = '<a href="{}"><path class="d" stroke="{}" d="M{} {}h0"><title>{}</title></path></a>'
            self._parts.append(Markup(link).format(href, colour, self.x(moment), self.y(value), title))  # noqa: S704

    def cells(self, times: Sequence[float], step: float, rows: Values, exponent: float) -> None:
        """A grid of numbers by brightness, the first row lowest; what is 0 or missing stays empty."""
        numbers = np.nan_to_num(np.asarray(rows))
        colours = colormaps["viridis"]((numbers / (numbers.max() or 1)) ** exponent, bytes=True)
        colours[numbers <= 0] = 0
        written = io.BytesIO()
        image.imsave(written, colours[::-1], format="png")
        left, right = self.x(times[0] - step), self.x(times[-1])
        data = base64.b64encode(written.getvalue()).decode()
        place = f'x="{left}" width="{right - left}" height="{SIZE}" preserveAspectRatio="none"'
        self._parts.append(f'<image {place} href="data:image/png;base64,{data}"/>')

    def svg(self) -> Markup:
        """All of it."""
        parts = "".join(self._parts)
        return Markup(f'<svg viewBox="0 0 {SIZE} {SIZE}" preserveAspectRatio="none">{parts}</svg>')  # noqa: S704


def _runs(values: Values) -> list[list[int]]:
    """The positions of values without a gap."""
    runs: list[list[int]] = [[]]
    for position, value in enumerate(values):
        if math.isfinite(value):
            runs[-1].append(position)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _path(points: Sequence[tuple[int, int]]) -> str:
    """A path from point to point in steps, which is half as long as one in places."""
    steps = [f"{x - old_x} {y - old_y}" for (old_x, old_y), (x, y) in pairwise(points)]
    return f"M{points[0][0]} {points[0][1]}" + ("l" + " ".join(steps) if steps else "h0").replace(" -", "-")

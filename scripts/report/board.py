"""A dashboard's file, and what its variables and windows stand for in a query."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml

from monitoring import durations
from scripts.addresses import PROJECT
from scripts.report.options import OptionsError

FOLDER: Final = PROJECT / "grafana" / "dashboards"
SOURCES: Final = PROJECT / "grafana" / "provisioning" / "datasources" / "datasources.yml"
#: The shortest window of a report that does not name one (seconds): an hour is too little for what is read later.
SHORTEST: Final = 6 * 3600.0
#: Points of a panel that is as wide as the page: one for about two pixels.
POINTS: Final = 600
GRID: Final = 24
#: Grafana's own steps, in seconds.
_STEPS: Final = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_DAY: Final = 86_400
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::(?P<form>\w+))?\}|\[\[(\w+)\]\]|\$(\w+)")
#: What stands for everything in a matcher, and what Grafana calls it where a text is asked for.
EVERYTHING: Final = ".*"
_ALL: Final = "All"

Json = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """The time that is shown, in Unix seconds, and by whose clock."""

    start: float
    end: float
    zone: ZoneInfo

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


@dataclass(frozen=True)
class Board:
    """One dashboard. `own` is the range that it asks for, in seconds; `panels` in reading order, headings included."""

    uid: str
    title: str
    description: str
    own: float
    panels: Sequence[Json]
    variables: Sequence[Json]
    annotations: Sequence[Json]


def boards(wanted: str = "", folder: Path = FOLDER) -> list[Board]:
    """All dashboards, the overview first, or the one of this uid, title or file name. Raises OptionsError."""
    files = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    found = [_board(one) for stem, one in files.items() if wanted in ("", stem, one["uid"], one["title"])]
    if not found:
        known = ", ".join(sorted(one["uid"] for one in files.values()))
        raise OptionsError(f"there is no dashboard {wanted!r}; there are {known or f'none in {folder}'}")
    return sorted(found, key=lambda board: (board.uid != "sistema-overview", board.title))


def _board(plain: Json) -> Board:
    # A closed row holds its panels itself.
    panels = [one for panel in plain.get("panels", ()) for one in (panel, *panel.get("panels", ()))]
    return Board(
        uid=plain["uid"],
        title=plain["title"],
        description=plain.get("description", ""),
        own=durations.seconds(plain.get("time", {}).get("from", "now-6h").removeprefix("now-")),
        panels=sorted(panels, key=lambda panel: (panel["gridPos"]["y"], panel["gridPos"]["x"])),
        variables=plain.get("templating", {}).get("list", []),
        annotations=plain.get("annotations", {}).get("list", []),
    )


def scrape_interval(file: Path = SOURCES) -> float:
    """What the data source says of it, in seconds: $__rate_interval is made from it."""
    known = yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]
    told = next(one for one in known if one["type"] == "prometheus").get("jsonData", {}).get("timeInterval", "15s")
    return durations.seconds(told)


def step(panel: Json, window: Window, scrape: float) -> float:
    """Seconds from one point to the next: no shorter than the panel's own interval, no more points than can be seen."""
    points = max(150, POINTS * panel.get("gridPos", {}).get("w", GRID) // GRID)
    least = durations.seconds(panel.get("interval", "")) or scrape
    raw = max(least, window.seconds / points)
    days = int(-(-raw // _DAY)) * _DAY
    return raw if raw == least else float(next((one for one in _STEPS if one >= raw), days))


def windows(panel: Json, window: Window, scrape: float) -> dict[str, str]:
    """Grafana's own variables, for the queries of one panel."""
    interval = step(panel, window, scrape)
    rate = max(interval + scrape, 4 * scrape)
    return {
        "__interval": f"{interval:.0f}s",
        "__auto": f"{interval:.0f}s",
        "__interval_ms": f"{interval * 1000:.0f}",
        "__rate_interval": f"{rate:.0f}s",
        "__range": f"{window.seconds:.0f}s",
        "__range_s": f"{window.seconds:.0f}",
        "__range_ms": f"{window.seconds * 1000:.0f}",
        "__from": f"{window.start * 1000:.0f}",
        "__to": f"{window.end * 1000:.0f}",
    }


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text with its variables replaced; those without a value stay, so that whoever is asked names them."""

    def value(found: re.Match[str]) -> str:
        chosen = values.get(found[1] or found[3] or found[4], found[0])
        return _ALL if found["form"] == "text" and chosen == EVERYTHING else chosen

    return _VARIABLE.sub(value, text)


def choices(board: Board, label_values: Callable[[str], Sequence[str]]) -> dict[str, str]:
    """What each variable of a dashboard stands for: what its file chooses; where that is nothing, the first value.

    `label_values` answers a query such as `label_values(up, job)`. "All" matches everything.
    """
    values: dict[str, str] = {}
    for variable in board.variables:
        current = variable.get("current", {}).get("value", "")
        chosen = [str(one) for one in (current if isinstance(current, list) else [current]) if one != ""]
        if "$__all" in chosen:
            chosen = [variable.get("allValue") or EVERYTHING]
        elif not chosen and variable.get("type", "query") == "query":
            chosen = list(label_values(fill(str(variable.get("query", "")), values)))[:1]
        elif not chosen:
            chosen = [str(variable.get("query", "")).split(",")[0].strip()]
        values[variable["name"]] = chosen[0] if len(chosen) == 1 else f"({'|'.join(map(re.escape, chosen))})"
    return values

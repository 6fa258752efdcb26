"""How a panel wants its values shown: defaults, overrides, mappings and thresholds of its file."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final

from scripts.report.board import Json, fill
from scripts.report.units import write

#: For lines that have no colour of their own: Okabe and Ito's, which most eyes tell apart, and lighter and darker ones.
PALETTE: Final = (
    "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#B8A800", "#999999",
    "#8ECDF0", "#F2C46D", "#5CC4A5", "#E3AFCA",
)  # fmt: skip
#: Grafana's names of colours; all others are CSS colours.
NAMES: Final = {
    "green": "#009E73", "red": "#D55E00", "yellow": "#F0C000", "orange": "#E69F00", "blue": "#56B4E9",
    "purple": "#CC79A7", "text": "currentColor", "transparent": "transparent",
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """The settings of one series or column."""

    settings: Json
    zone: tzinfo | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def custom(self) -> Json:
        """What only its kind of panel knows."""
        return dict(self.settings.get("custom") or {})

    def name(self, name: str) -> str:
        """What the series is called."""
        display = str(self.settings.get("displayName") or "")
        return fill(display.replace("__field.labels.", ""), {**self.labels, "__series": name}) or name

    def text(self, value: Any) -> str:
        """A value in words or with its unit."""
        mapped = self._mapped(value).get("text")
        return str(mapped) if mapped else write(value, self.settings.get("unit", ""), self._decimals, self.zone)

    def colour(self, value: Any) -> str:
        """The colour of a value: its mapping's, or its threshold's; empty where there is neither."""
        mapped = self._mapped(value).get("color")
        return css(mapped) if mapped else self._threshold(value)

    def fixed(self) -> str:
        """The colour that it was given; empty where it was not."""
        colour = self.settings.get("color") or {}
        return css(colour["fixedColor"]) if colour.get("mode") == "fixed" else ""

    @property
    def steps(self) -> list[tuple[float, str]]:
        """Thresholds: from which value (-inf for the base) which colour."""
        found = (self.settings.get("thresholds") or {}).get("steps") or ()
        return [(-math.inf if one.get("value") is None else float(one["value"]), css(one["color"])) for one in found]

    def ends(self, values: Sequence[float]) -> tuple[float, float]:
        """The least and the largest value of its scale: its own, else those of the values and thresholds."""
        known = [value for value in values if math.isfinite(value)]
        low, high = self.settings.get("min"), self.settings.get("max")
        lowest = min([0.0, *known]) if low is None else float(low)
        highest = max([*known, *(step for step, _ in self.steps)], default=1.0) if high is None else float(high)
        return lowest, highest if highest > lowest else lowest + 1

    @property
    def _decimals(self) -> int | None:
        found = self.settings.get("decimals")
        return None if found is None else int(found)

    def _threshold(self, value: Any) -> str:
        if not isinstance(value, int | float) or math.isnan(value):
            return ""
        return next((colour for start, colour in reversed(self.steps) if value >= start), "")

    def _mapped(self, value: Any) -> Json:
        for mapping in self.settings.get("mappings") or ():
            options = mapping.get("options", {})
            if mapping["type"] == "value" and _key(value) in options:
                return dict(options[_key(value)])
            if mapping["type"] == "range" and isinstance(value, int | float):
                low, high = (options.get(end) for end in ("from", "to"))
                if (low is None or value >= low) and (high is None or value <= high):
                    return dict(options["result"])
            if mapping["type"] == "regex" and re.search(options["pattern"].strip("/"), str(value)):
                return dict(options["result"])
            if mapping["type"] == "special" and _special(value, options["match"]):
                return dict(options["result"])
        return {}


def look(panel: Json, name: str, ref: str = "", labels: Mapping[str, str] | None = None, **known: Any) -> Look:
    """The settings of a series or column of this name, which the query `ref` gave; later overrides win."""
    config = panel.get("fieldConfig") or {}
    settings: Json = dict(config.get("defaults") or {})
    for override in config.get("overrides") or ():
        if _matches(override["matcher"], name, ref):
            for one in override.get("properties", ()):
                _put(settings, one["id"].split("."), one.get("value"))
    return Look(settings, labels=labels or {}, **known)


def css(colour: str) -> str:
    """One of Grafana's colours for a style sheet; shades such as `dark-red` are the plain colour."""
    return NAMES.get(re.sub(r"^((super|semi)-)?(dark|light)-", "", colour), colour)


def _matches(matcher: Json, name: str, ref: str) -> bool:
    wanted = matcher.get("options")
    match matcher["id"]:
        case "byName":
            return bool(wanted == name)
        case "byRegexp":
            return re.search(str(wanted).strip("/"), name) is not None
        case "byFrameRefID":
            return bool(wanted == ref)
    return False


def _put(settings: Json, path: Sequence[str], value: Any) -> None:
    *folders, last = path
    for folder in folders:
        settings[folder] = dict(settings.get(folder) or {})
        settings = settings[folder]
    settings[last] = value


def _key(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _special(value: Any, wanted: str) -> bool:
    nothing, nan = value is None, isinstance(value, float) and math.isnan(value)
    return bool({"null": nothing, "nan": nan, "null+nan": nothing or nan, "empty": value == ""}.get(wanted))

"""How a panel wants its values shown: defaults, overrides, mappings and thresholds of its file."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

from scripts.find.model import SourceError
from scripts.report.board import Json
from scripts.report.units import write

#: For lines that have no colour of their own: Okabe and Ito's, which most eyes tell apart, and lighter ones.
PALETTE: Final = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#B8A800", "#999999", "#8B6CC7")


@dataclass(frozen=True)
class Look:
    """The settings of one series or column."""

    settings: Json
    zone: tzinfo | None = None

    @property
    def custom(self) -> Json:
        """What only its kind of panel knows."""
        return dict(self.settings.get("custom") or {})

    def option(self, name: str, key: str) -> str:
        """One of these: `stacking` and its `mode`; empty where there is none."""
        return str((self.custom.get(name) or {}).get(key, ""))

    def text(self, value: Any) -> str:
        """A value in words or with its unit."""
        known = self.settings
        return self._mapped(value).get("text") or write(value, known.get("unit", ""), known.get("decimals"), self.zone)

    def colour(self, value: Any) -> str:
        """The colour of a value: its mapping's, or its threshold's; empty where there is neither."""
        if colour := self._mapped(value).get("color"):
            return str(colour)
        if not isinstance(value, int | float) or math.isnan(value):
            return ""
        return next((colour for start, colour in reversed(self.steps) if value >= start), "")

    @property
    def fixed(self) -> str:
        """The colour that it was given; empty where it was not."""
        return str((self.settings.get("color") or {}).get("fixedColor", ""))

    @property
    def steps(self) -> list[tuple[float, str]]:
        """Thresholds: from which value (-inf for the base) which colour."""
        found = (self.settings.get("thresholds") or {}).get("steps") or ()
        return [(-math.inf if one.get("value") is None else float(one["value"]), one["color"]) for one in found]

    def ends(self, values: Sequence[float]) -> tuple[float, float]:
        """The least and the largest value of its scale: its own, else those of the values and thresholds."""
        known = [0.0, *(value for value in [*values, *(step for step, _ in self.steps)] if math.isfinite(value))]
        low, high = self.settings.get("min"), self.settings.get("max")
        lowest = min(known) if low is None else float(low)
        highest = max(known) if high is None else float(high)
        return lowest, highest if highest > lowest else lowest + 1

    def _mapped(self, value: Any) -> Json:
        for mapping in self.settings.get("mappings") or ():
            if mapping["type"] != "value":
                raise SourceError(f"mappings of the kind {mapping['type']!r} are not known to this report")
            key = f"{value:g}" if isinstance(value, int | float) else str(value)
            if key in mapping["options"]:
                return dict(mapping["options"][key])
        return {}


def look(panel: Json, name: str, zone: tzinfo | None = None) -> Look:
    """The settings of a series or column of this name; later overrides win. Raises SourceError for unknown ones."""
    config = panel.get("fieldConfig") or {}
    settings: Json = {**(config.get("defaults") or {})}
    settings["custom"] = dict(settings.get("custom") or {})
    for override in config.get("overrides") or ():
        if override["matcher"]["id"] != "byName":
            raise SourceError(f"overrides {override['matcher']['id']!r} are not known to this report")
        if override["matcher"]["options"] == name:
            for one in override["properties"]:
                place, _, key = one["id"].rpartition(".")
                (settings["custom"] if place == "custom" else settings)[key] = one.get("value")
    return Look(settings, zone)

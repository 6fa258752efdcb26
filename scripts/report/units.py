"""Values as Grafana writes them: its units, its decimals."""

import math
from datetime import datetime, tzinfo
from typing import Any, Final

_TIME: Final = (
    (31_536_000, " years"),
    (604_800, " weeks"),
    (86_400, " days"),
    (3600, " hours"),
    (60, " min"),
    (1, " s"),
)
#: What a value is divided by, from the largest, and what stands behind it then.
_SCALES: Final[dict[str, tuple[tuple[float, str], ...]]] = {
    "none": ((1, ""),),
    "short": ((1e12, " Tri"), (1e9, " Bil"), (1e6, " Mil"), (1e3, " K"), (1, "")),
    "currencyUSD": ((1e9, "B"), (1e6, "M"), (1e3, "K"), (1, "")),
    "percent": ((1, "%"),),
    "percentunit": ((0.01, "%"),),
    "bytes": ((2.0**40, " TiB"), (2.0**30, " GiB"), (2.0**20, " MiB"), (2.0**10, " KiB"), (1, " B")),
    "reqps": ((1e6, "M req/s"), (1e3, "K req/s"), (1, " req/s")),
    "s": (*_TIME, (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns")),
    "ms": ((6e4, " min"), (1e3, " s"), (1, " ms"), (1e-3, " µs")),
}


def write(value: Any, unit: str = "", decimals: int | None = None, zone: tzinfo | None = None) -> str:
    """A value with its unit. Text stays as it is; what is no number is a dash."""
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return "–"  # noqa: RUF001
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit == "dateTimeAsIso":
        return f"{datetime.fromtimestamp(value / 1000, zone):%Y-%m-%d %H:%M:%S}"
    scale = _SCALES.get(unit or "none") or ((1, " " + unit.removeprefix("suffix:")),)
    size, suffix = next((one for one in scale if abs(value) >= one[0]), scale[-1])
    if value == 0:  # in the unit itself, not in its smallest part
        size, suffix = next((one for one in scale if one[0] == 1), scale[-1])
    number = _number(abs(value) / size, decimals)
    if number == "1":
        suffix = suffix.removesuffix("s") if suffix in (one[1] for one in _TIME[:4]) else suffix
    return ("-" if value < 0 else "") + ("$" if unit == "currencyUSD" else "") + number + suffix


def _number(value: float, decimals: int | None) -> str:
    """With three digits that say something, unless it is told how many decimals there are."""
    if decimals is not None:
        return f"{value:.{decimals}f}"
    places = min(9, max(0, 2 - math.floor(math.log10(value)))) if value else 0
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

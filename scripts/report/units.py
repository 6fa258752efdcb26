"""Values as Grafana writes them: its units, its decimals."""

import math
from datetime import datetime, tzinfo
from typing import Any, Final

_Scale = tuple[tuple[float, str], ...]

_SHORT: Final[_Scale] = ((1e12, " Tri"), (1e9, " Bil"), (1e6, " Mil"), (1e3, " K"), (1, ""))
_MONEY: Final[_Scale] = ((1e9, "B"), (1e6, "M"), (1e3, "K"), (1, ""))
_TIME: Final[_Scale] = (
    (31_536_000, " years"),
    (604_800, " weeks"),
    (86_400, " days"),
    (3600, " hours"),
    (60, " min"),
    (1, " s"),
    (1e-3, " ms"),
    (1e-6, " µs"),
    (1e-9, " ns"),
)


def _binary(name: str) -> _Scale:
    return (*((1024.0**power, f" {letter}i{name}") for power, letter in ((4, "T"), (3, "G"), (2, "M"), (1, "K"))),
            (1, f" {name}"))  # fmt: skip


def _decimal(name: str) -> _Scale:
    return (1e12, f" T{name}"), (1e9, f" G{name}"), (1e6, f" M{name}"), (1e3, f" k{name}"), (1, f" {name}")


_SCALES: Final[dict[str, _Scale]] = {
    "none": ((1, ""),),
    "short": _SHORT,
    "percent": ((1, "%"),),
    "percentunit": ((0.01, "%"),),
    "bytes": _binary("B"),
    "decbytes": _decimal("B"),
    "binBps": _binary("B/s"),
    "Bps": _decimal("B/s"),
    "reqps": ((1e6, "M req/s"), (1e3, "K req/s"), (1, " req/s")),
    "ops": ((1e6, "M ops/s"), (1e3, "K ops/s"), (1, " ops/s")),
    "s": _TIME,
    "ms": tuple((size * 1e3, name) for size, name in _TIME),
    "d": tuple((size / 86_400, name) for size, name in _TIME),
}


def write(value: Any, unit: str = "", decimals: int | None = None, zone: tzinfo | None = None) -> str:
    """A value with its unit. Text stays as it is; what is no number is a dash."""
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return "–"  # noqa: RUF001
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit.startswith("dateTime"):
        return f"{datetime.fromtimestamp(value / 1000, zone):%Y-%m-%d %H:%M:%S}"
    if unit == "currencyUSD":
        size, suffix = _fitting(value, _MONEY)
        return ("-" if value < 0 else "") + "$" + _number(abs(value) / size, decimals) + suffix
    if unit.startswith("suffix:"):
        return f"{_number(value, decimals)} {unit.removeprefix('suffix:')}"
    scale = _SCALES.get(unit or "none")
    if scale is None:
        return f"{_number(value, decimals)} {unit}"
    size, suffix = _fitting(value, scale)
    number = _number(value / size, decimals)
    return number + (suffix[:-1] if number == "1" and suffix.endswith(("hours", "days", "weeks", "years")) else suffix)


def is_known(unit: str) -> bool:
    """Whether values of a unit are written as Grafana does, rather than with the unit's name behind."""
    return unit in _SCALES or unit in ("", "currencyUSD") or unit.startswith(("suffix:", "dateTime"))


def _fitting(value: float, scale: _Scale) -> tuple[float, str]:
    whole = next((step for step in scale if step[0] == 1), scale[-1])
    return whole if value == 0 else next((step for step in scale if abs(value) >= step[0]), scale[-1])


def _number(value: float, decimals: int | None) -> str:
    """With three digits that say something, unless it is told how many decimals there are."""
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(places, 9)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

"""Durations as Prometheus writes them."""

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def seconds(duration: str) -> float:
    """The length of a duration such as `1h30m` or `250ms`; empty is none. Raises ValueError for anything else."""
    if not re.fullmatch(r"(\d+(ms|[smhdw]))*", duration):
        raise ValueError(f"{duration!r} is no duration: write it like 90s or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdw])", duration))

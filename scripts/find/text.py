"""Times, durations and values as people read them."""

import json
import re
from datetime import datetime
from typing import Any

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def when(seconds: float) -> str:
    """A time (Unix seconds) by this machine's clock, to the millisecond."""
    local = datetime.fromtimestamp(seconds).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d} {local:%z}"


def duration(seconds: float) -> str:
    """A duration with three digits, in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}" if abs(seconds) < 1000 else f"{seconds:.0f} s"
    return f"{seconds / 1e-6:.0f} µs"


def offset(seconds: float) -> str:
    """A time after the beginning of the story."""
    return f"{seconds * 1000:+,.1f} ms"


def clean(text: str) -> str:
    """Control characters as escapes: nothing that was logged may steer the terminal."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def value(thing: Any) -> str:
    """A field's value on one line."""
    return clean(thing if isinstance(thing, str) else json.dumps(thing, ensure_ascii=False))

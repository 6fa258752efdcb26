"""What is looked for: the variables ID, SINCE and ERRORS."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

USAGE = "make find ID=a-request-id-or-trace-id [SINCE=2d]   or   make find ERRORS=1 [SINCE=15m]"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: How far back ERRORS=1 looks unless SINCE says otherwise (seconds).
ERRORS_SINCE = 900.0


class OptionsError(ValueError):
    """Nonsense was asked; the message says what, and what can be asked."""


@dataclass(frozen=True)
class Options:
    """One question. `since` in seconds before now, None for as far as the data reaches; `identity` "" for errors."""

    identity: str
    since: float | None


def parse(environment: Mapping[str, str]) -> Options:
    """Reads the variables. Raises OptionsError."""
    identity = environment.get("ID", "").strip()
    errors = environment.get("ERRORS", "").strip()
    if errors not in ("", "0", "1"):
        raise OptionsError(f"ERRORS={errors!r} is neither 1 nor 0: {USAGE}")
    since = _since(environment.get("SINCE", "").strip())
    if errors == "1":
        if identity:
            raise OptionsError(f"ID and ERRORS=1 are two questions, ask one at a time: {USAGE}")
        return Options("", since or ERRORS_SINCE)
    if not identity:
        raise OptionsError(f"which request? {USAGE}")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", identity):
        raise OptionsError(
            f"ID={identity!r} is no request id (1 to 128 of the characters A-Z a-z 0-9 . _ -) "
            "and no trace id (32 hexadecimal digits)"
        )
    return Options(identity, since)


def _since(text: str) -> float | None:
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not found or not int(found[1]):
        raise OptionsError(f"SINCE={text!r} is no time: write a number and s, m, h or d, such as 90s, 15m, 2h or 7d")
    return float(int(found[1]) * _UNITS[found[2]])

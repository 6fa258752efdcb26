"""What is asked for: the variables DASHBOARD, FROM, TO, SINCE and FORMAT."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from monitoring import durations
from scripts.addresses import setting

USAGE = (
    "make report [DASHBOARD=ai-chat-analytics] [SINCE=7d | FROM='2026-11-20 08:00' [TO=2026-11-21]] [FORMAT=html|pdf]"
)


class OptionsError(ValueError):
    """Nonsense was asked; the message says what, and what can be asked."""


@dataclass(frozen=True)
class Options:
    """One report. `since` in seconds before `end` (Unix seconds), None for each dashboard's own range."""

    dashboard: str
    since: float | None
    end: float
    pdf: bool


def time_zone() -> ZoneInfo:
    """The dashboards' TIMEZONE. Raises OptionsError for one that is not known here."""
    name = setting("TIMEZONE") or "Europe/Rome"
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise OptionsError(f"TIMEZONE={name!r} is no time zone that this machine knows, such as Europe/Rome") from None


def duration(text: str) -> float:
    """The seconds of a SINCE. Raises OptionsError."""
    try:
        found = durations.seconds(text)
    except ValueError:
        found = 0
    if not found:
        raise OptionsError(f"SINCE={text!r} is no time: write it like 90m, 6h or 7d")
    return found


def parse(environment: Mapping[str, str], now: float, zone: ZoneInfo) -> Options:
    """Reads the variables. Raises OptionsError."""
    given = {name: environment.get(name, "").strip() for name in ("DASHBOARD", "FROM", "TO", "SINCE", "FORMAT")}
    if given["FORMAT"] not in ("", "html", "pdf"):
        raise OptionsError(f"FORMAT={given['FORMAT']!r} is neither html nor pdf: {USAGE}")
    if given["FROM"] and given["SINCE"]:
        raise OptionsError(f"FROM and SINCE both say where to begin, give one of them: {USAGE}")
    end = min(_moment("TO", given["TO"], zone), now) if given["TO"] else now
    since = duration(given["SINCE"]) if given["SINCE"] else None
    if given["FROM"]:
        since = end - _moment("FROM", given["FROM"], zone)
        if since <= 0:
            raise OptionsError(f"FROM={given['FROM']!r} is not before {'TO' if given['TO'] else 'now'}: {USAGE}")
    return Options(given["DASHBOARD"], since, end, given["FORMAT"] == "pdf")


def _moment(name: str, text: str, zone: ZoneInfo) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise OptionsError(f"{name}={text!r} is no time: write it like 2026-11-20 or '2026-11-20 08:00'") from None
    return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()

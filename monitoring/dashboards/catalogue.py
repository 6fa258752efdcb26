"""Which dashboards there are, and whether their committed files are current."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from monitoring.dashboards import (
    ai_chat_analytics,
    api_performance,
    capacity,
    errors,
    logs_traces,
    slo,
    stack_health,
    system_overview,
    usage,
)

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "grafana" / "dashboards"
PROVISIONING: Final = ROOT / "grafana" / "provisioning"

BUILDERS: Final[dict[str, Callable[[], str]]] = {
    "system-overview.json": system_overview.build,
    "ai-chat-analytics.json": ai_chat_analytics.build,
    "api-performance.json": api_performance.build,
    "errors.json": errors.build,
    "usage.json": usage.build,
    "slo.json": slo.build,
    "capacity.json": capacity.build,
    "logs-traces.json": logs_traces.build,
    "stack-health.json": stack_health.build,
}

_SHOWN_DIFFERENCES: Final = 5


def made() -> dict[str, str]:
    """The text of every dashboard's file, by file name."""
    return {name: build() for name, build in BUILDERS.items()}


def write(folder: Path = FOLDER) -> list[str]:
    """Writes what differs and removes what no code makes. Returns a line for each file that it touched."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    texts = made()
    for name, text in texts.items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            lines.append(f"wrote {name}")
    for name in _strangers(folder, texts):
        (folder / name).unlink()
        lines.append(f"removed {name}: no code makes it")
    return lines


def differences(folder: Path = FOLDER) -> list[str]:
    """How the files differ from what the code makes: a line each, empty when they are current."""
    lines = []
    texts = made()
    for name, text in texts.items():
        file = folder / name
        if not file.exists():
            lines.append(f"{name}: missing")
        elif (committed := file.read_text(encoding="utf-8")) != text:
            lines += [f"{name}: {line}" for line in _compare_texts(committed, text)]
    lines += [f"{name}: no code makes it" for name in _strangers(folder, texts)]
    return lines


def _strangers(folder: Path, texts: dict[str, str]) -> list[str]:
    return sorted(file.name for file in folder.glob("*.json") if file.name not in texts)


def _compare_texts(committed: str, text: str) -> list[str]:
    try:
        found = list(_compare(json.loads(committed), json.loads(text), ""))
    except json.JSONDecodeError as error:
        return [f"is not JSON: {error}"]
    if not found:
        return ["same content, written differently"]
    more = len(found) - _SHOWN_DIFFERENCES
    return found[:_SHOWN_DIFFERENCES] + ([f"and {more} more differences"] if more > 0 else [])


def _compare(committed: Any, current: Any, where: str) -> Iterator[str]:
    if isinstance(committed, dict) and isinstance(current, dict):
        for key in sorted(committed.keys() | current.keys()):
            path = f"{where}.{key}" if where else key
            if key not in committed:
                yield f"{path} is missing in the file"
            elif key not in current:
                yield f"{path} is only in the file"
            else:
                yield from _compare(committed[key], current[key], path)
    elif isinstance(committed, list) and isinstance(current, list) and len(committed) == len(current):
        for index, (left, right) in enumerate(zip(committed, current, strict=True)):
            yield from _compare(left, right, f"{where}[{index}]")
    elif committed != current:
        yield f"{where} is {_short(committed)} in the file and {_short(current)} in the code"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "..."

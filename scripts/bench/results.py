"""Figures beside their targets, and the file that keeps them with all that they depend on."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

#: Whose versions a figure depends on.
PACKAGES = (
    "fastapi",
    "starlette",
    "uvicorn",
    "prometheus-client",
    "structlog",
    "orjson",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-instrumentation-fastapi",
    "prometheus-fastapi-instrumentator",
    "starlette-exporter",
)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and the most that it may be; without a limit it is there to be read."""

    name: str
    value: float
    limit: float | None
    unit: str

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.limit is None or self.value <= self.limit


def show_targets(console: Console, targets: list[Target]) -> bool:
    """Prints each figure beside its target. True when every one is met."""
    table = Table(title="Targets", title_justify="left")
    for heading in ("figure", "measured", "at most", ""):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for target in targets:
        verdict = "" if target.limit is None else "[green]pass[/]" if target.met else "[red]MISSED[/]"
        limit = "" if target.limit is None else f"{target.limit:g} {target.unit}"
        table.add_row(target.name, f"{target.value:.3g} {target.unit}", limit, verdict)
    console.print(table)
    return all(target.met for target in targets)


def surroundings() -> dict[str, Any]:
    """When and on what it was measured."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release()}",
        "packages": {name: _version(name) for name in PACKAGES},
    }


def write(path: Path, data: dict[str, Any], targets: list[Target]) -> dict[str, Any]:
    """Writes the figures, their targets and their surroundings as JSON; returns what it wrote."""
    whole = {**surroundings(), **data, "targets": [{**asdict(target), "met": target.met} for target in targets]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return whole


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

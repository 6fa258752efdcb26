"""What the tests of the dashboards look at: the committed files, and what there is to ask for."""

import json
from typing import Any

from monitoring import rules
from monitoring.dashboards import catalogue, exposition, lint
from tests.config.alerting.lint import expositions, of_records

OVERVIEW, AI = "system-overview.json", "ai-chat-analytics.json"
SOURCES = lint.provisioned(catalogue.PROVISIONING / "datasources")


def exported() -> exposition.Exposition:
    """What the parts of the stack, Prometheus itself and the recording rules give to ask for."""
    found: dict[str, exposition.Series] = {**of_records(rules.read()), **exposition.FROM_TEMPO}
    for part in expositions().values():
        for name, series in part.items():
            labels = series.labels | (found[name].labels if name in found else frozenset())
            found[name] = exposition.Series(series.kind, labels)
    return found


EXPORTED = exported()


def committed() -> dict[str, Any]:
    """Every dashboard's file, read anew."""
    files = sorted(catalogue.FOLDER.glob("*.json"))
    return {file.name: json.loads(file.read_text(encoding="utf-8")) for file in files}


def panel(board: Any, title: str) -> Any:
    """A panel by its title."""
    return next(panel for panel in board["panels"] if panel["title"] == title)


def everything(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every part of a file with its path."""
    found = [(path, value)]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += everything(inner, f"{path}.{key}" if path else key)
    if isinstance(value, list):
        for index, inner in enumerate(value):
            found += everything(inner, f"{path}[{index}]")
    return found

"""Rules that every dashboard keeps. `lint` returns what is wrong, and an empty list when all is well."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import yaml

from monitoring.dashboards.exposition import Exposition
from monitoring.dashboards.limits import PALETTE
from monitoring.dashboards.links import LOKI, PROMETHEUS, TEMPO
from monitoring.dashboards.lint_query import Fault, lint_lines, lint_query, lint_traces

GRID_COLUMNS: Final = 24
SHORTEST_DESCRIPTION: Final = 40
#: Of Grafana's units those that are in use: it shows what it does not know as a word behind the number.
UNITS: Final = frozenset(
    {"none", "short", "percent", "percentunit", "s", "ms", "d", "bytes", "decbytes", "Bps", "binBps", "reqps", "ops"}
    | {"currencyUSD", "dateTimeAsIso"}
)
_LABEL_VALUES: Final = re.compile(r"^label_values\((?P<selector>.+),\s*(?P<label>\w+)\)$")
_COLOUR: Final = re.compile(r"(?:^|\.)(?:color|fixedColor|iconColor)$")
_VARIABLE: Final = re.compile(r"\$\{?([A-Za-z_]\w*)")
_BUILT_IN: Final = (
    *("__from", "__to", "__url_time_range", "__all_variables"),
    *("__range", "__interval", "__interval_ms", "__rate_interval"),
)


@dataclass(frozen=True)
class Finding:
    """A rule that is broken: where, and what to do. Names are dashboard-linter's where it has the rule."""

    rule: str
    dashboard: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.where}: {self.message} [{self.rule}]"


def provisioned(folder: Path) -> dict[str, str]:
    """Uid and type of every data source that Grafana is given."""
    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.yml"))]
    return {source["uid"]: source["type"] for file in files for source in file.get("datasources", [])}


def lint_provisioning(folder: Path) -> list[Finding]:
    """Data sources that point at each other point at ones that there are."""
    sources = provisioned(folder)
    findings = []
    for file in sorted(folder.glob("*.yml")):
        for path, value in _walk(yaml.safe_load(file.read_text(encoding="utf-8")), ""):
            if path.endswith(".datasourceUid") and value not in sources:
                message = f"no data source has the uid {value!r}: there are {', '.join(sources)}"
                findings.append(Finding("panel-datasource-rule", file.name, path, message))
    return findings


def lint(dashboards: Mapping[str, Any], exposition: Exposition, sources: Mapping[str, str]) -> list[Finding]:
    """What is wrong with these dashboards (by file name), given what is exported and which sources there are."""
    uids = {str(board.get("uid")) for board in dashboards.values()}
    findings = []
    for name, board in dashboards.items():
        for rule, where, message in _lint_board(board, exposition, sources, uids):
            findings.append(Finding(rule, name, where, message))
    if len(uids) < len(dashboards):
        findings.append(Finding("dashboard-uid", ", ".join(dashboards), "uid", "two dashboards share a uid"))
    return findings


_Finding = tuple[str, str, str]


def _lint_board(board: Any, exposition: Exposition, sources: Mapping[str, str], uids: set[str]) -> Iterator[_Finding]:
    if board.get("id") is not None or not board.get("uid"):
        yield "dashboard-uid", "uid", "needs a uid of its own and the id null, which Grafana gives"
    if "__inputs" in board:
        yield "dashboard-inputs", "__inputs", "a provisioned file is never asked for inputs: name the uids"
    for path, value in _walk(board, ""):
        if path.endswith("datasource.uid") and value not in sources:
            yield "panel-datasource-rule", path, f"no data source has the uid {value!r}: there are {', '.join(sources)}"
        if _COLOUR.search(path) and value not in PALETTE:
            yield (
                "panel-colours",
                path,
                f"{value} is none of the colours in limits.py, which colour-blind people tell apart",
            )
    yield from _lint_links(board, sources, uids)
    yield from _lint_variables(board, exposition)
    for annotation in board.get("annotations", {}).get("list", []):
        told = lint_query(annotation["expr"], exposition, legend=annotation["titleFormat"], replicas=False)
        for rule, message in told:
            yield rule, f"annotation {annotation['name']}", message
    choosers = {variable["name"] for variable in board.get("templating", {}).get("list", [])}
    yield from _lint_grid(board.get("panels", []))
    for panel in board.get("panels", []):
        faults = _lint_heading(panel) if panel["type"] == "row" else _lint_panel(panel, exposition, choosers)
        for rule, message in faults:
            yield rule, f"panel {panel.get('title') or panel.get('id')}", message


def _lint_heading(row: Any) -> Iterator[Fault]:
    if not row.get("title"):
        yield "row-title", "a heading needs words"
    if row.get("collapsed") or row.get("panels"):
        yield "row-open", "a heading that hides panels hides what is wrong with them: leave it open"


def _lint_panel(panel: Any, exposition: Exposition, choosers: set[str]) -> Iterator[Fault]:
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    if not panel.get("title") or len(panel.get("description") or "") < SHORTEST_DESCRIPTION:
        yield "panel-title-description-rule", "needs a title, and a description of how to read it"
    if not defaults.get("unit"):
        yield "panel-units-rule", "needs a unit; a plain number's is none"
    for path, unit in _units(panel.get("fieldConfig", {})):
        if unit not in UNITS and not unit.startswith("suffix:"):
            yield "panel-units-rule", f"{path} is {unit}, which is none of {', '.join(sorted(UNITS))} nor suffix:…"
    if not defaults.get("thresholds", {}).get("steps"):
        yield "panel-thresholds", "needs thresholds, if only a base colour: Grafana's own turn red at 80"
    if not defaults.get("noValue"):
        yield "panel-no-value", "needs a text for when there is no data"
    if panel["type"] == "timeseries" and 0 in _decimals(panel.get("fieldConfig", {})):
        # Grafana blanks the ticks in between, as values that are not there: it writes noValue at each of them.
        yield "panel-axis-decimals", "with 0 decimals its axis says what stands for no data: leave decimals to Grafana"
    if not panel.get("links"):
        yield "panel-links", "needs a link onwards"
    targets = panel.get("targets", [])
    if not targets:
        yield "panel-no-targets-rule", "asks nothing"
    for target in targets:
        for rule, message in _lint_target(target, exposition, choosers, panel.get("interval", "")):
            yield rule, f"query {target.get('refId')}: {message}"


def _units(config: Any) -> Iterator[tuple[str, str]]:
    if unit := config.get("defaults", {}).get("unit"):
        yield "the unit", unit
    for override in config.get("overrides", []):
        for given in override["properties"]:
            if given["id"] == "unit":
                yield f"the unit of {override['matcher']['options']}", given["value"]


def _decimals(config: Any) -> Iterator[Any]:
    yield config.get("defaults", {}).get("decimals")
    for override in config.get("overrides", []):
        yield from (given["value"] for given in override["properties"] if given["id"] == "decimals")


def _lint_target(target: Any, exposition: Exposition, choosers: set[str], step: str) -> list[Fault]:
    source = target["datasource"]["uid"]
    if source == PROMETHEUS:
        return lint_query(
            target["expr"],
            exposition,
            legend=target.get("legendFormat", ""),
            instant=target.get("instant", False),
            replicas="instance" in choosers,
            step=step,
        )
    if source == LOKI:
        instant = target.get("queryType") == "instant"
        return list(lint_lines(target["expr"], environments="environment" in choosers, step=step, instant=instant))
    return list(lint_traces(target["query"])) if source == TEMPO else []  # unknown ones are told of elsewhere


def _lint_grid(panels: list[Any]) -> Iterator[_Finding]:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        where, title = panel["gridPos"], f"{panel.get('title')}"
        if where["x"] + where["w"] > GRID_COLUMNS:
            yield "grid", f"panel {title}", f"reaches beyond the grid's {GRID_COLUMNS} columns"
        cells = [
            (x, y)
            for x in range(where["x"], where["x"] + where["w"])
            for y in range(where["y"], where["y"] + where["h"])
        ]
        covered = sorted({taken[cell] for cell in cells if cell in taken})
        if covered:
            yield "grid", f"panel {title}", f"lies over {', '.join(covered)}"
        taken.update(dict.fromkeys(cells, title))
    ids = [panel.get("id") for panel in panels]
    if len(set(ids)) < len(ids) or None in ids:
        yield "panel-id", "panels", "each needs an id of its own: links to a panel name it"


def _lint_variables(board: Any, exposition: Exposition) -> Iterator[_Finding]:
    variables = board.get("templating", {}).get("list", [])
    known = {variable["name"] for variable in variables} | set(_BUILT_IN)
    for path, value in _walk({key: value for key, value in board.items() if key != "id"}, ""):
        for name in _VARIABLE.findall(value) if isinstance(value, str) and value != "$__all" else ():
            if name not in known:
                yield "template-exists", path, f"uses ${name}, which is no variable of this dashboard"
    for variable in variables:
        where = f"variable {variable['name']}"
        if variable["type"] == "textbox":
            continue
        if variable.get("refresh") != 2:
            yield "template-on-time-change-reload-rule", where, "has to be read anew when the time changes"
        found = _LABEL_VALUES.match(variable["query"])
        if found is None:
            yield "template-label-promql-rule", where, f"is not label_values(…, …): {variable['query']}"
            continue
        # A variable lists labels, so that the rules on what may be done with a counter do not apply.
        selector = f"sum by ({found['label']}) (rate({found['selector']}[$__rate_interval]))"
        for rule, message in lint_query(selector, exposition, replicas=False):
            if rule not in ("gauge-rate", "shared-gauge-max"):
                yield rule, where, message


def _lint_links(board: Any, sources: Mapping[str, str], uids: set[str]) -> Iterator[_Finding]:
    for path, url in _walk(board, ""):
        if not path.endswith(".url"):
            continue
        if url.startswith("/d/"):
            uid = re.split(r"[/?]", url.removeprefix("/d/"))[0]
            if uid not in uids:
                yield "link-target", path, f"no dashboard has the uid {uid!r}"
        elif url.startswith("/explore?left="):
            yield from _lint_explore(path, url.removeprefix("/explore?left="), sources)


def _lint_explore(path: str, encoded: str, sources: Mapping[str, str]) -> Iterator[_Finding]:
    try:
        state = json.loads(unquote(encoded))
        uid, queries = state["datasource"], state["queries"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        yield "link-target", path, f"Explore cannot read this link: {error}"
        return
    if uid not in sources or any(query["datasource"]["uid"] != uid for query in queries):
        yield "link-target", path, f"leads to the data source {uid!r}, of which there is none"


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{index}]")
    else:
        yield path, value

"""What a person is told at the end: what runs and where, what does not, why, and how to get it."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from scripts.local.plan import Plan
from scripts.local.report import Report

_LAST_LINES = 12
_SEARCHED_LINES = 1500
_ERROR = re.compile(r"\b(level=error|err=|error:|fatal|panic:|failed|not defined|cannot|refused)", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One service: its state, its address, a remark, where to ask whether it serves, and why it does not."""

    service: str
    state: str
    url: str = ""
    remark: str = ""
    ready: str = ""
    reason: str = ""


def rows(plan: Plan, failed: Mapping[str, str]) -> list[Row]:
    """A row for each service that is described for local use, in the compose file's order.

    `failed` holds the reason of each process that was started and does not serve.
    """
    made: list[Row] = []
    for name, service in plan.services.items():
        if name in plan.found:
            found = plan.found[name]
            remark = " ".join(filter(None, (found.version, f"from {found.origin}")))
            state = "failed" if name in failed else "ready"
            address = plan.processes[name].ready
            made.append(Row(name, state, service.url, remark, address, failed.get(name, "")))
        elif name in plan.missing:
            missing = plan.missing[name]
            made.append(Row(name, "missing", "", f"{'; '.join(missing.reasons)}. To have it: {missing.remedy}"))
        elif name in plan.instead:
            made.append(Row(name, "instead", "", plan.instead[name]))
        elif service.local:
            made.append(Row(name, "off"))
    return made


def show(report: Report, table_rows: list[Row]) -> None:
    """A table on a terminal, a line a service elsewhere."""
    if not report.console.is_terminal:
        for row in table_rows:
            report.say(f"{row.service:17} {row.state:9} {row.url:22} {row.reason or row.remark}".rstrip())
        return
    table = Table("service", "state", "address", "", box=None, padding=(0, 2, 0, 0))
    colours = {"ready": "green", "missing": "yellow", "failed": "red", "down": "red"}
    for row in table_rows:
        colour = colours.get(row.state, "dim")
        table.add_row(row.service, f"[{colour}]{row.state}[/]", row.url, Text(row.reason or row.remark))
    report.console.print(table, soft_wrap=False)


def show_left_out(report: Report, plan: Plan) -> None:
    """What Prometheus and Loki were not given, because its service does not run here."""
    # Services without a word about local use, such as those of overlays, are nothing that anyone misses here.
    if jobs := sorted(job for job in plan.left_out.jobs if plan.services[job].local):
        report.say(f"Not scraped, as they do not run here: {', '.join(jobs)}")
    if alerts := sorted(plan.left_out.alerts):
        report.say(f"Alerts left out with them: {', '.join(alerts)}")


def save(path: Path, table_rows: list[Row]) -> None:
    """Keep the rows for `status`."""
    path.write_text(json.dumps([asdict(row) for row in table_rows], indent=1), encoding="utf-8")


def read(path: Path) -> list[Row]:
    """The rows of the last `up`; none before the first."""
    if not path.exists():
        return []
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def telling_lines(log: str) -> list[str]:
    """What a log's end says about a failure: its last lines, and before them the last that speak of an error.

    Many a program prints the error first and then a page about its options.
    """
    lines = log.splitlines()[-_SEARCHED_LINES:]
    before, last = lines[:-_LAST_LINES], lines[-_LAST_LINES:]
    errors = [line for line in before if _ERROR.search(line)][-3:]
    return [*errors, *(["…"] if errors else []), *last] or ["(it wrote nothing)"]

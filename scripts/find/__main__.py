"""`python -m scripts.find`: exit status 1 when nothing is known, 2 when nonsense was asked."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from scripts.addresses import PROJECT, address, setting, told
from scripts.find.links import links_or_reason
from scripts.find.model import SourceError
from scripts.find.options import OptionsError, parse
from scripts.find.search import add_exemplars, failures, search
from scripts.find.sources import LogSource, TraceSource
from scripts.find.sources.files import LogFiles, TraceFiles
from scripts.find.sources.loki import Loki
from scripts.find.sources.prometheus import Prometheus
from scripts.find.sources.tempo import Tempo
from scripts.find.story import show, show_failures
from scripts.find.unknown import show_unknown

#: Columns where no terminal says how many it has.
WIDTH = 140


@dataclass(frozen=True)
class Places:
    """Where this machine's stack keeps what is searched."""

    logs: Sequence[LogSource]
    traces: Sequence[TraceSource]
    prometheus: Prometheus
    grafana: str


def places() -> Places:
    """Loki and Tempo first, then the files that they are fed from."""
    folder = PROJECT / (setting("LOG_DIR") or "logs")
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return Places(
        [Loki(address("loki")), LogFiles(shown)],
        [Tempo(address("tempo")), TraceFiles(shown)],
        Prometheus(address("prometheus")),
        address("grafana"),
    )


def find(identity: str, since: float, where: Places, console: Console) -> int:
    """Shows one request's story; 1 when nothing is known of it."""
    story = search(identity, where.logs, where.traces, since)
    if story is None:
        show_unknown(identity, since, [*where.logs, *where.traces], console)
        return 1
    if story.traces or any(line.trace_id for line in story.lines):
        add_exemplars(story, where.prometheus)
    show(story, links_or_reason(story, where.grafana), console)
    return 0


def list_failures(since: float, where: Places, console: Console) -> int:
    """Shows the requests that failed, from the first source that answers; 1 when none does."""
    for source in where.logs:
        try:
            found = failures(source.failures(since))
        except SourceError as error:
            console.print(f"{error}", style="dim", markup=False)
            continue
        show_failures(found, source.name, since, console)
        for remark in source.remarks():
            console.print(remark, style="dim", markup=False)
        return 0
    return 1


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Answers one question; the exit status."""
    try:
        options = parse(environment)
    except OptionsError as error:
        print(f"find: {error}", file=sys.stderr)
        return 2
    console = Console(highlight=False)
    if not console.is_terminal:
        columns = environment.get("COLUMNS", "")
        console = Console(highlight=False, width=int(columns) if columns.isdigit() else WIDTH)
    since = time.time() - options.since if options.since else 0.0
    if options.identity:
        return find(options.identity, since, places(), console)
    return list_failures(since, places(), console)


if __name__ == "__main__":
    sys.exit(told(main))

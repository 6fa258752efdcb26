"""`python -m scripts.report`: exit status 1 when nothing could be drawn, 2 when nonsense was asked."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scripts.addresses import PROJECT, told
from scripts.report.board import SHORTEST, Board, Window, boards
from scripts.report.options import Options, OptionsError, parse, time_zone
from scripts.report.page import Section, render, section, stores
from scripts.report.weekly import week

FOLDER = PROJECT / "reports"
#: Debian calls it chromium, others by the other names.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: Seconds for a PDF of all dashboards.
PDF_SECONDS = 120


def window(board: Board, options: Options, now: datetime) -> Window:
    """The time that is shown of a dashboard."""
    since = options.since or max(board.own, SHORTEST)
    return Window(options.end - since, options.end, now.tzinfo)  # type: ignore[arg-type]


def report(options: Options, now: datetime, console: Console) -> tuple[str, list[Section]]:
    """Draws the page, telling how far it is."""
    found, where = boards(options.dashboard), stores()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("The week", total=sum(len(board.panels) for board in found))
        first = week(window(found[0], options, now), where)
        sections = []
        for board in found:
            progress.update(task, description=board.title)
            if not console.is_terminal:
                console.print(f"{board.title}: {len(board.panels)} panels", markup=False)
            sections.append(section(board, window(board, options, now), where, lambda _: progress.advance(task)))
    return render(sections, first, where, now), sections


def to_pdf(page: Path) -> str:
    """Prints a page into a PDF beside it; why that was not possible, else empty."""
    program = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if program is None:
        return f"FORMAT=pdf needs Chromium (apt-get install chromium), or print {page.name} from any browser"
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", "--virtual-time-budget=1000"]
    output = page.with_suffix(".pdf")
    command = [program, *arguments, f"--print-to-pdf={output}", page.as_uri()]
    try:
        made = subprocess.run(command, capture_output=True, text=True, timeout=PDF_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"{program} made no PDF within {PDF_SECONDS} s; the page is in {page}"
    return "" if made.returncode == 0 and output.exists() else f"{program} made no PDF: {made.stderr.strip()[-300:]}"


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Writes one report; the exit status."""
    console, beginning = Console(highlight=False, soft_wrap=True), time.monotonic()
    try:
        now = datetime.now(time_zone())
        options = parse(environment, now.timestamp(), time_zone())
        text, sections = report(options, now, console)
    except OptionsError as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    end = datetime.fromtimestamp(options.end, now.tzinfo)
    page = FOLDER / f"{options.dashboard or 'all'}-{end:%Y-%m-%d-%H%M}.html".replace(" ", "-").lower()
    page.write_text(text, encoding="utf-8")
    panels = [drawn for one in sections for panel, drawn in one.panels if drawn["kind"] != "row"]
    failed = [f"  {one.board.title}: {title}" for one in sections for title in one.failed]
    size, seconds = page.stat().st_size, time.monotonic() - beginning
    console.print(f"{page}: {len(panels)} panels, {size / 1e6:.2f} MB, in {seconds:.1f} s", markup=False)
    if failed:
        console.print(f"{len(failed)} could not be drawn, and say why:", *failed, sep="\n", markup=False)
    if options.pdf:
        if problem := to_pdf(page):
            console.print(problem, markup=False)
            return 1
        console.print(f"{page.with_suffix('.pdf')}", markup=False)
    return 1 if len(failed) == len(panels) else 0


if __name__ == "__main__":
    sys.exit(told(main))

"""`python -m scripts.bad_day`: plays a bad day and prints how often whom was told.

FAULTS (40), MINUTES that the day may take (6) and SEED choose another day.
"""

import os
import random
import sys
import tempfile
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from scripts.addresses import PROJECT, told
from scripts.bad_day.faults import DAY, MINUTE, Fault, day, is_urgent, rules, spans
from scripts.bad_day.simulate import Told, run
from scripts.local.compose import load, settings
from scripts.local.debian import Debian
from scripts.local.download import Downloader
from scripts.local.programs import Finder, Missing
from scripts.local.report import Report

#: Receivers, and who they are.
WHO = {"page": "on call", "escalation": "second on call", "chat": "the team", "log": "nobody"}


def quiet(told: Told) -> int:
    """How many messages to the team would have waited for the morning (alertmanager.yml's quiet hours)."""
    hours = [second / 3600 % 24 for to, state, _, second in told.messages if (to, state) == ("chat", "firing")]
    return sum(hour >= 22 or hour < 7 for hour in hours)


def named(told: Told, faults: list[Fault]) -> int:
    """How many of these faults were paged by the alert that is about them, while they lasted or soon after."""
    pages = [(names, second) for to, state, names, second in told.messages if (to, state) == ("page", "firing")]
    return sum(
        any(
            fault.kind.followers[0].name in names and fault.start <= second <= fault.end + 15 * MINUTE
            for names, second in pages
        )
        for fault in faults
    )


def table(configured: Told, plain: Told) -> Table:
    """Messages by receiver."""
    found = Table("receiver", "who", "without grouping and inhibition", "as configured", "of resolved ones")
    for receiver, who in WHO.items():
        counts = (plain.count(receiver), configured.count(receiver), configured.count(receiver, "resolved"))
        found.add_row(receiver, who, *map(str, counts))
    return found


def play(faults: list[Fault], factor: float, report: Report) -> tuple[Told, Told]:
    """Finds Alertmanager and plays the day. Raises RuntimeError where there is none."""
    tools = PROJECT / ".tools"
    finder = Finder(tools, settings(PROJECT, os.environ), Downloader(tools, report), Debian(tools, report))
    found = finder.find(load(PROJECT, os.environ)["alertmanager"])
    if isinstance(found, Missing):
        raise RuntimeError(f"no Alertmanager: {'; '.join(found.reasons)}. Remedy: {found.remedy}")
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(TextColumn("{task.description}"), BarColumn(), console=report.console, transient=True) as progress,
    ):
        task = progress.add_task("the day goes by", total=DAY)
        return run(
            spans(faults, rules()),
            factor,
            found.path,
            found.folder,
            Path(folder),
            lambda second: progress.update(task, completed=second),
        )


def main() -> int:
    """Plays the day; 1 when there was more than one page a root cause."""
    count, minutes = int(os.environ.get("FAULTS", "40")), float(os.environ.get("MINUTES", "6"))
    seed = int(os.environ.get("SEED", "1"))
    faults = day(count, random.Random(seed))  # noqa: S311 - the same seed, the same day
    known, report = rules(), Report()
    critical = [fault for fault in faults if is_urgent(fault.kind, known)]
    urgent = max(1, len(critical))
    report.say(f"{count} faults over 24 hours in {minutes:g} minutes; {len(critical)} of them are critical")
    try:
        configured, plain = play(faults, DAY / (minutes * 60), report)
    except (RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    report.console.print(table(configured, plain))
    pages = configured.count("page")
    without = plain.count("page") / urgent
    report.say(f"{pages / urgent:.2f} pages a critical root cause (target: at most 1); without, {without:.2f}")
    others = len(critical) - (own := named(configured, critical))
    report.say(
        f"{own} were told by the alert that is about them, {others} only as a part of another that they fell into"
    )
    report.say(f"{quiet(configured)} of {configured.count('chat')} messages to the team would wait for the morning")
    return int(pages > urgent)


if __name__ == "__main__":
    sys.exit(told(main))

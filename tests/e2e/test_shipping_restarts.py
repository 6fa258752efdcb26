"""What reached the files is in Loki, each line once: through rotation, restarts and kills, under load."""

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from scripts.local.apart import Apart
from tests.e2e.shipping import SECOND, Loki, Writing, running, until

SELECTOR = '{service="shipping"}'
#: Lines in a second. In the seconds that a killed Promtail sends again, they fit into a block of Loki's: counts are
#: exact at once, too. (With more of them, lines are, and counts once the block is out of the hour that is looked at.)
RATE, SECONDS = 2000, 10.0


def arrived(services: Apart, writing: Writing) -> tuple[Counter[str], Counter[str], int]:
    """The lines in the files; those in Loki, once there are as many or no more come; and how many Loki counts."""
    written = writing.ended()
    loki = Loki(services.url("loki"))
    until(lambda: loki.count(SELECTOR) >= written.total(), "as many lines are in Loki as were written", seconds=40)
    there = Counter(line.text for line in loki.lines(SELECTOR, writing.start, time.time_ns()))
    return written, there, loki.count(SELECTOR)


def assert_each_once(written: Counter[str], there: Counter[str], count: int) -> None:
    assert written.total() > RATE, "the test wrote too little to show anything"
    assert sorted(written - there)[:3] == [], "lines were lost"
    assert sorted(there - written)[:3] == [], "lines are there twice"
    assert count == written.total(), "counts see lines twice"


def test_a_file_that_is_rotated_under_load_loses_no_line(tmp_path: Path) -> None:
    with running(tmp_path, "loki", "promtail") as services:
        services.start("loki")
        services.launch("promtail")
        writing = Writing(services.folders.logs, 4000, 5.0)
        written, there, count = arrived(services, writing)
        assert len(list(services.folders.logs.glob("*.*.log"))) >= 5, "files were rotated"
    assert_each_once(written, there, count)


@pytest.mark.parametrize(
    ("how", "names"),
    [
        ("stop", ["promtail"]),
        ("kill", ["promtail"]),
        ("stop", ["loki"]),
        ("kill", ["loki"]),
        ("stop", ["promtail", "loki"]),  # in the order in which compose stops them
    ],
)
def test_a_part_that_ends_while_lines_are_written_takes_none_with_it(
    tmp_path: Path, how: str, names: list[str]
) -> None:
    with running(tmp_path, "loki", "promtail") as services:
        services.start("loki")
        services.launch("promtail")
        writing = Writing(services.folders.logs, RATE, SECONDS)
        for _ in range(2):
            time.sleep(2.5)
            for name in names:
                getattr(services, how)(name)
            time.sleep(1)  # lines that nobody takes meanwhile
            for name in names:
                services.launch(name)
        assert writing.runs, "it ended while lines were written"
        written, there, count = arrived(services, writing)
    assert_each_once(written, there, count)


def test_lines_that_waited_for_a_night_arrive_beside_those_of_now(tmp_path: Path) -> None:
    now, late = datetime.now(UTC), datetime.now(UTC) - timedelta(hours=11)
    with running(tmp_path, "loki", "promtail") as services:
        services.start("loki")
        services.launch("promtail")
        loki = Loki(services.url("loki"))
        for number, moment in enumerate((now, late)):
            fields = {"timestamp": moment.isoformat(), "level": "info", "logger": "access", "service": "shipping"}
            path = services.folders.logs / f"replica-{number}" / "application.20261124T100000.000001.log"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(fields) + "\n")
            at = int(moment.timestamp()) * SECOND
            until(partial(loki.lines, SELECTOR, at - SECOND, at + 2 * SECOND), f"a line of {moment} is found")

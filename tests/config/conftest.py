"""One line at the end: how much of the dashboards was looked at, and how many seeded faults were caught."""

from collections import Counter

import pytest

from tests.config.dashboards.boards import committed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says nothing where no fault was seeded, as when a single test was asked for."""
    stats = terminalreporter.stats
    seeded = {
        outcome: [_seeded(report.nodeid) for report in stats.get(outcome, [])] for outcome in ("passed", "failed")
    }
    caught, missed = sum(seeded["passed"]), sum(seeded["failed"])
    if not caught + missed:
        return
    boards = committed().values()
    panels = [panel for board in boards for panel in board["panels"] if panel["type"] != "row"]
    targets = [target for panel in panels for target in panel["targets"]]
    by_source = Counter(target["datasource"]["uid"] for target in targets)
    asked = ", ".join(f"{number} of {source}" for source, number in by_source.most_common())
    terminalreporter.write_line(
        f"{len(boards)} dashboards, {len(panels)} panels, {len(targets)} queries ({asked}); "
        f"{caught + missed} faults seeded, {caught} caught"
    )


def _seeded(nodeid: str) -> bool:
    return "test_a_seeded_fault_is_caught" in nodeid

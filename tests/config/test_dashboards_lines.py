"""Every panel that counts lines shows the right number: a real Loki is given known lines, and asked its queries."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from monitoring import durations
from scripts.local.apart import Apart, NotHere
from scripts.report import board as boards
from scripts.report.stores import Loki
from tests.config.dashboards.boards import committed

#: The end of a step of 30 s, so that it is one of the moments that are asked for.
NOW = int(time.time()) // 60 * 60
HOUR = 3600
PANELS = [
    pytest.param(board, panel, id=f"{name}: {panel['title']}")
    for name, board in committed().items()
    for panel in board["panels"]
    if any("count_over_time" in str(target.get("expr")) for target in panel.get("targets", ()))
    and panel["datasource"]["uid"] == "loki"
]
#: Seconds before now, service, environment, level, type of exception or none, and how many lines of that.
LINES = (
    (26 * HOUR, "backend", "local", "error", "KeyError", 7),  # longer ago than what is new is compared with
    (2 * HOUR, "backend", "local", "error", "ValueError", 5),
    (45, "backend", "local", "info", "", 50),  # within the step before the last
    (45, "backend", "local", "error", "ValueError", 50),
    (10, "backend", "local", "info", "", 60),
    (10, "backend", "local", "warning", "ValueError", 6),  # an exception that somebody expected
    (10, "backend", "local", "error", "ValueError", 3),
    (10, "backend", "local", "error", "", 1),
    (10, "backend", "local", "critical", "KeyError", 2),
    (10, "backend", "staging", "error", "KeyError", 30),  # another environment than the one that is chosen
    (10, "alert-inbox", "local", "info", "", 8),
    (10, "alert-inbox", "local", "error", "TimeoutError", 2),
)
KNOWN: Mapping[str, Mapping[str, float]] = {
    "Which Exceptions?": {"backend ValueError": 3, "backend KeyError": 2, "alert-inbox TimeoutError": 2},
    "Which Are New?": {"backend KeyError": 2, "alert-inbox TimeoutError": 2},
    "How Bad Is What Is Said?": {"info": 68, "warning": 6, "error": 6, "critical": 2},
    "Who Says How Much?": {"backend": 72, "alert-inbox": 10},
    "Which Share Is an Error?": {"backend": 6 / 72, "alert-inbox": 2 / 10},
}


@pytest.fixture(scope="module")
def loki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Loki that has the lines; its address."""
    try:
        with Apart(tmp_path_factory.mktemp("loki"), ["loki"]) as services:
            services.start("loki")
            with httpx.Client(base_url=services.url("loki"), trust_env=False, timeout=30) as client:
                for group in LINES:
                    client.post("/loki/api/v1/push", json={"streams": [stream(*group)]}).raise_for_status()
            yield services.url("loki")
    except NotHere as reason:
        pytest.skip(str(reason))


def stream(ago: int, service: str, environment: str, level: str, exception: str, count: int) -> dict[str, Any]:
    labels = {"service": service, "environment": environment, "level": level, "logger": "app"}
    line: dict[str, Any] = {"message": "said", "level": level}
    if exception:
        line["exception"] = [{"exc_type": exception}]
    values = [[f"{(NOW - ago) * 10**9 + number}", json.dumps({**line, "number": number})] for number in range(count)]
    return {"stream": labels, "values": values}


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_a_panel_counts_the_lines_that_there_are(loki: str, board: Any, panel: Any) -> None:
    (target,) = panel["targets"]
    window = boards.Window(NOW - durations.seconds(board["time"]["from"].removeprefix("now-")), NOW, ZoneInfo("UTC"))
    scraped = boards.scrape_interval()
    values = {"environment": "local", **boards.windows(panel, window, scraped)}
    query = boards.fill(target["expr"], values)
    if target.get("queryType") == "instant":
        found = Loki(loki).instant(query, NOW)
    else:
        found = Loki(loki).range(query, window, boards.step(panel, window, scraped))
    shown = {
        " ".join(one.labels[name] for name in sorted(one.labels, reverse=True)): one.values[-1]
        for one in found
        if one.times[-1] == NOW
    }
    assert shown == pytest.approx(KNOWN[panel["title"]], rel=0.01)


def test_every_panel_that_counts_lines_is_known() -> None:
    assert sorted(KNOWN) == sorted(param.values[1]["title"] for param in PANELS)

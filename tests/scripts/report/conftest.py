"""A real Prometheus with two weeks of known series, and the other stores on loopback."""

import math
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from scripts.report.ask import Stores
from scripts.report.board import Board, Window
from scripts.report.logfiles import Files
from scripts.report.page import Section, render, section
from scripts.report.stores import Loki, Prometheus, Tempo
from tests.programs import program
from tests.scripts.find.conftest import Store, loki_answer, serve  # noqa: F401

END = datetime(2026, 3, 15, 12, tzinfo=UTC).timestamp()
ZONE = ZoneInfo("Europe/Rome")
HOUR, DAY = 3600.0, 86_400.0
#: Six hours, of which the last two have the series of `panel_series`.
WINDOW = Window(END - 6 * HOUR, END, ZONE)


def panel_series() -> Iterator[tuple[str, float, float]]:
    """Name, time and value: what the panels of the tests ask for."""
    backend = 'job="backend",instance="a"'
    for number in range(481):
        moment = END - 2 * HOUR + number * 15
        yield f'wave{{{backend},kind="sine"}}', moment, 10 + 5 * math.sin(number / 20)
        yield f'wave{{{backend},kind="line"}}', moment, number / 10
        yield f"served_total{{{backend}}}", moment, 30.0 * number  # two a second
        for bound, share in (("0.1", 0.5), ("0.5", 0.9), ("+Inf", 1.0)):
            yield f'took_seconds_bucket{{{backend},le="{bound}"}}', moment, 15 * number * share
        if not 200 <= number < 280:
            yield f"holey{{{backend}}}", moment, 7.0


def week_series() -> Iterator[tuple[str, float, float]]:
    """Every five minutes for two weeks: ten events for each objective, and what the first page tells of."""
    for number in range(1, 14 * 288 + 1):
        moment = END - 14 * DAY + number * 300
        broken = END - 30 * HOUR < moment < END - 29 * HOUR  # eleven times
        yield 'up{job="backend"}', moment, 1.0
        for name, bad in (("availability", 5.0 if broken else 0.0), ("latency", 1.0), ("chat", 0.0)):
            yield f'slo:events:increase30s{{slo="{name}"}}', moment, 10.0
            yield f'slo:bad_events:increase30s{{slo="{name}"}}', moment, bad
            yield f'slo:error_budget:remaining{{slo="{name}"}}', moment, 0.7
        yield 'ai_cost_usd_total{job="backend",instance="a",model="gpt"}', moment, 0.01 * number
        disk = 'job="node-exporter",instance="n",mountpoint="/",fstype="ext4"'
        yield f"node_filesystem_avail_bytes{{{disk}}}", moment, 1e5 * (END + 10 * DAY - moment)
    for hours, minutes in ((200, 10), (30, 30), (20, 15)):
        for minute in range(minutes):
            labels = 'alertname="HighErrorRate",severity="critical",alertstate="firing"'
            yield f"ALERTS{{{labels}}}", END - hours * HOUR + 60 * minute, 1.0


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the real Prometheus is."""
    folder = tmp_path_factory.mktemp("prometheus")
    samples = folder / "samples.txt"
    found = sorted([*panel_series(), *week_series()], key=lambda one: (one[0].partition("{")[0], one[0], one[1]))
    samples.write_text("".join(f"{name} {value} {moment:.0f}\n" for name, moment, value in found) + "# EOF\n")
    command = [program("promtool"), "tsdb", "create-blocks-from", "--max-block-duration=720h", "openmetrics", "--quiet"]
    subprocess.run([*command, str(samples), str(folder / "data")], check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    arguments += ["--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with subprocess.Popen([program("prometheus"), *arguments]) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                if httpx.get(f"{url}/-/ready", trust_env=False).is_success:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield url
        process.terminate()


@dataclass
class Places:
    """The stores, and the servers that stand for those that are not real."""

    stores: Stores
    loki: Store
    tempo: Store


@pytest.fixture
def places(address: str, serve: Callable[[], Store], tmp_path: Path) -> Places:  # noqa: F811
    loki, tempo = serve(), serve()
    loki.answers["/loki/api/v1/query_range"] = loki_answer()
    tempo.answers["/api/search"] = {"traces": []}
    stores = Stores(
        Prometheus(address),
        Loki(loki.address),
        Tempo(tempo.address),
        Files(tmp_path),
        grafana="http://127.0.0.1:3000",
        scrape=5.0,
    )
    return Places(stores, loki, tempo)


def without_loki(stores: Stores, folder: Path) -> Stores:
    return replace(stores, loki=Loki("http://127.0.0.1:1"), files=Files(folder))


def panel(kind: str, *queries: str, **more: Any) -> dict[str, Any]:
    """A panel as a dashboard's file has it; `query`: more of each query."""
    source = more.pop("source", "prometheus")
    target = {"datasource": {"type": source, "uid": source}, **more.pop("query", {})}
    fields = {"defaults": more.pop("defaults", {}), "overrides": more.pop("overrides", [])}
    return {
        "type": kind,
        "id": 1,
        "title": "A panel",
        "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
        "targets": [{"expr": query, "refId": ref, **target} for query, ref in zip(queries, "ABCDE", strict=False)],
        "fieldConfig": fields,
        **more,
    }


def drawn(panels: Sequence[dict[str, Any]], stores: Stores, window: Window = WINDOW, **more: Any) -> Section:
    """A dashboard of these panels."""
    board = Board(
        "a-board", "A board", "Of a test.", 3600.0, panels, more.get("variables", []), more.get("annotations", [])
    )
    return section(board, window, stores)


def page(panels: Sequence[dict[str, Any]], stores: Stores, window: Window = WINDOW, **more: Any) -> "Page":
    """The page of a dashboard of these panels."""
    text = render([drawn(panels, stores, window, **more)], None, stores, datetime.fromtimestamp(END, ZONE))
    return Page(text)


class Page(HTMLParser):
    """A page as a reader sees it: its text, and the numbers behind it in their order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source, self.text, self.numbers = source, "", list[float]()
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(source)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text += " "
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "data":
            self.numbers.append(float(dict(attrs)["value"] or "nan"))

    def handle_data(self, data: str) -> None:
        if self.get_starttag_text() not in ("<style>", "<script>"):
            self.text += data

    def all(self, name: str) -> list[str]:
        """Every value of an attribute."""
        return [value for _, attribute, value in self.attributes if attribute == name]


def points(path: str) -> list[list[tuple[int, int]]]:
    """The runs of points of an SVG path of ours."""
    runs = []
    for run in path.split("M")[1:]:
        numbers = [int(number) for number in re.findall(r"-?\d+", run.replace("h0", "").rstrip("z"))]
        x = y = 0
        places = []
        for step_x, step_y in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + step_x, y + step_y
            places.append((x, y))
        runs.append(places)
    return runs

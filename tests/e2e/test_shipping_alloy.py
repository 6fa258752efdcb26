"""Promtail and its successor Alloy, side by side over the same files: Loki cannot tell which of the two sent a line."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.local.apart import PROJECT, Apart
from scripts.local.compose import Mount, Service
from scripts.local.substitute import Substitution
from tests.e2e.shipping import SECOND, Line, Loki, running, until
from tests.programs import program

LABELS = {"service", "environment", "level", "logger"}
METADATA = {"request_id", "trace_id", "span_id", "user_id"}
NOT_JSON = frozenset({("service", "unknown"), ("level", "unknown"), ("logger", "not-json")})
SELECTOR = '{logger=~".+"}'
START = time.time() - 60
HUGE = "x" * 600_000


def stamp(number: int) -> str:
    moment = datetime.fromtimestamp(START, UTC).timestamp() + number / 1000
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def line(number: int, **fields: Any) -> str:
    common = {"timestamp": stamp(number), "level": "info", "logger": "access", "event": "request"}
    return json.dumps({**common, "service": "backend", "environment": "test", "number": number, **fields})


ODD = '\u00e8 \u4e2d \U0001f52d \u202e \u2028 \x85 tab\t quote" back\\slash {{.}} \x1b[31m'
ROTATED = [
    line(n, level="error" if n % 7 == 0 else "info", request_id=f"r{n}", user_id=f"u{n % 3}") for n in range(200)
]
NEWEST = [
    line(1000, request_id="r1000", trace_id="a" * 32, span_id="b" * 16, user_id="c" * 16),
    "Traceback (most recent call last):",
    '  File "main.py", line 1, in <module>',
    line(1001, event=ODD, request_id=ODD),
    line(1002, event=HUGE, request_id="huge"),
    f"plain and huge {HUGE}",
    "plain with " + ODD.replace("\x85", "").replace("\u2028", ""),
    '{"timestamp": "2026-11-24T20:00:00.0',
    '["JSON", "but no object"]',
    json.dumps({"event": "neither a level nor a time"}),
    line(1003, timestamp="yesterday", request_id="r1003"),
    line(1004, user_id=None, request_id="", trace_id=7),
    line(1005, level="warning", logger="uvicorn.error", service="alert-inbox"),
    line(1006),
]
REPLICA = [line(n, logger="portal_app", request_id=f"s{n}") for n in range(2000, 2050)]


def write(folder: Path) -> int:
    """Files as the backend leaves them; how many lines they hold."""
    names = {
        "application.20261124T100000.000001.log": ROTATED,
        "application.20261124T110000.000002.log": NEWEST,
        "replica-1/application.20261124T110000.000003.log": REPLICA,
    }
    for name, lines in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes("".join(f"{one}\n" for one in lines).encode())
    (folder / "application.log").symlink_to("application.20261124T110000.000002.log")
    return sum(map(len, names.values()))


@contextmanager
def alloy(services: Apart, logs: Path, port: int) -> Iterator[None]:
    """The real Alloy with the overlay's own configuration, in front of the Loki of `services`."""
    mounted = Service("alloy", "", (), {}, (Mount(str(logs), "/app/logs"),), (), None)
    text = (PROJECT / "alloy/logs.alloy").read_text()
    config = services.folders.place / "logs.alloy"
    config.write_text(Substitution(mounted, services.services, services.folders).text(text))
    options = [f"--storage.path={services.folders.place / 'alloy'}", f"--server.http.listen-addr=127.0.0.1:{port}"]
    with (services.folders.place / "alloy.out").open("wb") as output:
        process = subprocess.Popen(
            [program("alloy"), "run", str(config), *options, "--disable-reporting"], stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Line], list[Line]]]:
    """What each of the two made of the same files."""
    folder = tmp_path_factory.mktemp("shipping")
    program("alloy")
    with running(folder / "promtail", "loki", "promtail") as one, running(folder / "alloy", "loki") as other:
        total = write(one.folders.logs)
        one.start("loki")
        other.start("loki")
        one.launch("promtail")
        with alloy(other, one.folders.logs, one.port("grafana", 3000)):
            ours = everything(Loki(one.url("loki")), total, one.log("promtail"))
            yield ours, everything(Loki(other.url("loki")), total, other.folders.place / "alloy.out")


def everything(loki: Loki, total: int, said: Path) -> list[Line]:
    try:
        until(lambda: loki.count(SELECTOR) >= total, f"{total} lines are in Loki", seconds=60)
    except AssertionError as error:
        error.add_note(f"{loki.count(SELECTOR)} are; what the shipper said last: {said.read_text()[-3000:]}")
        raise
    return sorted(loki.lines(SELECTOR, int((START - 60) * SECOND), time.time_ns()), key=lambda line: line.text)


def test_the_same_streams_labels_metadata_times_and_lines(shipped: tuple[list[Line], list[Line]]) -> None:
    promtail, alloy = shipped
    assert [one.text[:300] for one in promtail] == [one.text[:300] for one in alloy]
    for ours, theirs in zip(promtail, alloy, strict=True):
        assert ours == theirs, ours.text[:200]


def test_each_line_is_there_once_under_four_labels(shipped: tuple[list[Line], list[Line]]) -> None:
    for lines in shipped:
        assert len(lines) == len(ROTATED) + len(NEWEST) + len(REPLICA)
        assert {name for one in lines for name, _ in one.labels} == LABELS
        assert {name for one in lines for name, _ in one.metadata} == METADATA


def test_times_ids_and_characters_are_those_of_the_line(shipped: tuple[list[Line], list[Line]]) -> None:
    for lines in shipped:
        there = {one.text: one for one in lines}
        for text in (*ROTATED, *REPLICA, NEWEST[0], NEWEST[3]):
            fields = json.loads(text)
            moment = datetime.fromisoformat(fields["timestamp"])
            assert there[text].timestamp // 1000 == round(moment.timestamp() * 1_000_000)
            assert dict(there[text].metadata) == {name: fields[name] for name in METADATA if name in fields}
            assert dict(there[text].labels) == {name: fields[name] for name in LABELS}


def test_a_line_that_is_not_ours_is_kept_and_marked(shipped: tuple[list[Line], list[Line]]) -> None:
    for lines in shipped:
        marked = [one.text for one in lines if one.labels == NOT_JSON]
        assert {text[:40] for text in marked} == {text[:40] for text in (*NEWEST[1:3], *NEWEST[5:10])}


def test_a_huge_line_is_cut_where_loki_says_so(shipped: tuple[list[Line], list[Line]]) -> None:
    for lines in shipped:
        cut = [one for one in lines if len(one.text) > 100_000]
        assert {len(one.text) for one in cut} == {256 * 1024}
        assert len(cut) == 2

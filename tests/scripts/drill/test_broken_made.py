"""Each fault is there while it is made and gone afterwards, also when what was done meanwhile goes wrong."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml

from scripts.drill import broken
from scripts.drill.faults import CannotMake, Fault
from scripts.drill.stacks import Own


class Pretended(Own):
    """A stack's folders and one process; what is done to its parts is written down."""

    def __init__(self, folder: Path) -> None:
        self.done: list[str] = []
        self._folder = folder
        (folder / "logs").mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        where: Any = SimpleNamespace(
            folders=SimpleNamespace(logs=folder / "logs"),
            pid=lambda _: self.process.pid if self.process else 0,
            port=lambda part, inside: 4318,
        )
        self.processes = where

    def address(self, part: str) -> str:
        return f"http://{part}"

    def stop(self, part: str) -> None:
        self.done.append(f"stop {part}")

    def start(self, part: str) -> None:
        self.done.append(f"start {part}")

    def rendered(self, part: str, path: str) -> Path:
        return self._folder / Path(path).name


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    stack = Pretended(tmp_path)
    monkeypatch.setattr(broken.httpx, "post", lambda url, **_: stack.done.append(url))
    yield stack
    if stack.process:
        stack.process.kill()
        stack.process.wait()


@contextlib.contextmanager
def made(fault: Fault, stack: Pretended) -> Iterator[None]:
    """The fault, within which something goes wrong."""
    with contextlib.suppress(ZeroDivisionError), fault.make(stack):
        yield
        raise ZeroDivisionError


def test_a_rule_that_is_broken_is_read_and_taken_away(stack: Pretended, tmp_path: Path) -> None:
    with made(broken.rule_added("prometheus", "1 / on", "a rule"), stack):
        (group,) = yaml.safe_load((tmp_path / "drill.yml").read_text())["groups"]
        assert group["rules"][0]["expr"] == "1 / on"
        assert stack.done == ["http://prometheus/-/reload"]
    assert not (tmp_path / "drill.yml").exists()
    assert stack.done == ["http://prometheus/-/reload"] * 2


def test_loki_finds_rules_by_itself(stack: Pretended) -> None:
    with made(broken.rule_added("loki", "x", "a rule"), stack):
        pass
    assert stack.done == []


def test_a_mistake_in_a_configuration_is_read_and_the_right_one_after_it(stack: Pretended, tmp_path: Path) -> None:
    file, right = tmp_path / "prometheus.yml", "# why\nscrape_configs: []\n"
    file.write_text(right)
    with made(broken.configured("prometheus", "/etc/prometheus/prometheus.yml", broken.unreadable, "a key"), stack):
        assert yaml.safe_load(file.read_text()) == {"scrape_configs": [], "drill": True}
        assert stack.done == ["http://prometheus/-/reload"]
    assert file.read_text() == right
    assert len(stack.done) == 2


def test_more_lines_than_promtail_has_room_for_wait_while_loki_is_away(stack: Pretended, tmp_path: Path) -> None:
    flood = tmp_path / "logs" / "drill.flood.log"
    with made(broken.flooded(), stack):
        assert stack.done == ["stop loki"]
        assert flood.stat().st_size > 13_900_000
    assert not flood.exists()
    assert stack.done == ["stop loki", "start loki"]


def test_a_disk_is_filled_to_its_last_twentieth_and_emptied(
    stack: Pretended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1_000_000, 400_000, 600_000))
    with made(broken.disk_filled(), stack):
        assert (tmp_path / "logs" / "drill.fill").stat().st_size == 550_000
    assert list((tmp_path / "logs").iterdir()) == []


def sleeper(stack: Pretended, code: str = "") -> psutil.Process:
    stack.process = subprocess.Popen([sys.executable, "-c", f"import time\n{code}\ntime.sleep(60)"])
    return psutil.Process(stack.process.pid)


def reaches(process: psutil.Process, status: str) -> bool:
    until = time.monotonic() + 5
    while process.status() != status and time.monotonic() < until:
        time.sleep(0.005)
    return bool(process.status() == status)


def test_a_process_is_stopped_again_and_again_and_goes_on_afterwards(stack: Pretended) -> None:
    process = sleeper(stack)
    with made(broken.frozen("loki", 0.2, 0.05), stack):
        for _ in range(2):
            assert reaches(process, psutil.STATUS_STOPPED)
            assert reaches(process, psutil.STATUS_SLEEPING)
    assert reaches(process, psutil.STATUS_SLEEPING)


def test_what_reads_documents_stands_still_and_goes_on(stack: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broken.load, "running", lambda *_: contextlib.nullcontext())
    process = sleeper(stack, "import subprocess; subprocess.Popen(['sleep', '60'])")
    with made(broken.extraction_stopped(), stack):
        (reader,) = process.children()
        assert reaches(reader, psutil.STATUS_STOPPED)
    assert reaches(reader, psutil.STATUS_SLEEPING)
    reader.kill()


def test_without_a_process_that_reads_documents_there_is_no_drill(
    stack: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken.load, "running", lambda *_: contextlib.nullcontext())
    clock = iter(range(0, 1000, 15))
    monkeypatch.setattr(broken.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(broken.time, "sleep", lambda _: None)
    sleeper(stack)
    with (
        pytest.raises(CannotMake, match="no process of the backend reads documents"),
        broken.extraction_stopped().make(stack),
    ):
        raise AssertionError("it went on without one")


def test_a_trace_is_more_than_tempo_takes() -> None:
    body = broken._trace(1100)
    assert len(body) > 5_000_000
    spans = json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (len(spans), len({one["traceId"] for one in spans}), len({one["spanId"] for one in spans})) == (
        1100,
        1,
        1100,
    )

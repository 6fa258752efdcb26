"""The writer: never at the cost of the event loop, nothing lost without being counted, back by itself."""

import contextlib
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.core.log_files import LogFiles
from app.core.log_writer import LogWriter
from app.core.stdout import PIPE_BYTES, WAITING_BYTES, Stdout
from app.services.metrics_service import metrics
from tests.backend.conftest import until


def compose(level: str, event: str, fields: Mapping[str, Any]) -> bytes:
    return json.dumps({"level": level, "event": event, **fields}).encode() + b"\n"


def writer_of(folder: Path, limit: int = 1_000_000, max_bytes: int = 1_000_000, keep: int = 5) -> LogWriter:
    return LogWriter(LogFiles(folder, "application.log", max_bytes, keep), limit, compose)


def dropped(level: str) -> float:
    return metrics.registry.get_sample_value("log_messages_dropped_total", {"level": level}) or 0


class HeldWriter(LogWriter):
    """Its thread does nothing by itself, so that what waits can be looked at."""

    def _run(self) -> None:
        self._stop.wait()


def test_files_rotate_under_load_without_losing_a_line(tmp_path: Path) -> None:
    writer = writer_of(tmp_path, max_bytes=5_000, keep=1_000)
    threads = [
        threading.Thread(target=lambda n=n: [writer.put("info", f"{n}-{i}\n".encode()) for i in range(2_000)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.06)
    for thread in threads:
        thread.join()
    writer.close()
    parts = sorted(tmp_path.glob("application.*.log"))
    assert len(parts) > 3
    written = [line for part in parts for line in part.read_text().splitlines()]
    assert len(written) == len(set(written)) == 8_000
    assert (tmp_path / "application.log").resolve() == parts[-1]


def test_a_queue_that_fills_refuses_debug_and_info_lines_first() -> None:
    writer = HeldWriter(None, 100, compose)
    before = {level: dropped(level) for level in ("debug", "info", "error")}
    begun = time.monotonic()
    for _ in range(80):
        writer.put("info", b"")
    writer.put("debug", b"")
    for _ in range(50):
        writer.put("error", b"")
    assert time.monotonic() - begun < 1
    writer.flush()
    assert {level: dropped(level) - before[level] for level in before} == {"debug": 1, "info": 5, "error": 25}
    writer.close()


def test_a_disk_that_takes_its_time_holds_up_nobody_who_writes_a_line(tmp_path: Path) -> None:
    class SlowDisk(LogFiles):
        def write(self, data: bytes) -> None:
            time.sleep(0.3)
            super().write(data)

    writer = LogWriter(SlowDisk(tmp_path, "application.log", 1_000_000, 3), 10_000, compose)
    slowest, lasts = 0.0, time.monotonic() + 0.5
    while time.monotonic() < lasts:
        begun = time.monotonic()
        writer.put("info", b"line\n")
        slowest = max(slowest, time.monotonic() - begun)
        time.sleep(0.001)
    writer.close()
    assert slowest < 0.2


def test_what_was_dropped_is_said_in_one_line_once_there_is_room(tmp_path: Path) -> None:
    writer = HeldWriter(LogFiles(tmp_path, "application.log", 10_000, 3), 10, compose)
    for _ in range(20):
        writer.put("error", b"kept\n")
    writer.flush()
    writer.put("info", b"fits again\n")
    writer.flush()
    writer.close()
    written = (tmp_path / "application.log").read_text().splitlines()
    assert written[:11] == ["kept"] * 10 + ["fits again"]
    (report,) = (json.loads(line) for line in written[11:])
    assert "dropped" in report["event"]
    assert report["error"] == 10


def test_what_is_queued_at_the_end_is_written(tmp_path: Path) -> None:
    writer = HeldWriter(LogFiles(tmp_path, "application.log", 1_000_000, 3), 10_000, compose)
    for number in range(5_000):
        writer.put("info", f"{number}\n".encode())
    writer.close()
    assert (tmp_path / "application.log").read_text().split() == [str(number) for number in range(5_000)]


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full for every file: a write takes what still fits, and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("already_there", [True, False])
def test_a_full_disk_costs_one_line_no_file_and_no_half_line_and_recovers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, already_there: bool
) -> None:
    monkeypatch.setattr("app.core.log_writer.RETRY_SECONDS", 0.0)
    (tmp_path / "application.20200101T000000.000000.log").write_text("long ago\n")
    writer = HeldWriter(LogFiles(tmp_path, "application.log", 1_000_000, keep=2), 1_000, compose)
    before = ["before"] if already_there else []
    for line in before:
        writer.put("info", f"{line}\n".encode())
        writer.flush()
    with files_of_at_most(10):
        for number in range(8):
            writer.put("info", f"while it was full, {number}\n".encode())
            writer.flush()
    writer.put("info", b"after\n")
    writer.close()
    written = [line for path in sorted(tmp_path.glob("application.*.log")) for line in path.read_text().splitlines()]
    assert [line for line in written if not line.startswith("{")] == ["long ago", *before, "after"]
    (told,) = (json.loads(line) for line in written if line.startswith("{"))
    assert told["lines_on_stdout_only"] == 8
    shown = capsys.readouterr().out
    assert shown.count("while it was full") == 8
    assert shown.count("cannot be written") == 1


def test_a_folder_that_cannot_be_made_recovers_once_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.log_writer.RETRY_SECONDS", 0.0)
    folder = tmp_path / "logs"
    folder.write_text("in the way")  # a file where the folder should be: root may write anywhere else
    writer = writer_of(folder)
    writer.put("info", b"first\n")
    writer.flush()
    folder.unlink()
    writer.put("info", b"second\n")
    until(lambda: (writer.flush(), folder.is_dir())[1], "the folder is made once it can be")
    writer.close()
    assert (folder / "application.log").read_text().startswith("second\n")


WRITE_A_LOT = """
import sys, time
from pathlib import Path
from app.core.log_files import LogFiles
from app.core.log_writer import LogWriter
writer = LogWriter(LogFiles(Path(sys.argv[1]), "application.log", 10**9, 3), 10**6, lambda *_: b"own\\n")
slowest = 0.0
for number in range(20_000):
    begun = time.monotonic()
    writer.put("info", b"%05d " % number + b"x" * 100 + b"\\n")
    slowest = max(slowest, time.monotonic() - begun)
writer.close()
print(slowest, file=sys.stderr)
"""


@pytest.mark.parametrize("reader", ["none", "asleep"])
def test_a_stdout_that_nobody_reads_holds_up_neither_the_program_nor_the_file(tmp_path: Path, reader: str) -> None:
    begun = time.monotonic()
    program = subprocess.Popen(
        [sys.executable, "-c", WRITE_A_LOT, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "backend"},
    )
    assert program.stdout is not None
    assert program.stderr is not None
    if reader == "none":
        program.stdout.close()
    program.wait(timeout=60)
    assert program.returncode == 0
    assert time.monotonic() - begun < 30
    assert float(program.stderr.read()) < 1
    program.stderr.close()
    if reader == "asleep":
        shown = program.stdout.read().splitlines()
        assert all(len(line) == 106 for line in shown[:-1])
        program.stdout.close()
    assert len((tmp_path / "application.log").read_text().splitlines()) == 20_000


def test_what_waits_for_a_slow_reader_is_bounded_and_arrives_in_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        stdout = Stdout()
        taken = [stdout.write(b"x" * 99_999 + b"\n") for _ in range(30)]
        assert taken[0]
        assert not taken[-1]
        assert sum(taken) * 100_000 < WAITING_BYTES + 200_000  # what the pipe itself holds
        read = b""
        while read.count(b"\n") < sum(taken):
            read += os.read(reader.fileno(), 65_536)
            stdout.write(b"")
        assert {len(line) for line in read.splitlines()} == {99_999}


@contextlib.contextmanager
def slow_reader(monkeypatch: pytest.MonkeyPatch, hiccup: float = 0.0) -> Iterator[list[bytes]]:
    """Of standard output: 4 kB each 15 ms, so that none waits long for the next. It ends when all of it was read.

    `hiccup`: a pause in the middle (seconds).
    """
    reading, writing = os.pipe()
    read: list[bytes] = []

    def take() -> None:
        while piece := os.read(reading, PIPE_BYTES):
            read.append(piece)
            time.sleep(hiccup if len(read) == 30 else 0.015)

    reader = threading.Thread(target=take)
    reader.start()
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        yield read
    reader.join()
    os.close(reading)


def test_a_reader_that_is_slow_holds_up_no_write(monkeypatch: pytest.MonkeyPatch) -> None:
    with slow_reader(monkeypatch):
        stdout, begun = Stdout(), time.monotonic()
        for _ in range(4):
            assert stdout.write(b"x" * 99_999 + b"\n")
        assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize("hiccup", [0.015, 0.1])
def test_a_slow_reader_has_all_lines_at_the_end(monkeypatch: pytest.MonkeyPatch, hiccup: float) -> None:
    with slow_reader(monkeypatch, hiccup) as read:
        writer = HeldWriter(None, 1_000, compose)
        for _ in range(200):
            writer.put("info", b"x" * 999 + b"\n")
        writer.close()
    assert [len(line) for line in b"".join(read).splitlines()] == [999] * 200


def test_the_end_waits_only_so_long_for_a_slow_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.stdout.LAST_PATIENCE_MS", 100)
    with slow_reader(monkeypatch):
        writer = HeldWriter(None, 1_000, compose)
        for _ in range(400):
            writer.put("info", b"x" * 999 + b"\n")
        begun = time.monotonic()
        writer.close()
        assert time.monotonic() - begun < 0.6

"""The files: one writer each, in order by their names, as many as asked for, whatever clock and restarts do."""

import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.core.log_files import MAX_FILES, STALE_FOLDER_SECONDS, LogFiles, remove_stale_folders


class Clock(datetime):
    """The wall clock, which can be set."""

    ahead = timedelta(0)

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime.now(UTC) + cls.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Clock]]:
    monkeypatch.setattr("app.core.log_files.datetime", Clock)
    yield Clock
    Clock.ahead = timedelta(0)


def write(folder: Path, *texts: str, keep: int = 3, max_bytes: int = 10) -> None:
    """By a process of its own, which begins a file."""
    files = LogFiles(folder, "application.log", max_bytes, keep)
    for text in texts:
        files.write(text.encode())
    files.close()


def kept(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob("application.*.log"))]


def test_only_so_many_full_files_are_kept(tmp_path: Path) -> None:
    write(tmp_path, *(f"line number {number}\n" for number in range(8)), keep=3)
    assert kept(tmp_path) == [f"line number {n}\n" for n in (5, 6, 7)]


def test_one_file_alone_can_be_kept(tmp_path: Path) -> None:
    write(tmp_path, *(f"line number {number}\n" for number in range(8)), keep=1)
    assert kept(tmp_path) == ["line number 7\n"]


def test_a_few_restarts_remove_no_line_from_before_them(tmp_path: Path) -> None:
    write(tmp_path, "why it began to fail\n", keep=3, max_bytes=100)
    for _ in range(8):
        write(tmp_path, "started\n", keep=3, max_bytes=100)
    assert kept(tmp_path) == ["why it began to fail\n", *["started\n"] * 8]


def test_small_files_take_no_more_room_than_full_ones(tmp_path: Path) -> None:
    for number in range(40):
        write(tmp_path, f"start number {number:02}\n", keep=3, max_bytes=100)
    assert 200 - 16 < sum(len(text) for text in kept(tmp_path)) <= 300
    assert kept(tmp_path)[-1] == "start number 39\n"


@pytest.mark.parametrize("keep", [5, MAX_FILES + 20])
def test_there_are_never_very_many_files_unless_that_was_asked_for(tmp_path: Path, keep: int) -> None:
    for number in range(MAX_FILES + 30):
        write(tmp_path, f"{number}\n", keep=keep, max_bytes=1_000)
    assert len(kept(tmp_path)) == max(keep, MAX_FILES)
    assert kept(tmp_path)[-1] == f"{MAX_FILES + 29}\n"


def test_a_clock_that_is_set_back_costs_no_line_and_no_order(tmp_path: Path, clock: type[Clock]) -> None:
    clock.ahead = timedelta(hours=1)
    write(tmp_path, *(f"line number {number}\n" for number in range(5)), keep=4)
    clock.ahead = timedelta(0)
    files = LogFiles(tmp_path, "application.log", max_bytes=10, keep=4)
    for number in range(5, 7):
        files.write(f"line number {number}\n".encode())
    assert kept(tmp_path) == [f"line number {n}\n" for n in (3, 4, 5, 6)]
    assert (tmp_path / "application.log").read_text() == "line number 6\n"


def test_a_file_that_sorts_last_and_is_not_the_current_one_costs_no_line(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, "application.log", max_bytes=1_000, keep=1)
    (tmp_path / "application.99999999T999999.999999.log").write_text("a name that is no time\n")
    for number in range(3):
        files.write(f"{number}\n".encode())
    assert kept(tmp_path) == ["0\n1\n2\n"]


def test_processes_that_begin_in_the_same_microsecond_have_a_file_each(tmp_path: Path, clock: type[Clock]) -> None:
    clock.ahead = timedelta(hours=1)
    write(tmp_path, "from before the clock was set back\n", keep=1_000)
    clock.ahead = timedelta(0)
    count = 16
    ready = threading.Barrier(count)

    def begin(number: int) -> None:
        ready.wait()
        write(tmp_path, f"{number}\n", keep=1_000)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kept(tmp_path)[1:]) == sorted(f"{number}\n" for number in range(count))


def test_what_cannot_be_linked_or_removed_costs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "before, and full\n", keep=1)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "symlink", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    write(tmp_path, "after\n", keep=1)
    assert kept(tmp_path) == ["before, and full\n", "after\n"]


def test_files_of_another_name_are_left_alone(tmp_path: Path) -> None:
    others = {"application.mine.log", "other.20200101T000000.000000.log", "application.20200101T000000.000000.txt"}
    for name in others:
        (tmp_path / name).write_text("x" * 100)
    write(tmp_path, *("line\n" for _ in range(8)), keep=1)
    assert others < {path.name for path in tmp_path.iterdir()}


def test_a_removed_file_is_noticed_and_begun_again(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, "application.log", max_bytes=1_000, keep=3)
    files.write(b"before\n")
    (tmp_path / "application.log").resolve().unlink()
    files.write(b"after\n")
    files.close()
    assert (tmp_path / "application.log").read_text() == "after\n"


def folder_of(root: Path, name: str, age: float) -> Path:
    folder = root / name
    folder.mkdir(exist_ok=True)
    for number in range(10):
        path = folder / f"application.{number}.log"
        path.write_text("x\n")
        os.utime(path, (time.time() - age,) * 2)
    return folder


def test_folders_of_replicas_that_are_gone_for_a_week_go_too(tmp_path: Path) -> None:
    old, fresh = folder_of(tmp_path, "old", STALE_FOLDER_SECONDS + 60), folder_of(tmp_path, "fresh", 0)
    (tmp_path / "a file beside them").write_text("x\n")
    remove_stale_folders(tmp_path)
    assert fresh.is_dir()
    assert not old.exists()


def test_without_a_folder_there_is_nothing_to_remove(tmp_path: Path) -> None:
    remove_stale_folders(tmp_path / "not there yet")


def test_a_folder_that_another_replica_removes_meanwhile_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [folder_of(tmp_path, name, STALE_FOLDER_SECONDS + 60) for name in ("one", "two", "three")]
    list_folder = Path.iterdir

    def removed_meanwhile(self: Path) -> Iterator[Path]:
        if self == old[1]:
            raise FileNotFoundError(self)
        return list_folder(self)

    monkeypatch.setattr(Path, "iterdir", removed_meanwhile)
    remove_stale_folders(tmp_path)
    assert [folder.exists() for folder in old] == [False, True, False]

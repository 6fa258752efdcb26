"""A backup a day: made up for when the machine was off, tried again when it failed, and told to Prometheus."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from scripts.backup import nightly
from scripts.backup.archive import BackupError, NothingYet
from scripts.backup.nightly import Newest, due
from scripts.backup.run import Place, made, prune

ROME = ZoneInfo("Europe/Rome")


def place(folder: Path) -> Place:
    return Place(folder, folder, folder / "key", "", {})


def test_one_is_due_when_the_hour_has_passed_since_the_newest() -> None:
    newest = datetime(2026, 1, 10, 2, 31, tzinfo=ROME).timestamp()
    assert not due(datetime(2026, 1, 11, 2, 29, tzinfo=ROME), newest, "02:30")
    assert due(datetime(2026, 1, 11, 2, 30, tzinfo=ROME), newest, "02:30")
    assert due(datetime(2026, 1, 11, 9, 0, tzinfo=ROME), newest, "02:30"), "the machine was off at night"


def test_one_is_due_at_once_where_there_is_none() -> None:
    assert due(datetime(2026, 1, 11, 12, 0, tzinfo=ROME), 0, "02:30")


@pytest.mark.parametrize("day", [29, 30])
def test_one_is_made_a_day_when_the_clocks_change_too(day: int) -> None:
    """In Rome, 2026-03-29 has no 02:30."""
    newest = datetime(2026, 3, day - 1, 2, 40, tzinfo=ROME).timestamp()
    assert due(datetime(2026, 3, day, 4, 0, tzinfo=ROME), newest, "02:30")


@pytest.mark.parametrize("at", ["", "25:00", "half past two"])
def test_a_time_that_is_none_is_refused(at: str) -> None:
    with pytest.raises(BackupError, match=rf"BACKUP_AT={at} is no time of the day: write it as 02:30"):
        due(datetime.now(UTC), 0, at)


def test_old_archives_go_and_the_newest_stays_however_old(tmp_path: Path) -> None:
    names = ["specola-20200101T000000Z.tar", "specola-20200102T000000Z.tar.age"]
    for name in (*names, "other.tar"):
        (tmp_path / name).touch()
    said: list[str] = []
    prune(place(tmp_path), 14, said.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.tar", names[1]]
    assert said == [f"removed {names[0]}, which is older than 14 days"]


def test_a_copy_under_another_name_is_neither_the_newest_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "specola-20200101T000000Z.tar").touch()
    (tmp_path / "specola-golden.tar").touch()
    (newest,) = place(tmp_path).archives()
    assert newest.name == "specola-20200101T000000Z.tar"
    prune(place(tmp_path), 1, lambda _: None)
    assert (tmp_path / "specola-golden.tar").exists()


def test_an_archive_within_its_days_stays(tmp_path: Path) -> None:
    stamps = [f"specola-{datetime.now(UTC):%Y%m%dT%H%M}{second:02}Z.tar" for second in (1, 2)]
    for name in stamps:
        (tmp_path / name).touch()
    prune(place(tmp_path), 1, print)
    assert sorted(path.name for path in tmp_path.iterdir()) == stamps


class Slept(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "pauses"),
    [(NothingYet("no documents"), [5.0, 5.0, 30.0]), (BackupError("a full disk"), [30.0, 30.0, 30.0])],
)
def test_a_stack_that_comes_up_for_the_first_time_is_looked_at_again_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BackupError, pauses: list[float]
) -> None:
    slept: list[float] = []
    attempts = [error, error, None]

    def back_up(*_: object) -> None:
        if failure := attempts.pop(0):
            raise failure
        (tmp_path / f"specola-{datetime.now(UTC):%Y%m%dT%H%M%S}Z.tar").touch()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise Slept

    monkeypatch.setattr(nightly, "back_up", back_up)
    monkeypatch.setattr(nightly.time, "sleep", sleep)
    monkeypatch.setattr(nightly, "start_http_server", lambda *_: None)
    environment = {"BACKUP_AT": "02:30", "TIMEZONE": "UTC", "BACKUP_KEEP_DAYS": "1", "PORT": "0", "HOST": ""}
    with pytest.raises(Slept):
        nightly.serve(Place(tmp_path, tmp_path, tmp_path / "key", "", environment), lambda _: None)
    assert slept == pauses
    assert len(attempts) == (0 if isinstance(error, NothingYet) else 2), "a failure is tried again half an hour later"


def test_prometheus_is_told_of_the_newest_archive(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(Newest(place(tmp_path)))  # type: ignore[arg-type]
    assert b"\nbackup_last_success_timestamp_seconds 0.0\n" in generate_latest(registry)
    (tmp_path / "specola-20260101T000000Z.tar").write_text("old")
    newest = tmp_path / "specola-20260102T000000Z.tar.age"
    newest.write_text("newest")
    (tmp_path / ".specola-20260103T000000Z.tar.partial").write_text("half")
    text = generate_latest(registry).decode()
    assert made(newest) == 1767312000
    assert "\nbackup_last_success_timestamp_seconds 1.767312e+09\n" in text
    assert "\nbackup_size_bytes 6.0\n" in text

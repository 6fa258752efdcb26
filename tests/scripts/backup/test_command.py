"""`make backup` and `make restore` in containers: what is asked of compose, in which order, and what ends it.

A program in place of the engine writes down how it is called.
"""

import io
import json
import sys
from pathlib import Path

import pytest

from scripts.backup import __main__ as backup
from scripts.backup import command
from scripts.backup.run import STORE_SETTINGS
from scripts.local.compose import load

#: Fails at what contains FAIL_AT; `occupied` and `ps` say HELD and RUNNING; `info` is an engine that answers.
ENGINE = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
  *"${FAIL_AT:-no such call}"*) echo "it failed" >&2; exit 3 ;;
  *" occupied") printf "%s" "$HELD" ;;
  *" ps --services") printf "%s" "$RUNNING" ;;
  *" config --format json") printf '%s' "$CONFIG" ;;
esac
"""
RUN = "compose run --rm --no-deps"
INSIDE = "python -m scripts.backup"


class Engine:
    """The engine's calls, in order."""

    def __init__(self, folder: Path) -> None:
        self._calls = folder / "calls"
        self.archive = folder / "specola-1.tar"
        self.archive.write_bytes(b"")
        self.mounted = f"-v {self.archive}:/archive/specola-1.tar:ro"

    @property
    def calls(self) -> list[str]:
        lines = self._calls.read_text().splitlines()
        return [line for line in lines if line not in ("info", "compose version") and not line.startswith("ps -aq")]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    program = tmp_path / "engine"
    program.write_text(ENGINE)
    program.chmod(0o755)
    monkeypatch.setattr(command, "PROJECT", tmp_path)
    for name, value in {
        "COMPOSE": f"{program} compose",
        "CALLS": str(tmp_path / "calls"),
        "LOCAL": "",
        "YES": "",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BACKUP_DIR", str(tmp_path / "mine"))
    return Engine(tmp_path)


def say(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(word + "\n"))


def test_a_backup_is_made_by_its_service_into_a_folder_of_ours(engine: Engine, tmp_path: Path) -> None:
    assert backup.main(["backup"]) == 0
    assert engine.calls == [f"{RUN} backup {INSIDE} now"]
    assert (tmp_path / "mine").is_dir(), "Docker would have made it, for root"


def test_an_archive_is_checked_before_anything_stops_and_what_holds_data_is_stopped_before_it_is_replaced(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HELD", "3 documents\n")
    monkeypatch.setenv("RUNNING", "mongodb\nqdrant\nbackend\nsecrets\nloki\n")
    say(monkeypatch, "yes")
    assert backup.main(["restore", str(engine.archive)]) == 0
    assert engine.calls == [
        f"{RUN} {engine.mounted} restore {INSIDE} check /archive/specola-1.tar",
        "compose up -d --wait mongodb qdrant",
        f"{RUN} -T restore {INSIDE} occupied",
        "compose --profile * ps --services",
        "compose --profile * stop backend loki",
        f"{RUN} {engine.mounted} restore {INSIDE} put-back /archive/specola-1.tar",
    ]
    said = capsys.readouterr().out
    assert "This stops the stack and replaces:\n  3 documents\n" in said
    assert "`make up` starts the stack." in said


@pytest.mark.parametrize("answer", ["no", ""])
def test_without_a_yes_nothing_is_replaced(
    engine: Engine, answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HELD", "3 documents\n")
    say(monkeypatch, answer)
    assert backup.main(["restore", str(engine.archive)]) == 1
    assert engine.calls[-1].endswith("occupied"), "nothing was stopped either"
    assert "Nothing was replaced" in capsys.readouterr().out


@pytest.mark.parametrize(("held", "yes"), [("", ""), ("3 documents\n", "1")])
def test_nobody_is_asked_where_there_is_nothing_to_lose_or_the_answer_is_given(
    engine: Engine, held: str, yes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELD", held)
    monkeypatch.setenv("YES", yes)
    monkeypatch.setattr(sys, "stdin", None)  # whoever asks fails
    assert backup.main(["restore", str(engine.archive)]) == 0
    assert "put-back" in engine.calls[-1]
    assert not any(" stop " in call for call in engine.calls), "nothing ran"


@pytest.mark.parametrize("at", [" check ", "up -d --wait", " occupied"])
def test_what_fails_before_the_data_is_touched_ends_it_there(
    engine: Engine, at: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIL_AT", at)
    assert backup.main(["restore", str(engine.archive)]) != 0
    assert at.strip() in engine.calls[-1]
    assert "it failed" in capsys.readouterr().err or at != " occupied"


def test_a_key_is_given_to_the_container_that_reads_the_archive(engine: Engine, tmp_path: Path) -> None:
    key = tmp_path / "key.txt"
    assert backup.main(["restore", str(engine.archive), str(key)]) == 0
    assert f"-v {key}:/key:ro -e BACKUP_KEY=/key restore" in engine.calls[0]


def test_one_store_alone_is_put_back_into_a_new_volume(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIG", json.dumps({"volumes": {"mongodb-data": {"name": "specola_mongodb-data"}}}))
    assert backup.main(["only", str(engine.archive), "documents", "logs"]) == 0
    first, *middle, last = engine.calls
    assert first.endswith(f"{INSIDE} check /archive/specola-1.tar"), "an archive that is not whole changes nothing"
    assert middle == [
        "compose rm -sf mongodb",
        "compose config --format json",
        "volume rm -f specola_mongodb-data",
        "compose up -d --no-deps --wait mongodb",
    ]
    assert last.endswith(f"{INSIDE} put-back /archive/specola-1.tar documents logs")


@pytest.mark.parametrize("at", [" check ", "rm -sf", "--no-deps --wait mongodb"])
def test_a_store_that_cannot_be_emptied_is_not_filled(engine: Engine, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIG", json.dumps({"volumes": {"mongodb-data": {"name": "data"}}}))
    monkeypatch.setenv("FAIL_AT", at)
    assert backup.main(["only", str(engine.archive), "documents"]) == 3
    assert "put-back" not in engine.calls[-1]


def test_whoever_names_no_archive_sees_those_there_are(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backup.main(["restore"]) == 1
    assert f"There is no archive in {tmp_path / 'mine'}." in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    archive = tmp_path / "mine" / "specola-20260102T030405Z.tar.age"
    archive.touch()
    (tmp_path / "mine" / "specola-golden.tar").touch()
    assert backup.main(["restore"]) == 1
    assert f"say which: make restore FROM=…\n  {archive}\n" in capsys.readouterr().err


def test_no_archive_of_nothing_is_made_while_the_engine_is_away(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIL_AT", "info")
    assert backup.main(["backup"]) == 1
    assert "engine answers: start it, or set LOCAL=1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("COMPOSE", "docker 'compose", "COMPOSE=docker 'compose cannot be read"),
        ("LOCAL", "1", "nothing was ever started"),
    ],
)
def test_why_there_is_no_backup_is_a_sentence(
    engine: Engine,
    name: str,
    value: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(name, value)
    nowhere = {"DATA_DIR": "data", "BACKUPS": "mine", "BACKUP_KEY": "key", "SQLITE_PATH": "data/backend-data/a.db"}
    environment = {key: str(tmp_path / path) for key, path in nowhere.items()}
    environment |= {"PROMETHEUS_URL": "", "DOCUMENT_STORE": "sqlite", "VECTOR_STORE": "local"}
    monkeypatch.setattr(command, "place", lambda: command.run.Place.of(environment))
    assert backup.main(["backup"]) == 1
    assert told in capsys.readouterr().err


def test_the_container_is_told_all_that_reaches_the_stores() -> None:
    """What the backend reads from `.env` itself, and this service has to be given."""
    given = load(command.PROJECT)["backup"].environment
    assert set(STORE_SETTINGS) - {"SQLITE_PATH", "QDRANT_PATH", "AUTHORITY_FILE"} <= set(given)


def test_an_archive_that_there_is_not_is_named(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert backup.main(["restore", "elsewhere.tar"]) == 1
    assert "there is no archive " in capsys.readouterr().err


def test_local_processes_have_their_data_where_the_runner_puts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT_PROMETHEUS", "9999")
    place = command.place(Path("/somewhere/key"))
    assert place.data == command.PROJECT / ".data"
    assert place.prometheus == "http://127.0.0.1:9999"
    assert place.keys == Path("/somewhere/key")
    assert {"documents", "vectors", "prometheus"} <= {part.name for part in place.parts()}


class Processes:
    """Local processes whose data is in a folder, and what was done to them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        (folder / ".run").mkdir()
        monkeypatch.setattr(command, "PROJECT", folder)
        monkeypatch.setattr(command, "place", lambda keys=None: f"data read with {keys}")
        monkeypatch.setattr(command, "local", lambda what: self.done.append(what) or 0)
        monkeypatch.setattr(command.run, "check", lambda place, _: self.done.append(f"check {place}"))
        monkeypatch.setattr(command.run, "occupied", lambda _: ["3 documents"])
        monkeypatch.setattr(command.run, "put_back", lambda _, __, ___, *names: self.done.append(f"put back {names}"))
        monkeypatch.setattr(command.run, "back_up", lambda place, _: self.done.append(f"back up {place}"))
        for name, value in {"LOCAL": "1", "YES": "1"}.items():
            monkeypatch.setenv(name, value)


def test_local_processes_are_checked_stopped_and_replaced_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes(tmp_path, monkeypatch)
    (archive := tmp_path / "specola-1.tar").touch()
    assert backup.main(["restore", str(archive), "key"]) == 0
    assert processes.done == ["check data read with key", "down", "put back ()"]
    assert backup.main(["backup"]) == 0
    assert backup.main(["only", str(archive), "documents"]) == 0
    assert processes.done[3:] == ["back up data read with None", "put back (['documents'],)"]

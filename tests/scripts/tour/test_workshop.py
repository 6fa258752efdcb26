"""The copy in which a newcomer tries: what is new in it is named, and what is wrong with it is said."""

import shutil
from pathlib import Path

import pytest

from scripts.addresses import PROJECT
from scripts.tour import workshop

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(PROJECT, folder, ignore=workshop._left_out, symlinks=True)
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    return workshop.open_copy(folder)


def test_a_new_copy_has_nothing_of_its_own(copy: Path) -> None:
    assert workshop.added(PROJECT, copy) == {"metric": set(), "panel": set(), "alert": set()}


def test_the_example_is_new_and_keeps_every_rule_of_the_project(copy: Path) -> None:
    workshop.make_own(copy)
    named = {"metric": {"greetings_total"}, "panel": {"Greetings"}, "alert": {"GreetingsMany"}}
    assert workshop.added(PROJECT, copy) == named
    assert workshop.check(copy) == ""


def test_a_panel_whose_file_was_not_written_is_told(copy: Path) -> None:
    board = copy / "monitoring/dashboards/system_overview.py"
    board.write_text(
        board.read_text(encoding="utf-8").replace('title="Error Rate"', 'title="Errors"'), encoding="utf-8"
    )
    assert 'is "Error Rate" in the file and "Errors" in the code' in workshop.check(copy)


def test_neither_data_nor_secrets_are_copied(tmp_path: Path) -> None:
    for name in (".data/backend-data/a.db", ".data/wal", "secrets/staging/key", "secrets/backup/key", "kept/data/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "secrets/backup/README.md").touch()
    copy = workshop.open_copy(tmp_path)
    assert sorted(str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()) == [
        "kept/data/x",
        "secrets/backup/README.md",
    ]

"""The share of the traffic's questions for which the right document is found first."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.retrieval import main

REPOSITORY = Path(__file__).resolve().parents[2]
CATS = "Cats sleep through most of the day and hunt mice in the garden at night. " * 4
BOATS = "A boat needs wind in its sails, a rudder, and somebody at the helm who knows the harbour. " * 4


def repository(folder: Path, *questions: tuple[str, str]) -> list[str]:
    """A folder of two documents; the arguments that name it and its questions."""
    (folder / "cats.md").write_text(f"# Cats\n\n## Habits\n\n{CATS}\n")
    (folder / "boats.md").write_text(f"# Boats\n\n## Sailing\n\n{BOATS}\n")
    path = folder / "questions.json"
    path.write_text(json.dumps([{"question": text, "source": source} for text, source in questions]))
    return ["--root", str(folder), "--questions", str(path)]


def test_the_share_and_each_miss_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = repository(
        tmp_path, ("Who hunts mice at night?", "cats.md"), ("Who stands at the helm of a boat?", "cats.md")
    )
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        "cats.md at place 2, after boats: Who stands at the helm of a boat?",
        "The right document comes first for 1 of 2 questions: 50 %",
    ]


def test_below_the_minimum_it_fails_and_says_what_to_look_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = repository(tmp_path, ("Who hunts mice?", "cats.md"), ("Whose are the sails?", "cats.md"))
    assert main([*arguments, "--minimum", "0.5"]) == 0
    assert main([*arguments, "--minimum", "0.6"]) == 1
    assert "below the minimum of 60 %" in capsys.readouterr().err


def test_questions_about_missing_documents_are_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(repository(tmp_path, ("Who hunts mice?", "cats.md"), ("Why?", "gone.md"))) == 0
    out = capsys.readouterr().out
    assert "1 questions are left out" in out
    assert "1 of 1 questions: 100 %" in out


def test_without_anything_to_measure_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(repository(tmp_path, ("Why?", "gone.md"))) == 2
    assert "retrieval: none of the 1 questions" in capsys.readouterr().err


def test_it_runs_as_a_command_from_the_repository(tmp_path: Path) -> None:
    arguments = repository(tmp_path, ("Who hunts mice at night?", "cats.md"))
    end = subprocess.run(
        [sys.executable, "-m", "scripts.retrieval", *arguments],
        cwd=REPOSITORY,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (end.returncode, end.stderr) == (0, "")
    assert "100 %" in end.stdout


def test_for_the_repositorys_own_documents_it_is_at_least_eighty_percent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--minimum", "0.8"]) == 0, capsys.readouterr()

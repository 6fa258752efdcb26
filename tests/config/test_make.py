"""The Makefile, where it goes wrong on other machines, and beside what says the same elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.programs import PROJECT


def make(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = ["make", "--no-print-directory", *map(str, arguments)]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=PROJECT, env=outside, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("target", ["up", "down", "clean", "status", "reload", "traffic"])
def test_an_older_python_is_told_so_before_anything_is_read(target: str, tmp_path: Path) -> None:
    older = program(
        tmp_path / "older",
        f"""[ "$1" = -c ] || {{ echo "read: $*"; exit 0; }}
exec {sys.executable} -c "import sys; sys.version_info, sys.version = (3, 9, 2), '3.9.2 (main)'
$2"
""",
    )
    answer = make(target, f"PYTHON={older}", f"VENV={tmp_path / 'venv'}")
    assert answer.returncode
    assert f"Specola needs Python 3.11 or newer, and {older} is 3.9.2" in answer.stderr
    assert "read:" not in answer.stdout


def test_an_environment_that_could_not_be_made_is_not_taken_for_one_the_next_time(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    without_pip = program(
        tmp_path / "python",
        f"""[ "$2" = venv ] || exec {sys.executable} "$@"
mkdir -p "$3/bin" && touch "$3/bin/python" && echo "apt install python3-venv" && exit 1
""",
    )
    for _ in range(2):
        answer = make(environment / "bin" / "python", f"PYTHON={without_pip}", f"VENV={environment}")
        assert answer.returncode
        assert "apt install python3-venv" in answer.stdout
        assert not environment.exists()


def test_what_is_checked_before_a_commit_is_checked_by_make_too() -> None:
    hooks = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    recipe = make("--dry-run", "check").stdout
    assert [hook["id"] for hook in hooks if f"{hook['entry']} " not in f"{recipe} ".replace("\n", " \n")] == []


def test_every_dockerfile_is_linted() -> None:
    linted = next(line for line in make("--dry-run", "check").stdout.splitlines() if "hadolint" in line).split()[1:]
    tracked = subprocess.run(
        ["git", "ls-files", "*Dockerfile"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert linted == tracked.stdout.splitlines()

"""Programs that a test runs and does not bring itself: found here, else Debian's package, else skipped by name."""

import subprocess
from pathlib import Path

import pytest

from scripts.addresses import PROJECT
from scripts.local.debian import Debian, DebianError
from scripts.local.lookup import TOOLS, look
from scripts.local.report import Report

#: Debian's package of a program, and the folder below .tools/ where the local runner unpacks the same.
PACKAGES = {
    "promtool": ("prometheus", "prometheus-debian"),
    "amtool": ("prometheus-alertmanager", "alertmanager-debian"),
}


def program(name: str) -> str:
    """The program's path; skips the test by name where it is not to be had."""
    path = look(name)
    if path is None and name in PACKAGES:
        package, folder = PACKAGES[name]
        try:
            Debian(TOOLS, Report()).unpack(package, TOOLS / folder)
            path = look(name)
        except DebianError as error:
            pytest.skip(f"{name} is not here, and Debian's package {package} is not to be had: {error}")
    if path is None:
        pytest.skip(f"{name} is not here: put it on PATH or into .tools/, or name its folder in TOOLS_PATH")
    return path


def refusal(name: str, *arguments: str, folder: Path = PROJECT) -> str:
    """What a program objects to in a file that it judges; empty where it accepts the file."""
    return _asked(name, *arguments, folder=folder)[0]


def accepted(name: str, *arguments: str, folder: Path = PROJECT) -> str:
    """Runs a program that judges a file; what it says is the failure's message. Gives what it printed."""
    objection, said = _asked(name, *arguments, folder=folder)
    assert not objection, objection
    return said


def _asked(name: str, *arguments: str, folder: Path) -> tuple[str, str]:
    command = [program(name), *arguments]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    said = answer.stdout + answer.stderr
    return (f"{name} {' '.join(arguments)}:\n{said}" if answer.returncode else ""), said

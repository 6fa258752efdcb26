"""Programs that a test runs and does not bring itself: found here, else Debian's package, else skipped by name."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.local.debian import Debian, DebianError
from scripts.local.report import Report

PROJECT = Path(__file__).resolve().parents[1]
TOOLS = PROJECT / ".tools"
#: Debian's package of a program, and the folder below .tools/ where the local runner unpacks the same.
PACKAGES = {
    "promtool": ("prometheus", "prometheus-debian"),
    "amtool": ("prometheus-alertmanager", "alertmanager-debian"),
}


def look(name: str) -> str | None:
    """The program's path: on PATH, in TOOLS_PATH's folders, or below .tools/."""
    given = [Path(entry) for entry in os.environ.get("TOOLS_PATH", "").split(os.pathsep) if entry]
    own = sorted(TOOLS.glob("*")) if TOOLS.is_dir() else []
    places = [folder / part for folder in (*given, TOOLS, *own) for part in (".", "bin", "usr/bin")]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, places)))


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


def accepted(name: str, *arguments: str, folder: Path = PROJECT) -> str:
    """Runs a program that judges a file; what it says is the failure's message. Gives what it printed."""
    command = [program(name), *arguments]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, f"{name} {' '.join(arguments)}:\n{answer.stdout}{answer.stderr}"
    return answer.stdout + answer.stderr

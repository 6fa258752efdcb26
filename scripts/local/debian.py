"""Debian's own packages, unpacked into `.tools/` without being installed."""

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from scripts.local.report import Report

#: Seconds for one call of apt-get: package lists are tens of megabytes.
LIMIT = 180
_INSTALLED, _RELATIVE = b"/usr/share/prometheus", b".//./share/prometheus"


class DebianError(Exception):
    """A package that cannot be had; the message says why."""


@dataclass
class Debian:
    """Debian's packages for this project. The system's package lists are read and never changed."""

    tools: Path
    report: Report
    _own_lists: list[str] | None = field(default=None, init=False)
    _refused: str = field(default="", init=False)

    def unpack(self, package: str, folder: Path) -> None:
        """Download a package, which apt checks against its signed lists, and unpack it. Raises DebianError."""
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            raise DebianError("this is no Debian, so it has no package either")
        self.tools.mkdir(parents=True, exist_ok=True)
        was_there = folder.exists()
        with (self.tools / "debian.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another run here may want the same
            if was_there or not folder.exists():  # else it has just done so
                self._unpack(package, folder)

    def _unpack(self, package: str, folder: Path) -> None:
        options = self._options(package)
        downloads = self.tools / "downloads" / package
        shutil.rmtree(downloads, ignore_errors=True)
        downloads.mkdir(parents=True)
        try:
            self.report.say(f"downloading Debian's package {package} …")
            _apt([*options, "download", package, *_page_parts(options, package)], downloads)
            unpacked = folder.with_name(f"{folder.name}.new")
            shutil.rmtree(unpacked, ignore_errors=True)
            for file in sorted(downloads.glob("*.deb")):
                _run(["dpkg", "-x", str(file), str(unpacked)], downloads)
            for program in (unpacked / "usr" / "bin").glob("*"):
                _relocate(program)
            shutil.rmtree(folder, ignore_errors=True)
            unpacked.rename(folder)
        finally:
            shutil.rmtree(downloads, ignore_errors=True)

    def _options(self, package: str) -> list[str]:
        """apt's options for the system's lists where they know the package, else for lists of our own."""
        if self._own_lists is None and _has_candidate([], package):
            return []
        if self._own_lists is None:
            self._own_lists = self._update()
        if self._refused:
            raise DebianError(self._refused)
        if not _has_candidate(self._own_lists, package):
            raise DebianError(f"Debian's package lists have no {package}")
        return self._own_lists

    def _update(self) -> list[str]:
        state = self.tools / "apt"
        for name in ("state/lists/partial", "cache/archives/partial"):
            (state / name).mkdir(parents=True, exist_ok=True)
        options = _options_of(state)
        self.report.say("reading Debian's package lists …")
        try:
            _apt([*options, "-o", "APT::Update::Error-Mode=any", "update"], state)
        except DebianError as error:
            self._refused = str(error)
        return options


def working_folder(folder: Path) -> Path:
    """Where a program has to be started that was unpacked into `folder`."""
    return folder / "usr"


def _options_of(state: Path) -> list[str]:
    settings = {
        "Dir::State": state / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": state / "cache",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _page_parts(options: list[str], package: str) -> list[str]:
    """What a program's own web page is made of: Debian keeps scripts and fonts in packages of their own."""
    leave_out = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
    command = ["apt-cache", *options, "depends", "--recurse", *leave_out, package]
    names = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False).stdout.splitlines()
    return sorted({name for name in names if name.startswith(("libjs-", "fonts-"))})


def _relocate(program: Path) -> None:
    """Let a program find its files beside itself: Debian's look below /usr/share, where nothing was installed.

    The new path is as long as the old one, as it has to be, and relative to the folder that the program is
    started in (`working_folder`).
    """
    content = program.read_bytes()
    if _INSTALLED in content:
        program.write_bytes(content.replace(_INSTALLED, _RELATIVE))


def _has_candidate(options: list[str], package: str) -> bool:
    command = ["apt-cache", *options, "show", "--no-all-versions", package]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and "Package:" in answer.stdout


def _apt(arguments: list[str], folder: Path) -> None:
    limits = ["-o", "Acquire::http::Timeout=10", "-o", "Acquire::https::Timeout=10", "-o", "Acquire::Retries=1"]
    # As root, apt would download as the user _apt, who may not write here.
    user = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    _run(["apt-get", "-q", *limits, *user, *arguments], folder)


def _run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DebianError(f"`{command[0]}` did not end within {LIMIT} s") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()
        raise DebianError(f"`{command[0]}` failed: {lines[0].removeprefix('E: ')}")

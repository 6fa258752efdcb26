"""Finds the program that stands for a service: on this machine, else from its makers, else from Debian."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.local.compose import Local, Service
from scripts.local.debian import Debian, DebianError, working_folder
from scripts.local.download import Downloader, DownloadError, fill, system

#: Seconds that a program may take to tell its version.
VERSION_LIMIT = 10


@dataclass(frozen=True)
class Found:
    """A program and where it comes from. `version` is empty if it tells none.

    `home` is the folder that some programs need, `folder` the one that it has to be started in (None: any).
    """

    path: Path
    home: Path | None
    version: str
    origin: str
    folder: Path | None = None


@dataclass(frozen=True)
class Missing:
    """Why there is no program for a service, and what would help."""

    reasons: tuple[str, ...]
    remedy: str


class _UnfitError(Exception):
    """A program that is there and cannot be used; the message says why."""


@dataclass
class Finder:
    """Looks on PATH, in TOOLS_PATH's folders and in `.tools/`, then downloads."""

    tools: Path
    environment: Mapping[str, str]
    downloader: Downloader
    debian: Debian

    def find(self, service: Service) -> Found | Missing:
        """The program for a service that has one."""
        local = service.local
        assert local is not None, f"{service.name} has no x-local key"
        if local.program == "python":
            return Found(Path(sys.executable), None, platform.python_version(), "this Python")
        refused: list[str] = []
        for path, origin in self._here(local, service.version):
            try:
                return self._examine(path, local, origin)
            except _UnfitError as error:
                refused.append(str(error))
        return self._fetch(service, local, refused)

    def _here(self, local: Local, version: str) -> Iterator[tuple[Path, str]]:
        """Every file that could be the program, the preferred ones first, each once."""
        seen: set[Path] = set()
        for folder, origin in self._folders(local, version):
            for name in _names(local):
                path = folder / name
                if path.is_file() and os.access(path, os.X_OK) and path not in seen:
                    seen.add(path)
                    yield path, origin

    def _folders(self, local: Local, version: str) -> Iterator[tuple[Path, str]]:
        for entry in self.environment.get("PATH", os.defpath).split(os.pathsep):
            yield Path(entry), "PATH"
        given = self.environment.get("TOOLS_PATH", "").split(os.pathsep)
        folders = [Path(entry).expanduser().absolute() for entry in given if entry]
        within = [place for folder in folders for place in (folder, folder / local.program)]
        for place in (*within, *(folder.parent / local.program for folder in folders)):
            yield place, "TOOLS_PATH"
            yield place / "bin", "TOOLS_PATH"
        own = (self.tools / f"{local.program}-{version}", self.tools, self.tools / local.program)
        for place in (*own, self._debian_folder(local)):
            yield from ((place / part, ".tools") for part in (".", "bin", "usr/bin", "usr/sbin"))

    def _debian_folder(self, local: Local) -> Path:
        return self.tools / f"{local.program}-debian"

    def _fetch(self, service: Service, local: Local, refused: list[str]) -> Found | Missing:
        if local.archive:
            try:
                folder = self.downloader.fetch(local.archive, local.program, service.version)
                return self._unpacked(folder, local, "its makers' release")
            except (DownloadError, _UnfitError) as error:
                refused.append(str(error))
        if local.debian:
            folder = self._debian_folder(local)
            try:
                self.debian.unpack(local.debian, folder)
                return self._unpacked(folder, local, "Debian's package")
            except (DebianError, _UnfitError) as error:
                refused.append(f"Debian's package {local.debian}: {error}")
        remedy = f"put `{local.program}` on PATH or into .tools/, or name its folder in TOOLS_PATH"
        if local.archive:
            remedy += f"; its release is {fill(local.archive.url, service.version)}"
        return Missing(tuple(refused) or (f"no `{local.program}` on PATH, in TOOLS_PATH or in .tools/",), remedy)

    def _unpacked(self, folder: Path, local: Local, origin: str) -> Found:
        for part in (".", "bin", "usr/bin", "usr/sbin"):
            for name in _names(local):
                if (folder / part / name).is_file():
                    return self._examine(folder / part / name, local, origin)
        shutil.rmtree(folder)
        raise _UnfitError(f"{origin} holds no program called {' or '.join(_names(local))}")

    def _examine(self, path: Path, local: Local, origin: str) -> Found:
        home = _home(path) if local.home else None
        if local.home and home is None:
            raise _UnfitError(f"{path} has no home folder (conf/defaults.ini and public/) beside it")
        version = _version(path)
        if local.minimum and version and _numbers(version) < _numbers(local.minimum):
            raise _UnfitError(f"{path} is {version}, and {local.minimum} is the oldest that this stack works with")
        debian = self._debian_folder(local)
        folder = working_folder(debian) if path.is_relative_to(debian) else None
        return Found(path.absolute(), home, version, origin, folder)


def _names(local: Local) -> tuple[str, ...]:
    """What the program's file may be called, as some releases name it after the machine."""
    return (local.program, *local.names, "-".join((local.program, *system())))


def _home(path: Path) -> Path | None:
    """The folder with conf/ and public/ that a program was unpacked or installed with."""
    resolved = path.resolve()
    packaged = resolved.parents[1] / "share" / path.name.removesuffix("-server")  # /usr/sbin and /usr/share
    for folder in (path.absolute().parents[1], resolved.parents[1], packaged):
        if (folder / "conf" / "defaults.ini").is_file() and (folder / "public").is_dir():
            return folder
    return None


def _version(path: Path) -> str:
    """The version that a program tells, such as 2.42.0; empty if it tells none."""
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _UnfitError(f"{path} cannot be run: {error}") from error
    told = re.search(r"version[ :=]+v?(\d+\.\d+(?:\.\d+)?)", answer.stdout + answer.stderr, re.IGNORECASE)
    return told[1] if told else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])

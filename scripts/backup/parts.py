"""The stores that keep their data in files: how each is copied while it runs, and put back while it does not."""

import os
import shutil
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import httpx

from app.core.authority import trusted
from scripts.backup.archive import BackupError

#: Alertmanager writes its silences every 15 s (docker-compose.yml): after two of them it is not going to.
SILENCES_SECONDS = 40.0
#: A copy that still differs from its source after so many rounds is of no one moment.
ROUNDS = 20


class Part(ABC):
    """One store's share of a backup. `kind`: what wrote it, which a restore needs again. Calls raise BackupError."""

    name = kind = ""

    @abstractmethod
    def collect(self, target: Path) -> None:
        """Writes what the store holds below `target`, a folder that is there."""

    @abstractmethod
    def holds(self) -> str:
        """What is there already, in words; empty if nothing is."""

    @abstractmethod
    def put_back(self, source: Path) -> None:
        """Replaces what is there by what `collect` wrote."""


class InFiles(Part):
    """A store whose files are in a folder here."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder


class Folder(InFiles):
    """A folder of files that are only appended to or replaced: Loki's and Tempo's."""

    kind = "folder"

    def __init__(self, name: str, folder: Path, without: Iterable[str] = ()) -> None:
        """`without`: folders within it that are caches, or work that is done again."""
        super().__init__(name, folder)
        self._without = tuple(without)

    def collect(self, target: Path) -> None:
        copy_live(self.folder, target, self._without)

    def holds(self) -> str:
        return f"files in {self.folder}" if any(self.folder.glob("*/*")) else ""

    def put_back(self, source: Path) -> None:
        for old in self.folder.iterdir() if self.folder.is_dir() else ():
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
        copy_files(source, self.folder)


class Prometheus(Folder):
    """Its snapshot: blocks, the newest samples among them. It needs --web.enable-admin-api."""

    kind = "prometheus"

    def __init__(self, folder: Path, url: str, password_file: str = "", authority_file: str = "") -> None:
        """`password_file`: with the password of its user `prometheus`, where it asks for one.

        `authority_file`: what signed its certificate, for an https:// `url`.
        """
        super().__init__("prometheus", folder)
        self._url, self._password_file, self._authority = url, password_file, authority_file

    def collect(self, target: Path) -> None:
        auth = ("prometheus", Path(self._password_file).read_text().strip()) if self._password_file else None
        try:
            path, verify = "/api/v1/admin/tsdb/snapshot", trusted(self._authority)
            answer = httpx.post(self._url + path, auth=auth, timeout=300, verify=verify, trust_env=False)
        except httpx.HTTPError as error:
            raise BackupError(f"Prometheus at {self._url} makes no snapshot: {error}") from None
        if not answer.is_success:  # its reason, such as "admin APIs disabled"
            raise BackupError(f"Prometheus at {self._url} makes no snapshot: HTTP {answer.status_code} {answer.text}")
        name = answer.json()["data"]["name"]
        snapshot = self.folder / "snapshots" / name
        try:
            copy_files(snapshot, target)
        finally:
            shutil.rmtree(snapshot)  # it would keep blocks on the disk that are past their retention


class Alertmanager(Folder):
    """Its silences, and whom it has told what. It writes both anew every few seconds, whole."""

    kind = "alertmanager"

    def __init__(self, folder: Path, seconds: float = SILENCES_SECONDS) -> None:
        super().__init__("alertmanager", folder)
        self._seconds = seconds

    def collect(self, target: Path) -> None:
        since, deadline = time.time(), time.monotonic() + self._seconds
        for file in (self.folder / "silences", self.folder / "nflog"):
            while not file.is_file() or file.stat().st_mtime < since:
                if time.monotonic() > deadline:
                    raise BackupError(f"Alertmanager has not written {file} for {self._seconds:g} s: does it run?")
                time.sleep(0.2)
            shutil.copyfile(file, target / file.name)

    def holds(self) -> str:
        return f"files in {self.folder}" if any(self.folder.glob("*")) else ""


class Sqlite(InFiles):
    """Databases in SQLite files, each copied as of one moment by SQLite itself; and `beside`, small files of theirs."""

    kind = "sqlite"

    def __init__(self, name: str, folder: Path, pattern: str, beside: Iterable[str] = ()) -> None:
        super().__init__(name, folder)
        self._patterns, self._plain = (pattern, *beside), tuple(beside)

    def collect(self, target: Path) -> None:
        for file in self._files():
            copy = target / file.relative_to(self.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if file.name in self._plain:
                shutil.copyfile(file, copy)
                continue
            try:
                with (
                    closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as here,
                    closing(sqlite3.connect(copy)) as there,
                ):
                    here.backup(there)
            except sqlite3.Error as error:
                raise BackupError(f"the database {file} cannot be copied: {error}") from None

    def holds(self) -> str:
        return f"a database in {self.folder}" if any(self._files()) else ""

    def put_back(self, source: Path) -> None:
        for old in self._files():
            for file in old.parent.glob(f"{old.name}*"):  # with its write-ahead log and its journal
                file.unlink()
        copy_files(source, self.folder)

    def _files(self) -> list[Path]:
        return [file for pattern in self._patterns for file in self.folder.glob(pattern)]


def copy_files(source: Path, target: Path) -> None:
    """Copies files without their times and modes: only its owner may set those of a folder that is there already."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.rglob("*"):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / path.relative_to(source))


def copy_live(source: Path, target: Path, without: Iterable[str] = ()) -> None:
    """Copies a folder while its owner writes to it, so that the copy is what a crash would have left at one moment.

    Copied are files until no file has come, gone or changed meanwhile, but for growing at its end: programs that
    survive a kill read a log up to the last whole record. Raises BackupError if that does not come about.
    """
    copied: dict[Path, os.stat_result] = {}
    for _ in range(ROUNDS):
        there = _listing(source, without)
        if copied.keys() == there.keys() and all(_grown(copied[path], about) for path, about in there.items()):
            return
        for path in copied.keys() - there.keys():
            (target / path).unlink()
        for path, about in list(there.items()):
            if path in copied and _same(copied[path], about):
                continue
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(source / path, target / path)
            except FileNotFoundError:  # gone since it was listed
                (target / path).unlink(missing_ok=True)
                del there[path]
        copied = there
    raise BackupError(f"{source} changes faster than it can be copied: try again when less is written to it")


def _listing(folder: Path, without: Iterable[str]) -> dict[Path, os.stat_result]:
    found: dict[Path, os.stat_result] = {}
    for place, folders, files in os.walk(folder):
        within = Path(place).relative_to(folder)
        folders[:] = [name for name in folders if (within / name).as_posix() not in without]
        for name in files:
            try:
                found[within / name] = (folder / within / name).stat()
            except FileNotFoundError:
                continue
    return found


def _same(before: os.stat_result, now: os.stat_result) -> bool:
    return (before.st_ino, before.st_size, before.st_mtime_ns) == (now.st_ino, now.st_size, now.st_mtime_ns)


def _grown(before: os.stat_result, now: os.stat_result) -> bool:
    return _same(before, now) or (before.st_ino == now.st_ino and before.st_size < now.st_size)

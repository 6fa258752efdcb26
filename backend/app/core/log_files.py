"""Files that rotate.

Each keeps its name for life (`application.20261124T200012.345678.log`) and `application.log` is a link to the newest:
a shipper that was away while files were rotated finds every line where it was, which renaming cannot promise. Names in
their order are the files in the order of their writing, whatever the clock does.
"""

import contextlib
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path

#: When a file was begun, in its name; and how such a name is found.
STAMP, STAMPED = "%Y%m%dT%H%M%S.%f", f"{'[0-9]' * 8}T{'[0-9]' * 6}.{'[0-9]' * 6}"
#: Each start begins a file, however few lines it gets, and a shipper follows each: more are kept only where asked for.
MAX_FILES = 100
#: A folder of a replica that has not written for this long (seconds) is removed at start: its lines were shipped.
STALE_FOLDER_SECONDS = 7 * 86_400


class LogFiles:
    """The rotated files of one folder. One thread at a time.

    `keep` full files are kept, or as many smaller ones as take the same room, up to `MAX_FILES`: a program that is
    started again and again does not push out the lines that say why.
    """

    def __init__(self, folder: Path, name: str, max_bytes: int, keep: int) -> None:
        self._folder, self._link, self._max_bytes, self._keep = folder, folder / name, max_bytes, keep
        self._stem, _, self._suffix = name.rpartition(".")
        self._file: FileIO | None = None
        self._size = 0
        self._resume: Path | None = None  # the file whose last write failed
        self._fresh = False  # begun, and nothing was removed for it yet

    def write(self, data: bytes) -> None:
        """Appends whole lines, all of them or (raising OSError) none; begins a new file first when this one is full."""
        file = self._open()
        written = 0
        try:
            while written < len(data):
                written += file.write(memoryview(data)[written:]) or 0
        except OSError:
            self._take_back(file)
            raise
        self._size += written
        if self._fresh:
            self._fresh = False
            self._remove_old(file)

    def _open(self) -> FileIO:
        if self._file is not None and self._size < self._max_bytes and os.fstat(self._file.fileno()).st_nlink:
            return self._file
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        path, self._resume = self._resume, None
        file = FileIO(path, "ab") if path is not None and path.is_file() else self._begin()
        self._file, self._size, self._fresh = file, os.fstat(file.fileno()).st_size, True
        temporary = self._folder / f".{self._link.name}.new"
        with contextlib.suppress(OSError):  # another process makes it now; and a link is no reason to write nothing
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(_name(file))
            os.replace(temporary, self._link)
        return file

    def _begin(self) -> FileIO:
        """A file of this process alone, named after all that are there: the clock may have been set back."""
        moment = datetime.now(UTC)
        for newest in self._files()[-1:]:
            stamp = newest.name[len(self._stem) + 1 : -len(self._suffix) - 1]
            with contextlib.suppress(ValueError, OverflowError):  # no time at all, or the last one that there is
                moment = max(moment, _after(datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)))
        while True:
            path = self._folder / f"{self._stem}.{moment.strftime(STAMP)}.{self._suffix}"
            try:
                return FileIO(path, "ab", opener=lambda name, flags: os.open(name, flags | os.O_EXCL, 0o666))
            except FileExistsError:
                moment = _after(moment)

    def _files(self) -> list[Path]:
        """All that are there, the oldest first."""
        return sorted(self._folder.glob(f"{self._stem}.{STAMPED}.{self._suffix}"))

    def _remove_old(self, current: FileIO) -> None:
        """Removes what is too much beside the current file and its room. Never fails: the lines were written."""
        room, others = (self._keep - 1) * self._max_bytes, [one for one in self._files() if one.name != _name(current)]
        for number, old in enumerate(reversed(others), start=2):
            with contextlib.suppress(OSError):
                room -= min(old.stat().st_size, self._max_bytes)  # the last lines of a full one are a little too much
                if room < 0 or number > max(self._keep, MAX_FILES):
                    old.unlink(missing_ok=True)

    def _take_back(self, file: FileIO) -> None:
        """Leaves no half line behind, and nothing that the next try would have to count as a file."""
        path = self._folder / _name(file)
        with contextlib.suppress(OSError):
            os.ftruncate(file.fileno(), self._size)
            if self._size:
                self._resume = path
            else:
                path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Closes the file; the next write begins another."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def _name(file: FileIO) -> str:
    return os.path.basename(os.fsdecode(file.name))


def _after(moment: datetime) -> datetime:
    return moment + timedelta(microseconds=1)


def remove_stale_folders(root: Path) -> None:
    """Removes the folders of replicas that have not written for a week. Never fails: replicas may start together."""
    with contextlib.suppress(OSError):
        for folder in root.iterdir():
            with contextlib.suppress(OSError):  # gone meanwhile, or no folder, or not ours to read
                _remove_if_stale(folder)


def _remove_if_stale(folder: Path) -> None:
    newest = max((file.stat().st_mtime for file in folder.iterdir() if file.is_file()), default=time.time())
    if time.time() - newest > STALE_FOLDER_SECONDS:
        shutil.rmtree(folder, ignore_errors=True)

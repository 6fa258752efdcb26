"""Files that rotate.

Each keeps its name for life (`application.20261124T200012.345678.log`) and `application.log` is a link to the newest:
a shipper that was away while files were rotated finds every line where it was, which renaming cannot promise.
"""

import contextlib
import os
import shutil
import time
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

#: A folder of a replica that has not written for this long (seconds) is removed at start: its lines were shipped.
STALE_FOLDER_SECONDS = 7 * 86_400


class LogFiles:
    """The rotated files of one folder. One thread at a time."""

    def __init__(self, folder: Path, name: str, max_bytes: int, keep: int) -> None:
        self._folder, self._link, self._max_bytes, self._keep = folder, folder / name, max_bytes, keep
        self._stem, _, self._suffix = name.rpartition(".")
        self._file: FileIO | None = None
        self._size = 0
        self._resume: Path | None = None  # the file whose last write failed
        self._prune = False

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
        if self._prune:
            self._prune = False
            for old in sorted(self._folder.glob(f"{self._stem}.*.{self._suffix}"))[: -self._keep]:
                old.unlink(missing_ok=True)

    def _open(self) -> FileIO:
        if self._file is not None and self._size < self._max_bytes and os.fstat(self._file.fileno()).st_nlink:
            return self._file
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        path, self._resume = self._resume, None
        if path is None or not path.is_file():
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
            path = self._folder / f"{self._stem}.{stamp}.{self._suffix}"
        file = FileIO(path, "ab")
        self._file, self._size, self._prune = file, os.fstat(file.fileno()).st_size, True
        temporary = self._folder / f".{self._link.name}.new"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(path.name)
        os.replace(temporary, self._link)
        return file

    def _take_back(self, file: FileIO) -> None:
        """Leaves no half line behind, and nothing that the next try would have to count as a file."""
        path = Path(os.fsdecode(file.name))
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


def remove_stale_folders(root: Path) -> None:
    """Removes the folders of replicas that have not written for a week."""
    for folder in root.iterdir() if root.is_dir() else ():
        files = list(folder.iterdir()) if folder.is_dir() else []
        newest = max((file.stat().st_mtime for file in files if file.is_file()), default=time.time())
        if time.time() - newest > STALE_FOLDER_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)

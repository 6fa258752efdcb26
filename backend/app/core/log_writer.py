"""The one thread that writes log lines, so that the event loop never waits for a disk or a pipe.

Each file keeps its name for life (`application.20261124T200012.345678.log`) and `application.log` is a link to the
newest: a shipper that was away while files were rotated finds every line where it was, which renaming cannot promise.
"""

import os
import shutil
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

#: How long a line may wait for its write (seconds). Waking the thread for every line would cost the caller more.
POLL_SECONDS = 0.05
#: A folder of a replica that has not written for this long (seconds) is removed at start: its lines were shipped.
STALE_FOLDER_SECONDS = 7 * 86_400


class LogFiles:
    """The rotated files of one folder."""

    def __init__(self, folder: Path, name: str, max_bytes: int, keep: int) -> None:
        self._folder, self._link, self._max_bytes, self._keep = folder, folder / name, max_bytes, keep
        self._stem, _, self._suffix = name.rpartition(".")
        self._file: BinaryIO | None = None
        self._size = 0

    def write(self, data: bytes) -> None:
        """Appends whole lines; begins a new file first when this one is full."""
        if self._file is None or self._size >= self._max_bytes:
            self._begin()
        assert self._file is not None
        self._file.write(data)
        self._file.flush()
        self._size += len(data)

    def _begin(self) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        path = self._folder / f"{self._stem}.{stamp}.{self._suffix}"
        self._file, self._size = path.open("ab"), 0
        temporary = self._folder / f".{self._link.name}.new"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(path.name)
        os.replace(temporary, self._link)
        for old in sorted(self._folder.glob(f"{self._stem}.*.{self._suffix}"))[: -self._keep]:
            old.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the file; the next write begins another."""
        if self._file is not None:
            self._file.close()
            self._file = None


class LogWriter:
    """A bounded queue of lines and the thread that empties it to stdout and to files.

    A file that cannot be written costs one line on stderr, stdout goes on, and the next batch tries again.
    """

    def __init__(self, files: LogFiles | None, limit: int) -> None:
        self._files, self._limit = files, limit
        self._lines: deque[bytes] = deque()
        self._stop = threading.Event()
        self._broken = False
        #: Lines that found the queue full.
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Queues one line, newline included. Never blocks: a full queue drops it and counts."""
        if len(self._lines) >= self._limit:
            self.dropped += 1
        else:
            self._lines.append(line)

    def close(self) -> None:
        """Writes what is queued and ends the thread."""
        self._stop.set()
        self._thread.join(timeout=5)
        self.flush()
        if self._files:
            self._files.close()

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.flush()

    def flush(self) -> None:
        """Writes what is queued now."""
        batch: list[bytes] = []
        while self._lines:
            batch.append(self._lines.popleft())
        if not batch:
            return
        data = b"".join(batch)
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except (OSError, ValueError):
            pass  # nobody reads stdout: the file still has it
        if self._files:
            try:
                self._files.write(data)
                self._broken = False
            except OSError as error:
                self._files.close()
                if not self._broken:
                    print(f"log file cannot be written, stdout only until it can: {error}", file=sys.stderr)
                self._broken = True


def remove_stale_folders(root: Path) -> None:
    """Removes the folders of replicas that have not written for a week."""
    for folder in root.iterdir() if root.is_dir() else ():
        files = list(folder.iterdir()) if folder.is_dir() else []
        newest = max((file.stat().st_mtime for file in files if file.is_file()), default=time.time())
        if time.time() - newest > STALE_FOLDER_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)

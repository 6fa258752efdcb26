"""The one thread that writes log lines, so that the event loop never waits for a disk or a pipe.

A full queue refuses debug and info lines first. A file that cannot be written costs one line on stdout, which goes on;
a stdout that nobody reads costs only its own copy. What was lost is counted, and said when there is room again.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from app.core.exception_frames import exception_frames
from app.core.log_files import LogFiles, remove_stale_folders
from app.core.log_line import MAX_LINE_BYTES, finished
from app.core.redaction import suspicious
from app.core.stdout import Stdout
from app.services.metrics_service import metrics

__all__ = ["LogFiles", "LogWriter", "remove_stale_folders"]

#: How long a line may wait for its write (seconds). Waking the thread for every line would cost the caller more.
POLL_SECONDS = 0.05
#: Lines that are written at once; between two writes other threads have their turn.
PIECE_LINES = 256
#: How soon a file that could not be written is tried again (seconds).
RETRY_SECONDS = 1.0
#: Debug and info lines are refused above this share of the queue.
SHARE_FOR_ALL = 0.75
DISPENSABLE = frozenset(("debug", "info"))
#: Texts known to hold nothing to redact, such as field names and route templates; forgotten when there are too many.
KNOWN_TEXTS, KNOWN_CHARS = 4_096, 64
#: Larger integers may be card numbers.
HARMLESS_INTEGER = 10**12

#: The fields of a line that was looked at by whoever made it.
LOOKED_AT: Mapping[str, Any] = {}

Compose = Callable[[str, str, Mapping[str, Any]], bytes]
"""Makes a line of the writer's own: (level, event, fields)."""


class LogWriter:
    """A bounded queue of lines and the thread that empties it to files and to stdout."""

    def __init__(self, files: LogFiles | None, limit: int, compose: Compose) -> None:
        self._files, self._limit, self._compose = files, limit, compose
        self._limit_for_all = int(limit * SHARE_FOR_ALL)
        self._lines: deque[tuple[str, bytes, Mapping[str, Any] | None, tuple[str, ...], str]] = deque()
        self._known: set[str] = set()
        self._refused: Counter[str] = Counter()
        self._refusing = threading.Lock()  # of the counts alone; nobody waits for a write
        self._writing = threading.Lock()
        self._unreported: Counter[str] = Counter()
        self._able = True  # the last line reached somebody
        self._stdout = Stdout()
        self._retry_at: float | None = None  # while the file cannot be written
        self._only_stdout = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(
        self,
        level: str,
        line: bytes,
        fields: Mapping[str, Any] | None = None,
        texts: tuple[str, ...] = (),
        foreign: str = "",
    ) -> None:
        """Queues one line, newline included. Never blocks: what finds the queue too full is counted and let go.

        What could hold anything to redact: `fields`, `texts`, which mostly repeat, and `foreign`, which does not. Where
        nobody knows (`fields` None), all of the line is looked at; where it was before (`LOOKED_AT`), nothing.
        """
        waiting = len(self._lines)
        if waiting >= self._limit_for_all and (waiting >= self._limit or level in DISPENSABLE):
            with self._refusing:
                self._refused[level] += 1
        else:
            self._lines.append((level, line, fields, texts, foreign))

    def close(self) -> None:
        """Writes what is queued and ends the thread. A write that hangs is given up after 5 seconds."""
        self._stop.set()
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self.flush()
            self._stdout.finish()
            if self._files:
                self._files.close()

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            try:
                self.flush()
            except Exception as failure:  # what is still queued must not die with it
                self.put(
                    "error", self._compose("error", "writing lines failed", {"exception": exception_frames(failure)})
                )

    def flush(self) -> None:
        """Writes what is queued now, and says what was lost before."""
        with self._writing:
            for _ in range(len(self._lines) // PIECE_LINES + 1):
                self._write_piece()
            with self._refusing:
                refused, self._refused = self._refused, Counter()
            for level, count in refused.items():
                metrics.log_messages_dropped.labels(level).inc(count)
            self._unreported += refused
            if self._unreported and self._able and (not refused or self._stop.is_set()):
                lost, self._unreported = dict(self._unreported), Counter()
                self._say("warning", "log lines were dropped: the queue was full, or nothing could be written", lost)

    def _say(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        self._lines.append((level, self._compose(level, event, fields), None, (), ""))
        self._write_piece()

    def _write_piece(self) -> None:
        levels: dict[str, int] = {}
        lines: list[bytes] = []
        for _ in range(min(len(self._lines), PIECE_LINES)):
            level, line, fields, texts, foreign = self._lines.popleft()
            if fields is not LOOKED_AT:
                harmless = fields is not None and self._is_harmless(line, fields, texts)
                if harmless and foreign:
                    harmless = foreign.isprintable() and not suspicious(f" {foreign}".encode())
                line = line if harmless else self._checked(line, fields, texts)
            lines.append(line)
            levels[level] = levels.get(level, 0) + 1
        data = b"".join(lines)
        filed = self._write_file(data, len(lines))
        shown = self._stdout.write(data)
        if not lines:
            return
        self._able = filed or shown
        if not self._able:
            with self._refusing:
                self._refused.update(levels)
            return
        for level, count in levels.items():
            metrics.log_messages.labels(level).inc(count)

    def _is_harmless(self, line: bytes, fields: Mapping[str, Any], texts: tuple[str, ...]) -> bool:
        """Whether all of it is small numbers and known texts. The common line needs no look at its every byte."""
        known = self._known
        if len(line) > MAX_LINE_BYTES or not known.issuperset(texts) or not known.issuperset(fields):
            return False
        for value in fields.values():
            kind = type(value)
            if kind is str:
                if value not in known:
                    return False
            elif kind is int:
                if not -HARMLESS_INTEGER < value < HARMLESS_INTEGER:
                    return False
            elif kind is not float and kind is not bool and value is not None:
                return False
        return True

    def _checked(self, line: bytes, fields: Mapping[str, Any] | None, texts: tuple[str, ...]) -> bytes:
        done = finished(line)
        if fields is not None and done is line:
            if len(self._known) > KNOWN_TEXTS:
                self._known.clear()
            for text in (*texts, *fields, *fields.values()):
                if type(text) is str and len(text) <= KNOWN_CHARS:
                    self._known.add(text)
        return done

    def _write_file(self, data: bytes, count: int) -> bool:
        if self._files is None or not data:
            return False
        if self._retry_at is not None and time.monotonic() < self._retry_at:
            self._only_stdout += count
            return False
        try:
            self._files.write(data)
        except OSError as error:
            self._only_stdout += count
            first, self._retry_at = self._retry_at is None, time.monotonic() + RETRY_SECONDS
            if first:
                fields = {"reason": str(error), "what_to_do": "free space, or let this user write there"}
                line = self._compose("error", "the log file cannot be written, stdout only until it can", fields)
                self._stdout.write(finished(line))
            return False
        if self._retry_at is not None:
            missed, self._only_stdout, self._retry_at = self._only_stdout, 0, None
            self._say("warning", "the log file is written again", {"lines_on_stdout_only": missed})
        return True

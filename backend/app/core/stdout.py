"""Standard output, written by a thread that must not hang on it: a pipe that nobody reads, or a stopped terminal."""

import contextlib
import os
import select
import stat
import sys
import time

#: A pipe that says that it is writable takes this much without waiting (bytes, POSIX' PIPE_BUF on Linux).
PIPE_BYTES = 4_096
#: What waits for a reader that is slow (bytes); more is refused, whole lines at a time.
WAITING_BYTES = 1_048_576
#: How long one write gives a slow reader, however much it takes meanwhile: the log file waits for it (milliseconds).
PATIENCE_MS = 20
#: How long the end gives a reader that goes on reading (milliseconds).
LAST_PATIENCE_MS = 2_000
#: And how long it may pause meanwhile on a machine that is busy, before it counts as one that does not read.
LAST_PAUSE_MS = 250


class Stdout:
    """What its reader does not take at once waits for the next write."""

    def __init__(self) -> None:
        self._waiting = b""
        self._stuck = False

    def write(self, data: bytes) -> bool:
        """Writes whole lines, or keeps them for later. False when they are lost, here: closed, or too far behind."""
        fits = not self._waiting or len(self._waiting) + len(data) <= WAITING_BYTES
        if fits:
            self._waiting += data
        try:
            self._drain(PATIENCE_MS, PATIENCE_MS)
        except (OSError, ValueError, AttributeError):  # closed, or none at all
            self._waiting = b""
            return False
        return fits

    def finish(self) -> None:
        """Gives what still waits to a reader that is slow, not to one that does not read: nothing is written later."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._stuck = False
            self._drain(LAST_PATIENCE_MS, LAST_PAUSE_MS)

    def _drain(self, limit_ms: float, pause_ms: float) -> None:
        if not self._waiting:
            return
        try:
            descriptor = sys.stdout.fileno()
        except OSError:  # not a real one
            waiting, self._waiting = self._waiting, b""
            sys.stdout.buffer.write(waiting)
            sys.stdout.buffer.flush()
            return
        piece = len(self._waiting) if stat.S_ISREG(os.fstat(descriptor).st_mode) else PIPE_BYTES
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        position, end = 0, time.monotonic() + limit_ms / 1000
        with contextlib.suppress(BlockingIOError):
            while position < len(self._waiting) and (left := end - time.monotonic()) > 0:
                if not poll.poll(0 if self._stuck else min(pause_ms, left * 1000)):
                    break
                self._stuck = False
                position += os.write(descriptor, self._waiting[position : position + piece])
        self._waiting = self._waiting[position:]
        self._stuck = bool(self._waiting)

"""Files are read in a process of its own, which may run out of time and memory without harm.

Limits inside the process cannot do it: pypdf bounds each decompression and not the sum of them, one regular
expression of `csv`, `json` or `html.parser` holds the interpreter's lock (and with it every request of this
service) for as long as it likes, and Python has no way to stop a thread. A process can be killed at its
deadline and denied memory (RLIMIT_AS), and its answer comes back as JSON.

What it costs, measured on two shared cores with Python 3.11: 0.17 s and 31 MiB to start one, once, since it
serves one file after another; then 1 ms a file on top of the reading. Two are kept: one for the checks
before an upload is answered, one for the reading after, so that a large book delays no upload.
"""

import asyncio
import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from app.core.context_threads import ContextThreadPool
from app.services.extraction.formats import Format
from app.services.extraction.model import (
    Extracted,
    ExtractionUnavailable,
    Limits,
    ReadersBusy,
    RejectedDocument,
    Section,
    took_too_long,
)

Task = Literal["validate", "extract"]

#: Whoever uploads waits for the check, so it gets less time than the reading.
VALIDATION_SECONDS = 5.0
#: So many checks wait or run at once, each of which holds its file in memory, ...
MAX_CHECKS = 20
#: ... and one that has waited this long for its turn is given up (seconds).
PATIENCE_SECONDS = 5.0
#: The reader's own deadline, which can say at which page it came, goes first.
GRACE_SECONDS = 0.5
START_SECONDS = 20.0
READY = b"ready\n"


async def validate_safely(content: bytes, format: Format, limits: Limits) -> None:
    """Check `content` without blocking the event loop, in 5 s at most once its turn has come.

    Raises `RejectedDocument`, `ReadersBusy` when too many wait, and `ExtractionUnavailable` when no reader could be
    started.
    """
    seconds = min(limits.seconds, VALIDATION_SECONDS)
    await _checks.run("validate", content, format, replace(limits, seconds=seconds))


async def extract_safely(content: bytes, format: Format, limits: Limits) -> Extracted:
    """Return the text of `content` without blocking the event loop; raises as `validate_safely`.

    A caller who is cancelled ends the reading too.
    """
    answer = await _readings.run("extract", content, format, limits)
    sections = [Section(heading, text) for heading, text in answer["sections"]]
    return Extracted.joined(answer["title"], sections)


def close() -> None:
    """End the readers, at once; what they were at raises `ExtractionUnavailable`. A later call starts anew."""
    for reader in (_checks, _readings):
        reader.close()


class _Request:
    """One file to be read, and why its reading was ended from outside, if it was."""

    def __init__(self, task: Task, content: bytes, format: Format, limits: Limits) -> None:
        about = {"task": task, "format": format, "bytes": len(content), "limits": asdict(limits)}
        self.header = json.dumps(about).encode() + b"\n"
        self.content = content
        self.seconds = limits.seconds
        self.since = time.monotonic()
        self.ended: Literal["time", "stopped"] | None = None


class _Reader:
    """One reading process and the one thread that talks to it, so that requests queue in the executor.

    `places`: for so many requests. `patience`: how long one may queue (seconds).
    """

    def __init__(self, name: str, places: float = math.inf, patience: float = math.inf) -> None:
        self._places, self._patience = places, patience
        self._asked = 0
        self._threads = ContextThreadPool(max_workers=1, thread_name_prefix=name)
        self._process: subprocess.Popen[bytes] | None = None
        self._current: _Request | None = None
        self._lock = threading.Lock()

    async def run(self, task: Task, content: bytes, format: Format, limits: Limits) -> dict[str, Any]:
        if self._asked >= self._places:
            raise ReadersBusy(f"{self._asked} files are waiting to be read; try again later.")
        request = _Request(task, content, format, limits)
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, request)
        except asyncio.CancelledError:
            self._end(request, "stopped")
            raise
        finally:
            self._asked -= 1

    def close(self) -> None:
        with self._lock:
            current = self._current
        if current:
            self._end(current, "stopped")
        else:
            self._discard()

    def _ask(self, request: _Request) -> dict[str, Any]:
        if time.monotonic() - request.since > self._patience:
            raise ReadersBusy(f"The file waited {self._patience:g} s to be read; try again later.")
        # A reader that dies may have been killed for another's sake (the kernel short of memory, a drill), so
        # each file has a second try; a file that kills twice is to blame itself.
        for _ in range(2):
            process = self._started()
            answer = self._exchange(process, request)
            if answer is None or answer.get("last"):
                self._discard()
            if answer is not None:
                if "rejected" in answer:
                    raise RejectedDocument(answer["rejected"], answer["message"])
                return answer
            if request.ended == "time":
                raise RejectedDocument("bomb", took_too_long(request.seconds))
            if request.ended == "stopped":
                raise ExtractionUnavailable("The reading was stopped because the service is ending; try again.")
        raise RejectedDocument(
            "bomb", "The process that read the file died of it, twice; simplify the file or save it as plain text."
        )

    def _exchange(self, process: subprocess.Popen[bytes], request: _Request) -> dict[str, Any] | None:
        """Return the answer, or None if the process ended without one."""
        with self._lock:
            if request.ended:
                return None
            self._current = request
        deadline = threading.Timer(request.seconds + GRACE_SECONDS, self._end, (request, "time"))
        deadline.daemon = True
        deadline.start()
        try:
            return _talk(process, request)
        except (OSError, ValueError):
            return None
        finally:
            deadline.cancel()
            with self._lock:
                self._current = None

    def _end(self, request: _Request, why: Literal["time", "stopped"]) -> None:
        with self._lock:
            request.ended = why
            if self._current is request and self._process:
                self._process.kill()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process and self._process.poll() is None:
            return self._process
        self._discard()
        process = _start()
        with self._lock:
            self._process = process
        return process

    def _discard(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process:
            _end_process(process)


def _talk(process: subprocess.Popen[bytes], request: _Request) -> dict[str, Any]:
    if process.stdin is None or process.stdout is None:
        raise OSError("the reader has no pipes")
    process.stdin.write(request.header)
    process.stdin.write(request.content)
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    if not isinstance(answer, dict):
        raise ValueError("the reader answered with something else than an object")
    return answer


def _start() -> subprocess.Popen[bytes]:
    """Start a reader and wait until it has loaded what it needs; raises `ExtractionUnavailable`."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "app.services.extraction.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            # An interrupt from the terminal is for the service, which then ends its readers.
            start_new_session=True,
        )
    except OSError as error:
        raise ExtractionUnavailable(
            f"No process could be started to read files ({error.strerror}); free memory or processes and try again."
        ) from error
    deadline = threading.Timer(START_SECONDS, process.kill)
    deadline.daemon = True
    deadline.start()
    with contextlib.closing(process.stderr) if process.stderr else contextlib.nullcontext() as errors:
        started = process.stdout is not None and process.stdout.readline() == READY
        deadline.cancel()
        if not started:
            said = errors.read().decode(errors="replace").strip() if errors else ""
            _end_process(process)
            raise ExtractionUnavailable(
                "The process that reads files ended at its start "
                f"({said.rpartition(chr(10))[2][:200] or 'without a word'}); check the installation."
            )
    return process


def _environment() -> dict[str, str]:
    """Only what Python needs to start: a reader of hostile files has no business with the service's keys."""
    wanted = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "PYTHONDONTWRITEBYTECODE")
    environment = {name: os.environ[name] for name in wanted if name in os.environ}
    paths = [str(Path(__file__).parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]  # where packages are
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}


def _end_process(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        # What a dead reader did not take is still in the buffer, and closing tries to write it.
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()


_checks = _Reader("file-check", MAX_CHECKS, PATIENCE_SECONDS)
_readings = _Reader("file-reading")

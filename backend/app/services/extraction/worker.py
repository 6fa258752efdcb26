"""The process that reads files for the service; started by `isolation` and by nobody else.

It speaks one line of JSON each way over its standard input and output: JSON and not pickle, since whoever
takes over a reader of hostile files must not get from there into the service.
"""

import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import BinaryIO

# Imported here although `reading` would do so: in the first request it would count towards its limits.
from app.services.extraction import pdf_file  # noqa: F401
from app.services.extraction.model import Limits, RejectedDocument
from app.services.extraction.reading import extract, validate

try:
    import resource
except ImportError:  # no POSIX: the deadlines hold, the memory limit does not
    resource = None  # type: ignore[assignment]

#: What the parent waits for after it has started this process.
READY = b"ready\n"
#: A process that has kept more than this on top of the bare one ends after its answer.
RETIRE_BYTES = 64 * 2**20
#: How long after its time a reader whose parent is gone ends itself; the parent kills it earlier.
GRACE_SECONDS = 2.0


def main() -> None:
    """Serve until the parent closes the pipe or dies."""
    # Answers go to the real standard output; what a library prints, or warns about a file, goes nowhere.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    answers.write(READY)
    answers.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())
    logging.disable()
    harden()
    serve(sys.stdin.buffer, answers)


def harden() -> None:
    """Give up what a reader has no need of: writing files, and leaving a copy of the upload in a core dump."""
    if resource is not None:
        for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (0, 0))


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer each request (a line of JSON, then the file's bytes) until there are no more."""
    _, bare = _memory()
    while line := requests.readline():
        request = json.loads(line)
        limits = Limits(**request["limits"])
        with _held_to(limits):
            answer = respond(request["task"], requests.read(request["bytes"]), request["format"], limits)
        _, resident = _memory()
        answer["last"] = resident > bare + RETIRE_BYTES
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
        if answer["last"]:
            return


def respond(task: str, content: bytes, format: str, limits: Limits) -> dict[str, object]:
    """Do the task ("validate" or "extract") and put its outcome into what JSON can say."""
    try:
        if task == "validate":
            validate(content, format, limits)  # type: ignore[arg-type]
            return {}
        extracted = extract(content, format, limits)  # type: ignore[arg-type]
    except RejectedDocument as rejection:
        return {"rejected": rejection.reason, "message": str(rejection)}
    sections = [[section.heading, section.text] for section in extracted.sections]
    return {"title": extracted.title, "sections": sections}


@contextlib.contextmanager
def _held_to(limits: Limits) -> Iterator[None]:
    """Bound this process's memory, and its life should nobody be left to end it."""
    size, _ = _memory()
    _limit_memory(size + limits.memory_bytes)
    _end_by_itself_after(limits.seconds + GRACE_SECONDS)
    try:
        yield
    finally:
        _end_by_itself_after(0)
        _limit_memory(None)


def _limit_memory(size: int | None) -> None:
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        # macOS knows the limit and does not keep it.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (hard if size is None else size, hard))


def _end_by_itself_after(seconds: float) -> None:
    # The signal's default action, which ends a process in the midst of a regular expression too.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _memory() -> tuple[int, int]:
    """Bytes of address space of this process and of memory in use; guessed where the system does not tell."""
    try:
        with open("/proc/self/statm") as statm:
            size, resident = (int(pages) * os.sysconf("SC_PAGE_SIZE") for pages in statm.read().split()[:2])
    except OSError:
        return 2**30, 2**25
    return size, resident


if __name__ == "__main__":
    main()

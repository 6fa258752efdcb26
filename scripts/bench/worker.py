"""A variant in a process of its own: builds it, has it checked, and times rounds of requests when told to."""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from starlette.types import Message, Scope

from scripts.bench.checks import Answer, NotDone, check
from scripts.bench.subject import Place, Subject
from scripts.bench.variants import VARIANTS

#: A log file that has not grown for this long (seconds) is complete: writers wake every 0.05 s.
SETTLED_SECONDS = 0.15
#: Threads with one of these in their name send spans.
EXPORTERS = ("otel", "span", "trace", "export")
HEADERS = [
    (b"host", b"localhost:8000"),
    (b"user-agent", b"bench"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip"),
]


@dataclass(frozen=True, slots=True)
class Round:
    """Processor seconds a request: of the whole process, and without the threads that send spans."""

    process: float
    without_exporters: float


def scope_of(path: str) -> Scope:
    """What a server hands to the application for one GET."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(HEADERS),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


class Worker:
    """One variant under measurement."""

    def __init__(self, subject: Subject, place: Place) -> None:
        self._subject, self._place = subject, place
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="bench-span-flush")

    async def ask(self, path: str) -> Answer:
        """One request, and its whole answer."""
        messages: list[Message] = []

        async def send(message: Message) -> None:
            messages.append(message)

        await self._subject.app(scope_of(path), _receive, send)
        body = b"".join(message.get("body", b"") for message in messages[1:])
        return Answer(messages[0]["status"], body)

    async def round(self, requests: int) -> Round:
        """Times this many requests, together with the writing of their lines and the sending of their spans."""
        status = 200

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start" and message["status"] != 200:
                status = message["status"]

        app = self._subject.app
        gc.collect()
        process, exporters = time.process_time(), _exporters_time()
        for number in range(requests):
            await app(scope_of(f"/items/{number}"), _receive, send)
        self.flush()
        self.settle()
        process, exporters = time.process_time() - process, _exporters_time() - exporters
        if status != 200:
            raise NotDone(f"a request was answered with {status} while it was timed")
        return Round(process / requests, (process - exporters) / requests)

    def flush(self) -> None:
        """Has the spans sent by a thread that counts as an exporter, whoever would have sent them."""
        if self._subject.flush_spans is not None:
            self._flusher.submit(self._subject.flush_spans).result(timeout=60)

    def settle(self) -> None:
        """Waits until the lines are in their file."""
        size, since = -1, time.monotonic()
        while time.monotonic() - since < SETTLED_SECONDS:
            time.sleep(SETTLED_SECONDS / 3)
            now = sum(file.stat().st_size for file in self._place.folder.iterdir() if not file.is_symlink())
            if now != size:
                size, since = now, time.monotonic()


def _exporters_time() -> float:
    """Processor seconds of the threads that send spans, so far."""
    return sum(
        time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        for thread in threading.enumerate()
        if thread.ident and any(word in thread.name.lower() for word in EXPORTERS)
    )


def run(name: str, place: Place, connection: Connection) -> None:
    """The process: answers each command of the pipe with its result, or with the error's text."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # a terminal would cost whoever writes to it; the file on disk is the same for all
        os.dup2(null, stream)
    asyncio.run(_serve(name, place, connection))


async def _serve(name: str, place: Place, connection: Connection) -> None:
    try:
        variant = VARIANTS[name]
        worker = Worker(variant.build(place), place)
        commands: dict[str, Callable[..., Awaitable[Any]]] = {
            "check": lambda: check(variant, worker, place),
            "round": worker.round,
        }
        while True:
            command, *arguments = connection.recv()
            if command == "stop":
                return
            connection.send((True, await commands[command](*arguments)))
            gc.freeze()
    except Exception as error:
        connection.send((False, f"{type(error).__name__}: {error}"))

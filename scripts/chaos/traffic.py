"""Steady requests whose acknowledgements are written down, and lines whose times are wrong."""

import asyncio
import contextlib
import json
import random
import secrets
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from app.core.log_writer import LogFiles
from scripts.chaos.book import Book
from scripts.drill.load import QUESTION
from scripts.meanwhile import meanwhile

#: Of lines, in minutes: what clocks of machines that nobody keeps in time differ by. Loki takes none from 10 ahead.
SHIFT_MINUTES = 9.0
#: Seconds between two lines with shifted times.
LINE_SECONDS = 0.2


class Traffic:
    """Some requests a second: uploads, questions and ratings, in turn by chance."""

    def __init__(self, backend: str, book: Book, rate: float, seed: int) -> None:
        self._backend, self._book, self._rate = backend, book, rate
        self._dice = random.Random(f"{seed}:traffic")  # noqa: S311 - traffic, no secret
        self._session = ""
        self._unrated: list[str] = []

    async def run(self, end: threading.Event) -> None:
        """Until told to end; what is under way then is waited for."""
        start, tasks = time.monotonic(), set[asyncio.Task[None]]()
        async with httpx.AsyncClient(base_url=self._backend, timeout=10, trust_env=False) as client:
            for number in count(1):
                if end.is_set():
                    break
                tasks.add(task := asyncio.create_task(self._one(client)))
                task.add_done_callback(tasks.discard)
                await asyncio.sleep(max(0.0, start + number / self._rate - time.monotonic()))
            await asyncio.gather(*tasks)

    async def _one(self, client: httpx.AsyncClient) -> None:
        kind = self._dice.choices(("upload", "message", "feedback"), (2, 5, 3))[0]
        try:
            if kind == "upload":
                await self._upload(client)
            elif kind == "feedback" and self._unrated:
                await self._rate_one(client, self._unrated.pop())
            else:
                await self._ask(client)
        except httpx.HTTPError as error:
            self._book.answers[type(error).__name__] += 1

    async def _send(self, client: httpx.AsyncClient, kind: str, path: str, **content: Any) -> Any:
        """The answer to one request if it is a success, else None. What is a success is from now on owed."""
        begun, trace = time.time(), secrets.token_hex(16)
        headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
        answer = await client.post(path, headers=headers, **content)
        self._book.answers[str(answer.status_code)] += 1
        if not answer.is_success:
            return None
        self._book.traces[trace] = self._book.last[kind] = begun
        return answer.json()

    async def _upload(self, client: httpx.AsyncClient) -> None:
        word = secrets.token_hex(8)
        file = (f"{word}.txt", f"What was uploaded while parts were away is called {word}.".encode(), "text/plain")
        if answer := await self._send(client, "upload", "/api/v1/documents", files={"file": file}):
            self._book.uploads[answer["job_id"]] = "completed"

    async def _ask(self, client: httpx.AsyncClient) -> None:
        if not self._session:
            answer = await self._send(client, "session", "/api/v1/chat/sessions")
            self._session = answer["session_id"] if answer else ""
        if self._session:
            path = f"/api/v1/chat/sessions/{self._session}/messages"
            if answer := await self._send(client, "message", path, json={"content": QUESTION}):
                self._book.messages[answer["message_id"]] = answer["answer"]
                self._unrated.append(answer["message_id"])

    async def _rate_one(self, client: httpx.AsyncClient, message: str) -> None:
        score = self._dice.randint(1, 5)
        if await self._send(client, "feedback", "/api/v1/feedback", json={"message_id": message, "score": score}):
            self._book.feedback[message] = str(score)


class ShiftedLines:
    """Numbered lines of a service whose clock is up to nine minutes wrong, either way, from line to line."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._files = LogFiles(folder, "chaos.log", 50_000_000, keep=1000)
        self._dice = random.Random(f"{seed}:lines")  # noqa: S311 - no secret
        self.number = 0

    def run(self, end: threading.Event) -> None:
        """Until told to end. What the disk does not take has not reached the file."""
        while not end.wait(LINE_SECONDS):
            shift = 60 * self._dice.uniform(-SHIFT_MINUTES, SHIFT_MINUTES)
            moment = datetime.fromtimestamp(time.time() + shift, UTC).isoformat(timespec="microseconds")
            fields = {"timestamp": moment, "level": "info", "logger": "chaos", "service": "chaos"}
            fields |= {"environment": "chaos", "event": f"line {self.number + 1} of chaos"}
            with contextlib.suppress(OSError):
                self._files.write(json.dumps(fields).encode() + b"\n")
                self.number += 1
        self._files.close()


@contextlib.contextmanager
def running(traffic: Traffic, lines: ShiftedLines) -> Iterator[None]:
    """Both go on while the block does."""
    with meanwhile(lambda end: asyncio.run(traffic.run(end)), lines.run):
        yield

"""Sends questions at their own times, however slowly the answers come: a program of its own, so that neither the
backend's processor time nor the measuring program's is in the way of the next request.

`python -m scripts.chaos.sender ADDRESS RATE SECONDS`, the paths as lines on standard input. Prints `sent` when the last
request is on its way, and a line of JSON when all are answered or given up.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from scripts.drill.load import QUESTION

#: Seconds that an answer may take, and after which an unused connection is not used again: uvicorn closes at 5.
ANSWER_SECONDS, IDLE_SECONDS = 30.0, 3.0
#: A request that comes later than this (s) is not sent: it would be another load.
LATE_SECONDS = 0.25

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Sender:
    """HTTP/1.1 without a library: a request takes a tenth of the processor time that httpx takes."""

    def __init__(self, address: str, paths: list[str]) -> None:
        """Questions go to the `paths` of `address` in turn."""
        self._host, self._port, self._paths = urlsplit(address).hostname or "", urlsplit(address).port or 80, paths
        self._idle: list[tuple[float, _Connection]] = []
        self._under_way = set[asyncio.Task[bool]]()
        #: How requests were answered: a status, an exception's name, or `late`; and the seconds of the 200s.
        self.answers, self.durations = Counter[str](), list[float]()
        #: How many 503s did not say when to come back.
        self.without_retry_after = 0

    async def ask(self, number: int) -> bool:
        """One question; whether it was answered with 200."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, headers = await self._post(self._paths[number % len(self._paths)])
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.answers[type(error).__name__] += 1
            return False
        self.answers[str(status)] += 1
        self.without_retry_after += status == 503 and b"retry-after" not in headers
        if status == 200:
            self.durations.append(time.monotonic() - begun)
        return status == 200

    async def steadily(self, rate: float, seconds: float) -> None:
        """Sends; whoever wants the answers waits for `finished`."""
        start = time.monotonic()
        for number in range(int(rate * seconds)):
            wait = start + number / rate - time.monotonic()
            if wait < -LATE_SECONDS:
                self.answers["late"] += 1
                continue
            await asyncio.sleep(max(0.0, wait))
            self._under_way.add(task := asyncio.create_task(self.ask(number)))
            task.add_done_callback(self._under_way.discard)

    async def finished(self) -> None:
        """Waits until everything that was sent is answered or given up."""
        await asyncio.gather(*self._under_way)

    async def _post(self, path: str) -> tuple[int, bytes]:
        reader, writer = await self._connection()
        try:
            body = json.dumps({"content": QUESTION}).encode()
            head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            headers = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = headers.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
        except BaseException:
            writer.close()
            raise
        if b"connection: close" in headers:
            writer.close()
        else:
            self._idle.append((time.monotonic(), (reader, writer)))
        return int(headers[9:12]), headers

    async def _connection(self) -> _Connection:
        while self._idle:
            since, (reader, writer) = self._idle.pop()
            if time.monotonic() - since < IDLE_SECONDS and not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)


async def _main(address: str, rate: str, seconds: str) -> None:
    sender = Sender(address, sys.stdin.read().split())
    await sender.steadily(float(rate), float(seconds))
    print("sent", flush=True)
    await sender.finished()
    told: dict[str, Any] = {"answers": sender.answers, "durations": sender.durations}
    print(json.dumps(told | {"without_retry_after": sender.without_retry_after}))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))

"""The requests that a fault needs to show: steady, until told to stop. What they are answered is not looked at."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import httpx

from scripts.meanwhile import meanwhile

Kind = Literal["list", "chat", "stream", "nonsense", "upload", "complaint", "praise"]
#: Answered from this project's own documents, which a stack in use has, and a drill's own stack is given.
QUESTION = "How do I start the whole stack?"
NONSENSE = "xylophone quetzal zeppelin obelisk"
SMALL = b"A document of a drill: whoever reads it learns nothing."


@dataclass(frozen=True)
class Load:
    """So many requests a second of one kind. `complaint` and `praise` rate an answer with 1 and 5."""

    kind: Kind
    rate: float


@contextlib.contextmanager
def running(backend: str, loads: tuple[Load, ...]) -> Iterator[None]:
    """The loads run in a thread of their own while the block does."""
    with meanwhile(lambda end: asyncio.run(_all(backend, loads, end))):
        yield


async def _all(backend: str, loads: tuple[Load, ...], end: threading.Event) -> None:
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=backend, timeout=60, limits=limits, trust_env=False) as client:
        await asyncio.gather(*(_steadily(client, load, end) for load in loads))


async def _steadily(client: httpx.AsyncClient, load: Load, end: threading.Event) -> None:
    requests: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in count(1):
        if end.is_set():
            break
        task = asyncio.create_task(_one(client, load.kind))
        requests.add(task)
        task.add_done_callback(requests.discard)
        await asyncio.sleep(max(0.0, start + number / load.rate - loop.time()))
    for task in requests:
        task.cancel()
    await asyncio.gather(*requests, return_exceptions=True)


async def _one(client: httpx.AsyncClient, kind: Kind) -> None:
    with contextlib.suppress(httpx.HTTPError, KeyError, ValueError):
        match kind:
            case "list":
                await client.get("/api/v1/indexing/jobs?limit=1")
            case "upload":
                await client.post("/api/v1/documents", files={"file": ("drill.txt", SMALL, "text/plain")})
            case "complaint" | "praise":
                rating = {"message_id": (await _ask(client, QUESTION))["message_id"]}
                await client.post("/api/v1/feedback", json=rating | {"score": 1 if kind == "complaint" else 5})
            case "nonsense":
                await _ask(client, NONSENSE)
            case _:
                await _ask(client, QUESTION, kind == "stream")


async def _ask(client: httpx.AsyncClient, question: str, stream: bool = False) -> Any:
    session = (await client.post("/api/v1/chat/sessions")).json()["session_id"]
    path = f"/api/v1/chat/sessions/{session}/messages"
    answer = await client.post(path, json={"content": question, "stream": stream})
    return None if stream else answer.json()

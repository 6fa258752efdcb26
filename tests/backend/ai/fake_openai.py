"""A server on loopback that speaks OpenAI's protocol, and misbehaves as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

#: Words that must never leave the provider again but as an answer.
SECRET_PROMPT = "the launch code is 0000"
API_KEY = "sk-very-secret-key"


@dataclass
class Request:
    """What a client asked for."""

    method: str
    target: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: int


Behaviour = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def answering(status: int, body: object, headers: dict[str, str] | None = None) -> Behaviour:
    """Answers with this status and JSON body."""
    return answering_bytes(json.dumps(body).encode(), status, headers)


def answering_bytes(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Behaviour:
    """Answers with these very bytes."""

    async def behave(_: Request, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    return behave


def refusing(status: int, headers: dict[str, str] | None = None) -> Behaviour:
    """Refuses as OpenAI does, with a body that repeats the prompt and the key."""
    return answering(status, {"error": {"message": f"{SECRET_PROMPT} {API_KEY}"}}, headers)


def event(content: str | None = None, finish: str | None = None, **more: object) -> dict[str, object]:
    """One event of a streamed answer."""
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}], **more}


def usage(prompt: int, completion: int) -> dict[str, object]:
    """The event that counts the tokens."""
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


GOOD_ANSWER: list[object] = [
    {"choices": [], "prompt_filter_results": []},  # Azure begins like this
    event(""),
    event("Hel"),
    event("lo\u2028there"),
    event(None, "stop"),
    usage(11, 3),
]


def streaming(events: list[object], *, done: bool = True, breaking: bool = False, pause: float = 0.0) -> Behaviour:
    """Streams these events (bytes as they are), each after `pause` seconds; `breaking` hangs up without an end."""

    async def behave(_: Request, writer: asyncio.StreamWriter) -> None:
        async def send(data: bytes) -> None:
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()

        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for item in events:
            await asyncio.sleep(pause)
            if isinstance(item, bytes):
                await send(item)
                continue
            # Raw UTF-8, cut in the middle, as a network may.
            data = b"data: %s\r\n\r\n" % json.dumps(item, ensure_ascii=False).encode()
            await send(data[:9])
            await send(data[9:])
        if breaking:
            writer.close()
            return
        if done:
            await send(b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")

    return behave


def hanging(seconds: float = 30.0) -> Behaviour:
    """Says nothing for a long time."""

    async def behave(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        writer.close()

    return behave


async def hanging_up(_: Request, writer: asyncio.StreamWriter) -> None:
    """Closes the connection without a word."""
    writer.close()


def embedding(*vectors: list[float], order: list[int] | None = None) -> Behaviour:
    """Gives these vectors, in another order if one is given."""
    items = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    items = [items[index] for index in order or range(len(items))]
    return answering(200, {"data": items, "usage": {"prompt_tokens": 7, "total_tokens": 7}})


MODELS = answering(200, {"object": "list", "data": [{"id": "m"}]})


@dataclass
class FakeOpenAI:
    """The server: does the next of `script` for each request, and remembers what was asked."""

    script: list[Behaviour] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    #: Connections that the client closed before its answer was complete.
    abandoned: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, with any number of requests."""
        self.connections += 1
        connection = self.connections
        try:
            while not writer.is_closing():
                request = await _read(reader, connection)
                self.requests.append(request)
                await self.script.pop(0)(request, writer)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass  # the client is done with it
        except ConnectionError:
            self.abandoned.set()
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader, connection: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ")
    return Request(method, target, headers, json.loads(body) if body else {}, connection)


@asynccontextmanager
async def fake_openai() -> AsyncIterator[FakeOpenAI]:
    """The server, while the block runs."""
    fake = FakeOpenAI()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await fake.serve(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    fake.url = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

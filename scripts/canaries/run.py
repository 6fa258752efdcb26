"""One run: a stack of its own, every canary planted in every input, every store searched."""

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from scripts.canaries.disguises import Found, search
from scripts.canaries.inputs import Plant, plants
from scripts.canaries.kinds import Canary, hatch
from scripts.canaries.provider import DIMENSIONS, Provider, hostile
from scripts.canaries.stack import SERVICES, Running, running
from scripts.canaries.stores import Reader, StoreError, files, until

#: Stores that are searched where their programs are found, beside the two services.
STORES = ("loki", "promtail", "tempo", "prometheus")
#: Requests under way at once.
AT_ONCE = 16
#: Share of the requests that may end without an answer.
MOST_CUT_OFF = 0.05
#: Two scrapes more after the last request (seconds).
SCRAPES = 11.0
#: Listened to as closely as the backend allows, for a library may write what passes through it.
LOGGERS = (
    "root", "portal_app", "app", "uvicorn", "asyncio", "concurrent", "fastapi", "starlette", "python_multipart",
    "httpx", "httpcore", "httpcore.http11", "hpack", "aiosqlite", "pymongo", "qdrant_client", "grpc",
)  # fmt: skip
_TRACE_ID = re.compile(r'"trace_id": ?"([0-9a-f]{32})"')


@dataclass
class Result:
    """What was planted, what was searched, and what was found: by store."""

    canaries: list[Canary]
    planted: int = 0
    #: Requests without an answer: a connection that the server closed.
    cut_off: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    found: dict[str, list[Found]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    def add(self, store: str, text: str, marker: str) -> None:
        """Searches a store, which has to hold the marker: an empty text would hide everything."""
        if marker not in text:
            raise StoreError(f"{store} holds nothing of this run ({marker!r} is not in it), so it was not searched")
        self.sizes[store] = len(text)
        self.found[store] = list(search(text, self.canaries))


def settings(provider: Provider, redaction: bool, content: bool) -> dict[str, str]:
    """The backend's settings. `redaction` and not `content` is how it is delivered."""
    return {
        "AI_PROVIDER": "openai",
        "OPENAI_BASE_URL": provider.url,
        "OPENAI_API_KEY": "sk-of-the-canary-run",
        "AI_EMBEDDING_DIMENSIONS": str(DIMENSIONS),
        "AI_TIMEOUT_SECONDS": "5",
        "AI_MAX_ATTEMPTS": "2",
        "AI_CIRCUIT_FAILURES": "100000",  # every request shall reach the provider
        "MAX_QUEUED_JOBS": "100000",
        "INDEXING_WORKERS": "4",
        "INDEXING_MAX_ATTEMPTS": "1",  # what a nonsensical answer leaves behind is there after the first
        "LOG_REDACTION": str(redaction).lower(),
        "LOG_CONTENT": str(content).lower(),
    }


def run(folder: Path, redaction: bool, content: bool, stores: Sequence[str] = STORES) -> Result:
    """Plants and searches once, with these two settings. Raises NotHere and StoreError."""
    canaries = hatch()
    result = Result(canaries)
    since = time.time() - 1
    with hostile(canaries) as provider, running(folder, stores, settings(provider, redaction, content)) as stack:
        result.missing = stack.missing
        answers = asyncio.run(_plant_all(stack, canaries, result, content))
        _search(stack, result, Reader(dict(stack.addresses), since))
        result.add("answers", answers, "request_id")
        sent = [json.dumps({**headers, "tracestate": ""}) for _, headers in provider.headers]
        result.add("headers to the provider", "\n".join(sent), "X-Request-ID")
    return result


async def _plant_all(stack: Running, canaries: Sequence[Canary], result: Result, content: bool) -> str:
    """Sends every request; what came back that nobody asked for: error bodies, and headers."""
    room = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(timeout=60, trust_env=False, verify=False) as client:  # noqa: S501
        backend = stack.addresses["backend"]
        opened = await client.post(f"{backend}/api/v1/chat/sessions")
        session = opened.json()["session_id"]
        asked = await client.post(f"{backend}/api/v1/chat/sessions/{session}/messages", json={"content": "Hello?"})
        message = asked.json()["message_id"]
        for logger in () if content else LOGGERS:  # where content may be in lines, drivers write it in any form
            order = {"logger": logger, "level": "DEBUG", "seconds": 3600}
            await client.put(f"{backend}/internal/log-level", json=order)

        async def send(number: int, canary: Canary, plant: Plant) -> str:
            headers = {"X-Request-ID": f"plant.{number}.{canary.slug}", **plant.headers}
            given = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
            form = {"file": plant.file} if plant.file else None
            if plant.raw:
                async with room:
                    return await _send_raw(stack.addresses[plant.service], plant)
            async with room:
                address = stack.addresses[plant.service] + plant.path
                try:
                    answer = await client.request(
                        plant.method, address, headers=given, content=plant.content, files=form
                    )
                except httpx.TransportError:  # refused before all of it was sent
                    result.cut_off += 1
                    return ""
            return _unasked(plant, answer)

        work = [(canary, plant) for canary in canaries for plant in plants(canary, session, message)]
        result.planted = len(work)
        answers = await asyncio.gather(*(send(number, *one) for number, one in enumerate(work)))
        if result.cut_off > MOST_CUT_OFF * len(work):
            raise StoreError(f"{result.cut_off} of {len(work)} requests got no answer: the services do not serve")
        await _until_indexed(client, backend)
        answers += [_unasked_of_jobs(await client.get(f"{backend}/api/v1/indexing/jobs", params={"limit": 200}))]
    return "\n".join(answers)


async def _send_raw(address: str, plant: Plant) -> str:
    """Sends what no client would, and gives all that comes back."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(10):
            writer.write(plant.raw)
            writer.write_eof()
            answer = await reader.read()
    except (OSError, TimeoutError):
        answer = b""
    finally:
        writer.close()
    return json.dumps({"place": plant.place, "body": answer.decode("utf-8", "replace")})


def _unasked(plant: Plant, answer: httpx.Response) -> str:
    """An error's body, an error event of a stream, and all headers; a success may hold what the product is for."""
    events = re.findall(r"event: error\ndata: (.*)", answer.text)
    body = answer.text if answer.status_code >= 400 else "\n".join(events)
    headers = dict(answer.headers)
    return json.dumps({"place": plant.place, "status": answer.status_code, "headers": headers, "body": body})


def _unasked_of_jobs(answer: httpx.Response) -> str:
    """Why jobs failed. Their file names are the client's own."""
    return "\n".join(json.dumps({"place": "a job's error", "error": job["error"]}) for job in answer.json()["jobs"])


async def _until_indexed(client: httpx.AsyncClient, backend: str) -> None:
    """Waits until no job is queued or running."""
    for _ in range(120):
        jobs = [
            await client.get(f"{backend}/api/v1/indexing/jobs", params={"status": status})
            for status in ("queued", "running")
        ]
        if not any(answer.json()["jobs"] for answer in jobs):
            return
        await asyncio.sleep(0.5)
    raise StoreError("documents are not indexed within a minute, so what indexing would leave behind was not searched")


def _search(stack: Running, result: Result, reader: Reader) -> None:
    scraped = time.monotonic() + SCRAPES
    time.sleep(1)  # the writers' own pauses
    written = files(stack.logs, "*.*.log")
    result.add("stdout", "\n".join(stack.apart.log(name).read_text() for name in SERVICES), "plant.")
    result.add("log files", written, "plant.")
    traces = set(_TRACE_ID.findall(written))
    if "tempo" in stack.addresses:
        until(lambda: all(reader.trace(trace) for trace in list(traces)[-20:]), "the last traces are in Tempo")
        result.add("Tempo", reader.tempo(traces | reader.found_traces()), "plant.")
    else:
        result.add("span files", files(stack.logs, "*traces*.jsonl"), "plant.")
    if "loki" in stack.addresses and "promtail" in stack.addresses:
        lines = sum(1 for line in written.splitlines() if line)
        until(lambda: reader.lines_in_loki() >= lines, "every line is in Loki")
        result.add("Loki", reader.loki(), "plant.")
    result.add("/metrics", "\n".join(map(reader.exposition, SERVICES)), "/api/v1/documents")
    if "prometheus" in stack.addresses:
        time.sleep(max(0.0, scraped - time.monotonic()))
        result.add("Prometheus", reader.prometheus(), "/api/v1/documents")

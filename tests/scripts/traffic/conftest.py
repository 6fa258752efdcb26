"""A real HTTP server on loopback that speaks the backend's contract, and misbehaves when it is told to."""

import asyncio
import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from scripts.traffic.client import Client
from scripts.traffic.tally import Tally

API = "/api/v1"
#: Seconds that a job takes.
INDEXING = 0.1


def problem(status: int, detail: str, **headers: str) -> Response:
    """An error as the backend words it."""
    return JSONResponse({"title": "Problem", "status": status, "detail": detail}, status, headers)


@dataclass
class Backend:
    """What arrived, and how the next answers are to be."""

    url: str = ""
    seen: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)
    messages: set[str] = field(default_factory=set)
    #: When each job was queued.
    jobs: dict[str, float] = field(default_factory=dict)
    #: (method, beginning of path) -> answers to give before the usual ones.
    instead: dict[tuple[str, str], list[Response]] = field(default_factory=dict)
    #: The source of every answer.
    source: str = "README.md"
    stream_pause: float = 0.0
    stream_end: str = "done"
    left_midway: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    delay: float = 0.0

    def requests(self, method: str, beginning: str) -> list[Any]:
        """Bodies of the requests so far of this method to such a path."""
        return [body for verb, path, _, body in self.seen if verb == method and path.startswith(beginning)]

    async def handle(self, request: Request) -> Response:
        """Everything ends here; routes only say which paths and methods there are."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._handle(request)
        finally:
            self.in_flight -= 1

    async def _handle(self, request: Request) -> Response:
        path, method = request.url.path, request.method
        form = await request.form() if "multipart" in request.headers.get("content-type", "") else None
        body: Any = form["file"] if form else json.loads(await request.body() or b"null")
        self.seen.append((method, path, dict(request.headers), body))
        await asyncio.sleep(self.delay)
        for (verb, beginning), answers in self.instead.items():
            if verb == method and path.startswith(beginning) and answers:
                return answers.pop(0)
        if path == "/health/ready":
            return JSONResponse({"status": "healthy"})
        if form:
            return await self._upload(body)
        if "/jobs/" in path:
            return self._job(request.path_params["id"])
        if path == f"{API}/chat/sessions":
            session = str(uuid.uuid4())
            self.sessions.add(session)
            return JSONResponse({"session_id": session}, 201)
        if path == f"{API}/feedback":
            known = body["message_id"] in self.messages and body["score"] in range(1, 6)
            return JSONResponse(body, 201) if known else problem(404, "unknown message")
        if path == f"{API}/experience":
            return Response(status_code=204)
        return self._session(request.path_params["id"], method, body)

    async def _upload(self, file: Any) -> Response:
        if file.filename.endswith(".zip"):
            return problem(415, "no .zip here")
        job = str(uuid.uuid4())
        self.files[file.filename] = await file.read()
        self.types[file.filename] = file.content_type
        self.jobs[job] = time.monotonic()
        return JSONResponse({"job_id": job, "document_id": str(uuid.uuid4()), "status": "queued"}, 202)

    def _job(self, job: str) -> Response:
        try:
            uuid.UUID(job)
        except ValueError:
            return problem(422, "not an id")
        if job not in self.jobs:
            return problem(404, "unknown job")
        age = time.monotonic() - self.jobs[job]
        return JSONResponse({"id": job, "status": "completed" if age > INDEXING else "queued"})

    def _session(self, session: str, method: str, body: Any) -> Response:
        if body and len(body["content"]) > 4000:
            return problem(422, "too long")
        if session not in self.sessions:
            return problem(404, "unknown session")
        if method == "DELETE":
            self.sessions.discard(session)
            return Response(status_code=204)
        message = str(uuid.uuid4())
        self.messages.add(message)
        sources = [{"filename": self.source, "score": 0.9}]
        if body["stream"]:
            return StreamingResponse(self._stream(message, sources), media_type="text/event-stream")
        return JSONResponse({"message_id": message, "sources": sources, "answer": "42"})

    async def _stream(self, message: str, sources: list[Any]) -> AsyncIterator[str]:
        try:
            yield f"event: sources\ndata: {json.dumps(sources)}\n\n"
            for word in ("forty", "two", "."):
                await asyncio.sleep(self.stream_pause)
                yield f"event: token\ndata: {json.dumps({'text': word})}\n\n"
            if self.stream_end == "done":
                yield f"event: done\ndata: {json.dumps({'message_id': message})}\n\n"
            elif self.stream_end == "error":
                yield f"event: error\ndata: {json.dumps({'detail': 'the model went away'})}\n\n"
        except asyncio.CancelledError:
            self.left_midway += 1
            raise


@pytest.fixture
def backend() -> Iterator[Backend]:
    """Such a server, listening."""
    state = Backend()
    routes = [
        Route("/health/ready", state.handle),
        Route(f"{API}/documents", state.handle, methods=["POST"]),
        Route(f"{API}/indexing/jobs/{{id}}", state.handle),
        Route(f"{API}/chat/sessions", state.handle, methods=["POST"]),
        Route(f"{API}/chat/sessions/{{id}}", state.handle, methods=["DELETE"]),
        Route(f"{API}/chat/sessions/{{id}}/messages", state.handle, methods=["POST"]),
        Route(f"{API}/feedback", state.handle, methods=["POST"]),
        Route(f"{API}/experience", state.handle, methods=["POST"]),
    ]
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    state.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield state
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of two documents, with questions about them."""
    prose = "Cats sleep through most of the day and are awake at night, when nobody wants them to be. " * 4
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(f"# Read me\n\n## How to begin\n\n{prose}\n\n## Commands\n\n{prose}\n")
    (tmp_path / "docs" / "cats.md").write_text(f"# Cats\n\n## Sleep\n\n{prose}\n\n### Dreams\n\n{prose}\n")
    questions = [
        {"question": f"What about the {subject}, number {number}?", "source": source}
        for subject, source in (("beginning", "README.md"), ("cats", "docs/cats.md"))
        for number in range(4)
    ]
    (tmp_path / "questions.json").write_text(json.dumps(questions))
    return tmp_path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users who think for a moment only."""
    monkeypatch.setattr("scripts.traffic.visitor.THINKING", 0.05)
    monkeypatch.setattr("scripts.traffic.librarian.LOOK", 0.02)
    monkeypatch.setattr("scripts.traffic.librarian.FIRST_UPLOADS_RATE", 1000.0)


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[Client]:
    client = Client(backend.url, Tally(), connections=5)
    yield client
    await client.close()

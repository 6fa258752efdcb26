"""What the backend's tests share: settings in a temporary folder, the app started, and a real server around it."""

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.core import redaction
from app.core.config import Settings
from app.core.faults import board
from app.core.logging_config import close_logging, configure_logging
from app.core.tracing import close_tracing, configure_tracing
from app.main import create_app


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    """No test inherits another one's faults."""
    board.replace([])
    yield
    board.replace([])


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Every span that ends while the test runs; every request is traced."""
    exporter = InMemorySpanExporter()
    configure_tracing(Settings(otel_traces_sampler_arg=1.0), SimpleSpanProcessor(exporter))
    yield exporter
    close_tracing()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Embedded stores in a temporary folder, faults allowed."""
    return make_settings(tmp_path)


@pytest.fixture
def configured(settings: Settings) -> Iterator[Settings]:
    """The program's own logging, into the test's folder."""
    before = logging.getLogger().handlers[:]
    configure_logging(settings)
    yield settings
    close_logging()
    redaction.switch(True)
    logging.getLogger().handlers[:] = before
    logging.captureWarnings(False)


def lines(settings: Settings) -> list[dict[str, Any]]:
    """Everything that was written so far, through the link that people read."""
    close_logging()
    return [json.loads(line) for line in (settings.log_dir / "application.log").read_text().split("\n")[:-1]]


def make_settings(folder: Path, **changes: Any) -> Settings:
    """Settings of a service whose every file is in this folder."""
    values: dict[str, Any] = {
        "log_dir": folder / "logs",
        "sqlite_path": folder / "specola.sqlite",
        "qdrant_path": folder / "qdrant",
        "faults_enabled": True,
        "sample_seconds": 0.2,
        "health_cache_seconds": 0.0,
    }
    return Settings(**{**values, **changes})


@contextlib.asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that was started in this process, without a network."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30) as client:
            yield client


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a started app."""
    async with started(settings) as client:
        yield client


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of a real server that serves this app from a thread of its own."""
    # The protocol named, or asyncio leaves Nagle's algorithm on, which costs 40 ms an answer.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
        thread.start()
        until(lambda: server.started, "the server starts")
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def until(condition: Callable[[], Any], what: str, seconds: float = 10) -> Any:
    """Waits for a condition, and gives its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"did not happen within {seconds:g} s: {what}")


async def indexed(client: httpx.AsyncClient, name: str, content: bytes, kind: str = "text/plain") -> dict[str, Any]:
    """Uploads a document and waits for its job to end."""
    answer = await client.post("/api/v1/documents", files={"file": (name, content, kind)})
    assert answer.status_code == 202, answer.text
    for _ in range(200):
        job: dict[str, Any] = (await client.get(answer.headers["location"])).json()
        if job["status"] in ("completed", "failed"):
            return job
        await asyncio.sleep(0.05)
    raise AssertionError(f"not indexed within 10 s: {job}")


def sample(text: str, name: str, **labels: str) -> float:
    """One sample of an exposition; 0 when it is not there."""
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        for one in family.samples:
            if one.name == name and all(one.labels.get(key) == value for key, value in labels.items()):
                return float(one.value)
    return 0.0

"""The stores under test: SQLite and embedded Qdrant always, MongoDB and a Qdrant server where a program is found."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pymongo
import pytest

from app.core.faults import board
from app.stores import documents
from app.stores.documents import DocumentStore
from app.stores.mongo import MongoDocumentStore
from app.stores.sqlite import SqliteDocumentStore
from app.stores.vectors import VectorStore
from scripts.local.ports import free_port

ROOT = Path(__file__).parents[3]
DIMENSIONS = 8

NewStore = Callable[..., DocumentStore]
NewVectors = Callable[..., VectorStore]
Survivor = Callable[[str, Path], list[str]]


def find_program(*names: str) -> Path | None:
    """The first of these programs on PATH, in the folders of TOOLS_PATH, or anywhere under `.tools/`."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), os.environ.get("TOOLS_PATH", "")])
    for name in names:
        on_path = shutil.which(name, path=folders)
        if on_path:
            return Path(on_path)
        for file in (ROOT / ".tools").rglob(name):
            if file.is_file() and os.access(file, os.X_OK):
                return file
    return None


def run_server(command: list[str], folder: Path, port: int, environment: dict[str, str]) -> Iterator[None]:
    """Runs a program until the tests are over; waits until it listens on `port`."""
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait_for(server, port, log)
            yield
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"{server.args!r} does not listen on port {port}; it said:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def mongodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that speaks MongoDB's protocol."""
    given = os.environ.get("MONGODB_TEST_URL")
    if given:
        yield given
        return
    program = find_program("mongod", "ferretdb")
    if program is None:
        pytest.skip("MongoDB: no MONGODB_TEST_URL, and neither mongod nor ferretdb on PATH, TOOLS_PATH or .tools/")
    folder, port = tmp_path_factory.mktemp("mongodb"), free_port()
    if program.name == "mongod":
        command = [str(program), "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1"]
        environment = {}
    else:
        command = [str(program)]
        environment = {
            "FERRETDB_HANDLER": "sqlite",
            "FERRETDB_SQLITE_URL": f"file:{folder}/",
            "FERRETDB_STATE_DIR": str(folder),
            "FERRETDB_LISTEN_ADDR": f"127.0.0.1:{port}",
            "FERRETDB_DEBUG_ADDR": "-",
            "FERRETDB_TELEMETRY": "disable",
        }
    for _ in run_server(command, folder, port, environment):
        yield f"mongodb://127.0.0.1:{port}/"


@pytest.fixture(scope="session")
def qdrant_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Qdrant server on 127.0.0.1."""
    program = find_program("qdrant")
    if program is None:
        pytest.skip("Qdrant server: no program qdrant on PATH, TOOLS_PATH or .tools/")
    folder, port = tmp_path_factory.mktemp("qdrant"), free_port()
    environment = {
        "QDRANT__STORAGE__STORAGE_PATH": str(folder / "storage"),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(port),
        "QDRANT__SERVICE__GRPC_PORT": str(free_port()),
        "QDRANT__TELEMETRY_DISABLED": "true",
    }
    for _ in run_server([str(program)], folder, port, environment):
        yield port


@pytest.fixture(params=["sqlite", "mongodb"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewStore]:
    """Makes stores, not yet started, that all hold the same records."""
    if request.param == "sqlite":

        def new_sqlite(timeout_seconds: float = 5.0) -> DocumentStore:
            return SqliteDocumentStore(tmp_path / "folder" / "records.sqlite", timeout_seconds)

        yield new_sqlite
        return
    url: str = request.getfixturevalue("mongodb_url")
    name = f"test_{uuid.uuid4().hex}"

    def new_mongodb(timeout_seconds: float = 5.0) -> DocumentStore:
        return MongoDocumentStore(url, name, timeout_seconds)

    yield new_mongodb
    with pymongo.MongoClient[dict[str, object]](url) as client:
        client.drop_database(name)


@pytest.fixture
async def store(new_store: NewStore) -> AsyncIterator[DocumentStore]:
    """A started, empty store of records."""
    store = new_store()
    await store.start()
    yield store
    await store.close()


@pytest.fixture(params=["local", "server"])
def new_vectors(request: pytest.FixtureRequest, tmp_path: Path) -> NewVectors:
    """Makes vector stores, not yet started, that all hold the same pieces."""
    if request.param == "local":

        def new_local(dimensions: int = DIMENSIONS) -> VectorStore:
            return VectorStore.embedded(tmp_path / "folder" / "qdrant", "pieces", dimensions)

        return new_local
    port: int = request.getfixturevalue("qdrant_port")
    name = f"test_{uuid.uuid4().hex}"

    def new_server(dimensions: int = DIMENSIONS) -> VectorStore:
        return VectorStore.server("127.0.0.1", port, name, dimensions, 5.0)

    return new_server


@pytest.fixture
async def vectors(new_vectors: NewVectors) -> AsyncIterator[VectorStore]:
    """A started, empty store of vectors."""
    store = new_vectors()
    await store.start()
    yield store
    await store.close()


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    """Whatever a test switches on is off for the next."""
    yield
    board.replace([])


class Tracked:
    """What the store told the metrics."""

    def __init__(self) -> None:
        self.operations: list[tuple[str, str]] = []
        self.durations: list[float] = []
        self.errors: list[tuple[str, str]] = []

    def track_database_operation(self, operation: str, collection: str, duration: float) -> None:
        self.operations.append((operation, collection))
        self.durations.append(duration)

    def track_database_error(self, operation: str, collection: str) -> None:
        self.errors.append((operation, collection))


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> Tracked:
    """Listens in place of the metrics."""
    listener = Tracked()
    monkeypatch.setattr(documents, "metrics", listener)
    return listener


@pytest.fixture
def killed_after_writing() -> Survivor:
    """Runs a program that prints a line for each write it was acknowledged, and kills it with SIGKILL meanwhile.

    Returns the lines.
    """

    def run(program: str, place: Path) -> list[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "backend"), "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [sys.executable, "-c", program, str(place)], env=environment, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline().strip() for _ in range(20)]
            writer.send_signal(signal.SIGKILL)
            lines += writer.stdout.read().split()
        assert writer.returncode == -signal.SIGKILL
        return lines

    return run


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])

"""With a certificate the image's programs serve HTTPS alone, and ask others by it, known by the stack's authority."""

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from app.core.span_export import SpansNotSent, Tempo
from app.probe import answers
from app.stores.errors import StoreUnavailable
from app.stores.vectors import VectorStore
from scripts.staging import certificates
from tests.programs import PROJECT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tls")
    certificates.make(made)
    certificates.make(made / "another")
    return made


@pytest.fixture(scope="module")
def authority(folder: Path) -> str:
    return str(folder / certificates.AUTHORITY)


@pytest.fixture(scope="module")
def another(folder: Path) -> str:
    """An authority that signed none of what is asked here."""
    return str(folder / "another" / certificates.AUTHORITY)


@pytest.fixture(scope="module")
def inbox(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of alert-inbox, which is served as the backend is."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "HOST": "127.0.0.1",
        "INBOX_PORT": str(port),
        "LOG_DIR": str(tmp_path_factory.mktemp("logs")),
        "SERVER_CERTIFICATE_FILE": str(folder / "tls_alert-inbox.pem"),
        "PYTHONPATH": str(PROJECT / "backend"),
    }
    process = subprocess.Popen([sys.executable, "-m", "app.inbox"], env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not answers(f"https://127.0.0.1:{port}/health/live", 1, str(folder / certificates.AUTHORITY)):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def test_it_is_served_by_tls_alone(inbox: int, authority: str, another: str) -> None:
    url = f"https://127.0.0.1:{inbox}/health/live"
    with httpx.Client(verify=ssl.create_default_context(cafile=authority)) as client:
        assert client.get(url).json() == {"status": "alive"}
    with pytest.raises(httpx.TransportError):
        httpx.get(url.replace("https", "http"))
    with httpx.Client(verify=ssl.create_default_context(cafile=another)) as client, pytest.raises(httpx.ConnectError):
        client.get(url)


def test_the_probe_asks_by_tls_and_takes_no_other_certificate(inbox: int, authority: str, another: str) -> None:
    url = f"https://127.0.0.1:{inbox}/health/live"
    assert answers(url, authority_file=authority)
    assert not answers(url.replace("/health", "/nothing"), authority_file=authority)
    assert not answers(url, authority_file=another)
    assert not answers(url.replace("127.0.0.1", "127.0.0.2"), authority_file=authority)  # which no certificate names


@pytest.fixture
def server(folder: Path) -> Iterator[tuple[int, list[str]]]:
    """A server with a part's certificate: its port, and what it was asked. It answers an empty object."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(418)

        def log_message(self, *_: object) -> None: ...

    serving = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls_tempo.pem")
    serving.socket = context.wrap_socket(serving.socket, server_side=True)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield serving.server_port, asked
    serving.shutdown()


def test_spans_go_to_a_tempo_that_the_authority_knows_and_to_no_other(
    server: tuple[int, list[str]], authority: str, another: str
) -> None:
    port, asked = server
    for trusted, taken in ((another, False), ("", False), (authority, True)):
        tempo = Tempo(f"https://localhost:{port}", trusted)
        if taken:
            assert tempo.send([]) == 0
        else:
            with pytest.raises(SpansNotSent, match="ConnectError"):
                tempo.send([])
        tempo.close()
    assert asked == ["/v1/traces"]


async def test_qdrant_is_asked_by_tls_where_an_authority_is_named(
    server: tuple[int, list[str]], authority: str, another: str
) -> None:
    port, asked = server
    for trusted, reached in ((another, False), (authority, True)):
        store = VectorStore.server("127.0.0.1", port, "chunks", 4, 2.0, authority_file=trusted)
        with pytest.raises(StoreUnavailable):
            await store.start()
        assert bool(asked) is reached

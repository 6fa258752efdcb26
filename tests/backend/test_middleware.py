"""What is counted of each request, held under a real server: test clients have hidden faults of this kind before."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles

from app.core.config import Settings
from app.core.errors import install_error_handlers
from app.core.faults import Fault, board
from app.core.middleware import ObservabilityMiddleware
from app.core.routing import EndpointNames
from app.services.metrics_service import metrics, track_endpoint_metrics
from tests.backend.conftest import make_settings, sample, served, until


def instrumented(settings: Settings) -> FastAPI:
    """An app with every way to reach a route that there is."""
    app = FastAPI()
    inner = APIRouter(prefix="/items")

    @inner.get("/{item}")
    async def item(item: str) -> str:
        return item

    outer = APIRouter(prefix="/v1")
    outer.include_router(inner)
    app.include_router(outer, prefix="/api")

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("canary-secret-detail")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.sleep(0.3)
            yield b"last"

        return StreamingResponse(pieces())

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.sleep(60)

        return StreamingResponse(pieces())

    @app.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            raise RuntimeError("midway")

        return StreamingResponse(pieces())

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(0.4)
        return "done"

    @app.get("/brief")
    async def brief() -> str:
        for _ in range(30):  # some 0.5 ms, in which the server looks at its sockets
            await asyncio.sleep(0)
        return "done"

    @app.get("/named/{name}")
    @track_endpoint_metrics("chosen_name")
    async def named(name: str) -> str:
        return name

    @app.head("/headed")
    async def headed() -> PlainTextResponse:
        return PlainTextResponse("")

    @app.post("/echo")
    async def echo(body: dict[str, Any]) -> dict[str, Any]:
        return body

    mounted = FastAPI()

    @mounted.get("/inside/{part}")
    async def inside(part: str) -> str:
        return part

    app.mount("/mounted", mounted)
    app.mount("/files", StaticFiles(directory="."))
    install_error_handlers(app)
    app.add_middleware(ObservabilityMiddleware, names=EndpointNames(app), settings=settings)
    return app


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(instrumented(make_settings(tmp_path_factory.mktemp("app"), max_concurrent_requests=20))) as address:
        yield address


def counted(method: str, endpoint: str, status: str) -> float:
    labels = {"method": method, "endpoint": endpoint, "status": status}
    return metrics.registry.get_sample_value("http_requests_total", labels) or 0.0


def series() -> set[tuple[str, str, str]]:
    return {
        (one.labels["method"], one.labels["endpoint"], one.labels["status"])
        for family in metrics.http_requests_total.collect()
        for one in family.samples
    }


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "status"),
    [
        ("GET", "/api/v1/items/7", "/api/v1/items/{item}", "200"),  # a router in a router: the whole template
        ("GET", "/mounted/inside/7", "/mounted/inside/{part}", "200"),
        ("GET", "/mounted/nothing", "unmatched", "404"),
        ("GET", "/files/pyproject.toml", "/files/{path}", "200"),
        ("GET", "/nothing/here", "unmatched", "404"),
        ("DELETE", "/api/v1/items/7", "unmatched", "405"),  # no route has this method
        ("GET", "/broken", "/broken", "500"),
        ("GET", "/stream", "/stream", "200"),
        ("HEAD", "/headed", "/headed", "200"),
        ("GET", "/named/alice", "chosen_name", "200"),
        ("POST", "/echo", "/echo", "422"),
        ("PROPFIND", "/api/v1/items/7", "unmatched", "405"),
        ("GET", "/docs", "/docs", "200"),
    ],
)
def test_each_request_is_counted_once_under_its_template(
    address: str, method: str, path: str, endpoint: str, status: str
) -> None:
    label = method if method != "PROPFIND" else "_OTHER"
    before, whole = counted(label, endpoint, status), total()
    answer = httpx.request(method, address + path)
    assert str(answer.status_code) == status
    until(lambda: counted(label, endpoint, status) == before + 1, "the request is counted")
    assert total() == whole + 1, "counted under one label set and no other"


def total() -> float:
    return sum(one.value for family in metrics.http_requests_total.collect() for one in family.samples)


def test_paths_and_methods_of_clients_make_no_series(address: str) -> None:
    for path in ("/api/v1/items/x", "/nothing", "/mounted/y"):
        httpx.get(address + path)
    httpx.request("PROPFIND", address + "/nothing")
    time.sleep(0.1)
    before = series()
    for number in range(30):
        httpx.get(f"{address}/api/v1/items/{number}")
        httpx.get(f"{address}/nothing/{number}")
        httpx.get(f"{address}/mounted/{number}")
        httpx.request(["MKCOL", "LOCK", "REPORT"][number % 3], f"{address}/nothing/{number}")
    time.sleep(0.1)
    assert series() == before


def test_the_start_of_a_stream_is_timed_apart_from_its_end(address: str) -> None:
    labels = {"method": "GET", "endpoint": "/stream"}

    def sums() -> tuple[float, float]:
        whole = metrics.registry.get_sample_value("http_request_duration_seconds_sum", labels) or 0.0
        start = metrics.registry.get_sample_value("http_response_start_seconds_sum", labels) or 0.0
        return whole, start

    before = sums()
    assert httpx.get(address + "/stream").text == "firstlast"
    after = until(lambda: sums() if sums()[0] > before[0] else None, "the stream is counted")
    assert after[0] - before[0] >= 0.3
    assert after[1] - before[1] < 0.2


def hang_up(address: str, path: str, after_bytes: bool) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        if after_bytes:
            connection.recv(10)
        else:
            time.sleep(0.1)


@pytest.mark.parametrize(("path", "after_bytes"), [("/stream", True), ("/slow", False)])
def test_a_client_that_went_away_is_a_499_and_no_success(address: str, path: str, after_bytes: bool) -> None:
    gone, success = counted("GET", path, "499"), counted("GET", path, "200")
    hang_up(address, path, after_bytes)
    until(lambda: counted("GET", path, "499") == gone + 1, "the departure is counted")
    assert counted("GET", path, "200") == success


def test_a_client_that_leaves_within_a_millisecond_is_a_499_too(address: str) -> None:
    gone, success = counted("GET", "/brief", "499"), counted("GET", "/brief", "200")
    leave = """
import socket, sys, time
for _ in range(20):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
        connection.sendall(b"GET /brief HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    time.sleep(0.01)
"""  # in a process of its own: a thread of this one would hold the server up for longer
    subprocess.run([sys.executable, "-c", leave, address.rpartition(":")[2]], check=True)
    until(lambda: counted("GET", "/brief", "499") + counted("GET", "/brief", "200") == gone + success + 20, "all 20")
    assert counted("GET", "/brief", "499") - gone >= 15, "a few may have been answered before they closed"


def test_an_answer_that_breaks_off_is_a_500(address: str) -> None:
    before = counted("GET", "/broken-stream", "500")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(address + "/broken-stream")
    until(lambda: counted("GET", "/broken-stream", "500") == before + 1, "the broken stream is counted")


def test_an_unexpected_error_is_a_problem_that_tells_nothing_but_its_id(address: str) -> None:
    answer = httpx.get(address + "/broken", headers={"X-Request-ID": "find-me"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "find-me"
    assert "canary" not in answer.text


@pytest.mark.parametrize("given", ["", "has space", "x" * 129, "semi;colon", "new\tline"])
def test_a_malformed_request_id_is_replaced(address: str, given: str) -> None:
    answer = httpx.get(address + "/api/v1/items/1", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


async def test_more_than_the_limit_at_once_is_shed_and_told_when_to_return(address: str) -> None:
    shed_before = counted("GET", "/slow", "503")
    async with httpx.AsyncClient(base_url=address, timeout=20, limits=httpx.Limits(max_connections=60)) as client:
        answers = await asyncio.gather(*(client.get("/slow") for _ in range(60)))
        recovered = await client.get("/slow")
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 503}
    assert counted("GET", "/slow", "503") == shed_before + statuses.count(503), "under the route that would have served"
    shed = next(answer for answer in answers if answer.status_code == 503)
    assert shed.headers["retry-after"] == "1"
    assert recovered.status_code == 200


def test_faults_strike_requests_but_not_the_way_to_end_them(address: str) -> None:
    struck = counted("GET", "/api/v1/items/{item}", "500")
    board.replace([Fault("http_errors", 100, time.time() + 30)])
    assert httpx.get(address + "/api/v1/items/1").status_code == 500
    until(lambda: counted("GET", "/api/v1/items/{item}", "500") == struck + 1, "it is counted where it would have gone")
    assert httpx.get(address + "/internal/none").status_code == 404
    board.replace([Fault("http_latency", 100, time.time() + 30, delay_seconds=0.3)])
    start = time.monotonic()
    assert httpx.get(address + "/api/v1/items/1").status_code == 200
    assert time.monotonic() - start >= 0.3


def test_requests_in_progress_are_a_gauge(address: str) -> None:
    def in_progress() -> float:
        return metrics.registry.get_sample_value("http_requests_in_progress") or 0.0

    with httpx.stream("GET", address + "/stream") as answer:
        pieces = answer.iter_bytes()
        next(pieces)
        assert in_progress() == 1
        assert list(pieces) == [b"last"]
    until(lambda: in_progress() == 0, "the request is over")


async def test_the_exposition_can_be_had_in_both_formats(client: httpx.AsyncClient) -> None:
    text = await client.get("/metrics")
    assert text.headers["content-type"].startswith("text/plain; version=")
    assert sample(text.text, "app_info", environment="local") == 1
    openmetrics = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")
    assert "_created" not in text.text + openmetrics.text


def test_an_answer_that_the_end_of_the_process_cuts_off_is_a_500_and_no_success(tmp_path: Path) -> None:
    broken, success = counted("GET", "/endless", "500"), counted("GET", "/endless", "200")
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(served(instrumented(make_settings(tmp_path))))
        with httpx.stream("GET", address + "/endless", timeout=20) as answer:
            pieces = answer.iter_bytes()
            next(pieces)
            stack.close()  # the client is still there
    assert (counted("GET", "/endless", "500"), counted("GET", "/endless", "200")) == (broken + 1, success)


async def test_a_client_that_leaves_while_its_method_is_refused_makes_no_series_of_the_route(tmp_path: Path) -> None:
    app = instrumented(make_settings(tmp_path))
    scope = {"type": "http", "http_version": "1.1", "method": "DELETE", "path": "/api/v1/items/7", "root_path": ""}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: object) -> None:
        raise ConnectionResetError

    before = counted("DELETE", "unmatched", "499")
    with contextlib.suppress(OSError):
        await app({**scope, "raw_path": b"", "query_string": b"", "headers": [], "scheme": "http"}, receive, send)
    assert counted("DELETE", "unmatched", "499") == before + 1
    assert ("DELETE", "/api/v1/items/{item}", "499") not in series()

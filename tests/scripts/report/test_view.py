"""`make view`, in a real browser."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, expect

from scripts.addresses import PROJECT
from scripts.report import view
from tests.e2e.browser import CHROMIUM, CUT_OFF, FAINT_TEXT, WITHOUT_CHROMIUM
from tests.e2e.conftest import chromium  # noqa: F401
from tests.scripts.report.conftest import ZONE, Places

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT_CHROMIUM)


@contextmanager
def served(places: Places) -> Iterator[str]:
    """The view in a thread of its own."""
    configuration = uvicorn.Config(view.application(places.stores, ZONE), port=0, log_level="warning")
    server = uvicorn.Server(configuration)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def address_of_view(places: Places) -> Iterator[str]:
    with served(places) as address:
        yield address


def test_the_command_serves_until_it_is_ended(places: Places, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "VIEW_PORT": str(port), "PORT_PROMETHEUS": "1", "LOG_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "scripts.report.view"]
    with subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port}" in process.stdout.readline()
        retrying = httpx.HTTPTransport(retries=8)  # it says so before it listens; the waits double, 0.5 s first
        with httpx.Client(transport=retrying, timeout=30) as client:
            assert "Prometheus at http://127.0.0.1:1 does not run" in client.get(f"http://127.0.0.1:{port}").text
        process.terminate()


def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VIEW_PORT", "grafana")
    assert view.main() == 2
    assert "VIEW_PORT=grafana is no port" in capsys.readouterr().err


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, timeout=30)


def test_each_dashboard_has_a_page(address_of_view: str) -> None:
    assert "The week" in get(address_of_view).text
    found = get(f"{address_of_view}/sistema-overview?since=6h")
    assert "API Response Time" in found.text
    assert found.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/nosuch", "no dashboard 'nosuch'"), ("/sistema-overview?since=x", "SINCE='x' is no time")],
)
def test_nonsense_is_refused(address_of_view: str, path: str, reason: str) -> None:
    found = get(address_of_view + path)
    assert found.status_code == 404
    assert reason in found.text


def test_two_who_look_ask_prometheus_once(address_of_view: str) -> None:
    first, second = (get(f"{address_of_view}/sistema-overview").text for _ in range(2))
    assert first == second


@needs_chromium
@pytest.mark.parametrize("width", [1440, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read(chromium: Browser, address_of_view: str, width: int, scheme: str) -> None:  # noqa: F811
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    mistakes: list[str] = []
    page.on("console", lambda message: mistakes.append(message.text))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for path in ("/", "/sistema-overview", "/slo"):
        page.goto(address_of_view + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(FAINT_TEXT) == []
        cut = page.evaluate(CUT_OFF)
        assert [one for one in cut if "scroll" not in one] == []
    assert all(url.startswith((address_of_view, "data:")) for url in requests), requests
    assert mistakes == []
    context.close()


@needs_chromium
def test_it_refreshes_itself_and_says_when_it_cannot(
    chromium: Browser,  # noqa: F811
    places: Places,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view, "REFRESH", 0.0)
    page = chromium.new_page()
    page.clock.install()
    with served(places) as address:
        page.goto(f"{address}/sistema-overview")
        page.get_by_text("How to read it").first.click()
        before = page.locator("header p").first.text_content()
        time.sleep(1.1)  # the page tells its time to the second
        page.clock.run_for(30_000)
        expect(page.locator("header p").first).not_to_have_text(before or "")
        assert page.locator("article > details[open]").count() == 1, "what was opened stays open"
    page.clock.run_for(30_000)
    expect(page.locator("#state")).to_contain_text("What is shown is old: make view does not answer")

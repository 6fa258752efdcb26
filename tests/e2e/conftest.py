"""What is started once for many: whole stacks, a browser, and for the tests of the page a backend."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import PATIENCE, Backend, Opener, Visit, running_backend, running_browser, visit
from tests.e2e.stack import PROJECT, Stack, containers, processes

#: How long traffic runs before anything is asked (seconds), and how fast (requests/s): what the README promises. For
#: pictures, long enough to have something to see.
SECONDS, RATE = int(os.environ.get("TRAFFIC_SECONDS", "45")), 5


class _InTraffic:
    """One stack at a time: started for the first test that asks for it, ended with the last of those in a row."""

    def __init__(self) -> None:
        self.mode, self.reason = "", ""
        self._stack: Stack | None = None
        self._open = ExitStack()

    def stack(self, mode: str, folder: Path) -> Stack:
        """Skips the test where there can be none."""
        if mode != self.mode:
            self.end()
            self.mode, self.reason = mode, "this stack did not come up: the first of its tests says why"
            try:
                self._stack = self._started(mode, folder)
            except pytest.skip.Exception as skipped:
                self.reason = str(skipped)
        if self._stack is None:
            pytest.skip(self.reason)
        return self._stack

    def _started(self, mode: str, folder: Path) -> Stack:
        stack = self._open.enter_context(containers() if mode == "containers" else processes(folder))
        command = [sys.executable, "-m", "scripts.traffic", "--rate", str(RATE), "--seconds", str(SECONDS)]
        traffic = subprocess.run(
            [*command, "--url", stack.address("gateway")],
            cwd=PROJECT, capture_output=True, text=True, timeout=SECONDS + 150, check=False,
        )  # fmt: skip
        assert traffic.returncode == 0, traffic.stdout + traffic.stderr
        print(traffic.stdout)
        time.sleep(11)  # two scrapes more
        return stack

    def end(self) -> None:
        """Stops what runs."""
        self._open.close()
        self.mode, self._stack = "", None


_in_traffic = _InTraffic()


@pytest.fixture
def in_traffic() -> _InTraffic:
    return _in_traffic


@pytest.fixture(params=["containers", "processes"])
def stack(request: pytest.FixtureRequest, in_traffic: _InTraffic, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The whole stack, after some traffic. Who uses it leaves it as it was."""
    return in_traffic.stack(request.param, tmp_path_factory.mktemp("stack"))


def _mode(item: pytest.Item | None) -> str:
    """Of the stack that a test shares with others; empty for a test with a stack of its own, or none."""
    if item is None or "in_traffic" not in getattr(item, "fixturenames", ()):
        return ""
    return str(item.callspec.params["stack"])  # type: ignore[attr-defined]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A stack that nobody waits for has no claim on the processors."""
    if _mode(item) != _mode(nextitem):
        _in_traffic.end()


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with running_backend(tmp_path_factory.mktemp("backend")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def open_page(chromium: Browser, backend: Backend) -> Iterator[Opener]:
    """Opens the page as someone new, with the browser's options for that person (a phone, a dark screen)."""
    with ExitStack() as visits:

        def opener(**options: Any) -> Visit:
            context = visits.enter_context(chromium.new_context(reduced_motion="reduce", **options))
            context.set_default_timeout(PATIENCE * 1000)
            return visits.enter_context(visit(context, backend))

        yield opener


@pytest.fixture
def someone(open_page: Opener) -> Visit:
    return open_page()

"""One backend and one browser for all tests of the page, and a visit of its own for each."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import PATIENCE, Backend, Opener, Visit, running_backend, running_browser, visit


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

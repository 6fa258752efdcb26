"""A dashboard's page is waited for until all of it is there, and what never comes is named."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.browser import CHROMIUM, WITHOUT_CHROMIUM
from tests.e2e.grafana_page import opened

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT_CHROMIUM)
#: Like Grafana, it draws its panels late, and each when it comes into sight.
LAZY = """<body><script>setTimeout(() => {
  for (const title of ["First", "Second", "Last"]) {
    const item = document.createElement("div");
    item.className = "react-grid-item";
    item.style.height = "2000px";
    document.body.append(item);
    new IntersectionObserver(seen => { if (seen[0].isIntersecting) item.textContent = title; }).observe(item);
  }
}, 1500)</script></body>"""


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": 1440, "height": 800})
    yield page
    page.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    (tmp_path / "lazy.html").write_text(LAZY)
    return f"file://{tmp_path}/lazy.html"


def test_panels_that_are_drawn_late_and_out_of_sight_are_waited_for(page: Page, address: str) -> None:
    opened(page, address, {"First", "Second", "Last"})
    assert page.locator(".react-grid-item").all_inner_texts() == ["First", "Second", "Last"]
    assert page.evaluate("() => scrollY") < 2000, "and then the page is seen from its beginning"


def test_panels_that_are_never_drawn_are_named(page: Page, address: str) -> None:
    with pytest.raises(AssertionError, match=r"lazy\.html did not draw within 3 s: Fourth, Third\b"):
        opened(page, address, {"First", "Third", "Fourth"}, patience=3)

"""A dashboard in Grafana, in a real browser."""

import time

from playwright.sync_api import Page

_LOADING = ".panel-loading, [data-testid='data-testid Panel loading bar'], [aria-label='Panel loading bar']"
#: Seconds that a page may take to draw its panels, on a busy machine.
PATIENCE = 60.0
#: Brings each panel into sight, one after the other.
_SCROLL = """async () => {
  for (const item of document.querySelectorAll(".react-grid-item")) {
    item.scrollIntoView({block: "center"});
    await new Promise(drawn => setTimeout(drawn, 50));
  }
  await new Promise(drawn => setTimeout(drawn, 200));
}"""


def opened(page: Page, address: str, titles: set[str], patience: float = PATIENCE) -> None:
    """Opens a dashboard and waits until every title was drawn and every panel has its answer."""
    page.goto(address)
    deadline, missing = time.monotonic() + patience, titles
    while missing:
        late = f"{address} did not draw within {patience:g} s: {', '.join(sorted(missing))}"
        assert time.monotonic() < deadline, late
        # Grafana draws what comes into sight, once it has a page at all.
        page.evaluate(_SCROLL)
        shown = page.locator("body").inner_text()
        missing = {title for title in missing if title not in shown}
    page.evaluate("() => document.querySelector('.react-grid-item')?.scrollIntoView()")
    page.wait_for_load_state("networkidle")
    page.wait_for_function(f"() => !document.querySelector(`{_LOADING}`)")
    page.wait_for_timeout(1000)  # what has arrived is drawn

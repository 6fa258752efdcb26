"""A real backend and a real browser for the page's tests."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect, sync_playwright
from prometheus_client.parser import text_string_to_metric_families

from scripts.backend_process import BackendProcess

CHROMIUM = shutil.which("chromium")
WITHOUT_CHROMIUM = "no Chromium on PATH: apt-get install -y chromium"
#: Nothing is drawn, nothing is asked of its makers, and it runs as root in a container.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: What Chromium itself writes for every answer of 4xx and 5xx, however well it is dealt with.
_REFUSED = re.compile(r"Failed to load resource: the server responded with a status of [45]\d\d")
#: Seconds that anything may take on a busy machine.
PATIENCE = 15.0

#: A document, and a question that it answers.
TELESCOPE = """The refractor in the east dome was built in 1887. It has an aperture of 38 centimetres.

Public nights are held on the first Friday of each month.
"""
QUESTION = "When was the refractor in the east dome built?"


@dataclass(frozen=True)
class Backend:
    """A backend in a process of its own."""

    url: str

    def metric(self, name: str, **labels: str) -> float:
        """A sample's value, 0 when there is none."""
        exposition = httpx.get(f"{self.url}/metrics").text
        samples = (sample for family in text_string_to_metric_families(exposition) for sample in family.samples)
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def wait_for_metric(self, at_least: float, name: str, **labels: str) -> None:
        """Waits until a sample has risen so far: a browser reports when it sees fit."""
        deadline = time.monotonic() + PATIENCE
        while self.metric(name, **labels) < at_least:
            assert time.monotonic() < deadline, f"{name}{labels} stays below {at_least}: {self.metric(name, **labels)}"
            time.sleep(0.05)

    @contextmanager
    def fault(self, name: str, delay_seconds: float = 0.0) -> Iterator[None]:
        """Breaks something for a while."""
        order = {"fault": name, "seconds": 60, "delay_seconds": delay_seconds}
        httpx.put(f"{self.url}/internal/faults", json=order).raise_for_status()
        try:
            yield
        finally:
            httpx.delete(f"{self.url}/internal/faults").raise_for_status()


@contextmanager
def running_backend(folder: Path) -> Iterator[Backend]:
    """Runs the backend with all that it keeps in `folder`."""
    with BackendProcess(folder, FAULTS_ENABLED="true") as process:
        yield Backend(process.address)


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Runs Chromium."""
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """One person with the page open, and all that went wrong meanwhile."""

    page: Page
    requests: list[str] = field(default_factory=list)
    user_ids: set[str] = field(default_factory=set)
    mistakes: list[str] = field(default_factory=list)

    def ask(self, question: str) -> None:
        """Types a question and presses Ask."""
        self.page.get_by_label("Your question").fill(question)
        self.page.get_by_role("button", name="Ask", exact=True).click()

    def upload(self, name: str, content: str) -> None:
        """Chooses a file."""
        file = {"name": name, "mimeType": "", "buffer": content.encode()}
        self.page.get_by_label("Add documents").set_input_files(cast(Any, file))

    def index(self, name: str = "telescope.txt", content: str = TELESCOPE) -> None:
        """Chooses a file, and waits until it can be asked about."""
        self.upload(name, content)
        row = self.page.get_by_label("Your uploads").get_by_role("listitem").filter(has_text=name)
        expect(row).to_contain_text(re.compile(r"\d+ passages?\s*$"))

    def last_answer(self) -> Locator:
        """The newest question with what came of it."""
        return self.page.get_by_role("article").last

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """Runs a function of the test's own in the page."""
        return self.page.evaluate(script, argument)

    def leave(self) -> None:
        """Goes somewhere else."""
        self.page.goto("about:blank")


#: Opens the page as someone new, with the browser's options for that person (a phone, a dark screen).
Opener = Callable[..., Visit]


@contextmanager
def visit(context: BrowserContext, backend: Backend) -> Iterator[Visit]:
    """Opens the page; afterwards nothing may have failed in it, nor been asked of another host."""
    someone = Visit(context.new_page())

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _REFUSED.match(message.text):
            someone.mistakes.append(message.text)

    someone.page.on("console", note)
    someone.page.on("pageerror", lambda error: someone.mistakes.append(str(error)))
    someone.page.on("request", lambda request: someone.requests.append(request.url))
    someone.page.on("request", lambda request: someone.user_ids.add(request.headers.get("x-user-id", "")))
    someone.page.goto(backend.url)
    yield someone
    assert someone.mistakes == [], "the console is not clean"
    assert [url for url in someone.requests if not url.startswith(f"{backend.url}/")] in ([], ["about:blank"])


def server_events(body: str) -> list[tuple[str, Any]]:
    """The events of a finished stream."""
    blocks = (block.split("\n") for block in body.split("\n\n") if block)
    return [(block[0].removeprefix("event: "), json.loads(block[1].removeprefix("data: "))) for block in blocks]


#: Text that is too faint for its ground (WCAG AA asks for 4.5:1, 3:1 when it is large). Returns what it found.
FAINT_TEXT = """() => {
  const parts = (color) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const color = parts(getComputedStyle(element).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.body.querySelectorAll("*")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!hasText || !element.checkVisibility() || element.closest(".unseen, .skip, template, noscript")) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parts(style.color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) faint.push(`${element.textContent}: ${ratio}`);
  }
  return faint;
}"""

#: What is wider than its place, so that one would have to scroll sideways to see all of it.
CUT_OFF = """() => [...document.body.querySelectorAll("*")]
  .filter((element) => element.checkVisibility() && !element.matches(".unseen, .unseen *, noscript, input"))
  .filter((element) => element.clientWidth > 0 && element.scrollWidth > element.clientWidth)
  .map((element) => element.outerHTML)"""

#: Whether the focus can be seen: on the element itself, or on what stands for it.
FOCUS_IS_SEEN = """() => {
  const element = document.activeElement;
  const outlined = (shown) => shown && getComputedStyle(shown).outlineStyle !== "none";
  return [element, element.nextElementSibling, element.parentElement].some(outlined);
}"""

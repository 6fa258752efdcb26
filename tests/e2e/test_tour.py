"""The tour takes itself, from the running stack to a metric of one's own, where a minute is three seconds."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from scripts.addresses import PROJECT
from scripts.drill.stacks import own
from scripts.local.apart import NotHere, free_ports
from tests.e2e.stack import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
PARTS = ("backend", "prometheus", "alertmanager", "alert-inbox", "loki", "tempo")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What points the tour at a stack of its own; without Loki and Tempo it reads the files."""
    try:
        with own(tmp_path_factory.mktemp("stack"), 20) as stack:
            unused = free_ports()
            ports = {f"PORT_{part.upper().replace('-', '_')}": part for part in PARTS}
            shown = {
                name: unused[name] if stack.missing(part) else stack.address(part).rpartition(":")[2]
                for name, part in ports.items()
            }
            yield {**os.environ, **shown, "LOG_DIR": str(stack.processes.folders.logs), "TRAFFIC": "0"}
    except NotHere as reason:
        pytest.skip(str(reason))


def tour(environment: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.tour"]
    return subprocess.run(
        command, cwd=PROJECT, env={**environment, **more}, capture_output=True, text=True, timeout=560, check=False
    )


def test_every_step_but_the_start_happens_unattended(environment: dict[str, str]) -> None:
    done = tour(environment, AUTO="1", STEP="2", COLUMNS="200")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert done.stdout.count("✓") == 7
    assert "AIServiceDown was delivered" in done.stdout
    assert "the metric greetings_total, the panel Greetings, the alert GreetingsMany" in done.stdout


def test_what_did_not_happen_is_not_taken_for_done(environment: dict[str, str]) -> None:
    given = "backend/app/main.py\nq\n"
    command = [sys.executable, "-m", "scripts.tour"]
    asked = {**environment, "STEP": "3", "COLUMNS": "200", "IN": "it"}
    done = subprocess.run(command, cwd=PROJECT, env=asked, input=given, capture_output=True, text=True, check=False)
    assert "Non ancora" in done.stdout
    assert "grep -rn chat_messages_total backend/app" in done.stdout
    assert "Sei uscito al passo 3" in done.stdout


def test_nonsense_is_refused_with_what_there_is(environment: dict[str, str]) -> None:
    done = tour(environment, IN="fr")
    assert (done.returncode, done.stderr) == (2, "tour: IN is one of en, it, STEP a number from 1 to 8\n")


def test_the_page_takes_the_same_steps(environment: dict[str, str], chromium: Browser, tmp_path: Path) -> None:
    port = free_ports()["PORT_GRAFANA"]
    command = [sys.executable, "-m", "scripts.tour"]
    asked = {**environment, "PAGE": "1", "PORT": port, "IN": "it"}
    with (tmp_path / "page.out").open("wb") as output:
        server = subprocess.Popen(command, cwd=PROJECT, env=asked, stdout=output, stderr=output)
    try:
        page = chromium.new_page(viewport={"width": 400, "height": 900})
        until(lambda: _opens(page, f"http://127.0.0.1:{port}/"), "the tour's page opens", 30)
        step = page.locator("section").nth(2)
        step.get_by_role("textbox").fill("main.py")
        step.get_by_role("button", name="Guarda se è successo").click()
        step.get_by_text("Non ancora").wait_for()
        step.get_by_role("button", name="Fallo tu").click()
        step.get_by_text("metrics_service.py").wait_for()
        assert "done" in str(step.get_attribute("class"))
        assert page.evaluate("document.documentElement.scrollWidth <= 400")
        if folder := os.environ.get("PICTURES"):
            page.screenshot(path=f"{folder}/tour-400.png", full_page=True)
    finally:
        server.terminate()
        server.wait(10)


def _opens(page: object, url: str) -> bool:
    try:
        page.goto(url)  # type: ignore[attr-defined]
    except Exception:
        return False
    return True

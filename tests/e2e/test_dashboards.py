"""The dashboards in a real Grafana and a real browser: provisioned in silence, and no panel in error at any width.

`make pictures` (PICTURES=folder) keeps a picture of each, for the README.
"""

import copy
import json
import os
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.e2e.browser import CHROMIUM, WITHOUT_CHROMIUM
from tests.e2e.grafana_page import opened
from tests.e2e.stack import PROJECT, Stack

BOARDS = {file.stem: json.loads(file.read_text()) for file in sorted((PROJECT / "grafana/dashboards").glob("*.json"))}
#: Pixels: a laptop's, and a telephone's, where Grafana puts one panel below the other.
WIDE, NARROW = 1440, 400
PICTURES = os.environ.get("PICTURES", "")
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(420 + int(os.environ.get("TRAFFIC_SECONDS", "45"))),
    pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT_CHROMIUM),
    pytest.mark.parametrize("stack", ["processes"], indirect=True),
]
#: What a panel in error shows, in Grafana 9 and in what came later.
BADGE = ".panel-info-corner--error, [data-testid='data-testid Panel status error'], .panel-content .alert-error"
#: Bytes that a picture may have, so that the README opens quickly.
LARGEST = 300_000


def test_provisioning_says_nothing_in_grafanas_log(stack: Stack) -> None:
    stack.address("grafana")
    lines = (stack.folder / ".run/log/grafana.log").read_text().splitlines()
    said = [line for line in lines if re.search(r"logger=provisioning\S* .*level=(warn|error)", line)]
    # Grafana 9 looks for a folder of a kind of alert that is no more.
    assert [line for line in said if "logger=provisioning.notifiers" not in line] == []


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("name", BOARDS)
def test_no_panel_is_in_error_and_all_are_drawn(stack: Stack, chromium: Browser, name: str, width: int) -> None:
    board = BOARDS[name]
    page = chromium.new_page(viewport={"width": width, "height": height(board, width)}, reduced_motion="reduce")
    try:
        opened(page, f"{stack.address('grafana')}/d/{board['uid']}?kiosk", titles(board))
        assert page.locator(BADGE).count() == 0
        if PICTURES and width == WIDE:
            picture(page, Path(PICTURES) / f"{board['uid']}.png")
    finally:
        page.close()


def test_a_query_that_is_refused_shows_the_badge_that_is_looked_for(stack: Stack, chromium: Browser) -> None:
    board: Any = copy.deepcopy(BOARDS["system-overview"])
    board |= {"uid": "broken", "title": "Broken"}
    board["panels"][0]["targets"][0]["expr"] = "sum by status (up)"
    answer = httpx.post(f"{stack.address('grafana')}/api/dashboards/db", json={"dashboard": board}, timeout=30)
    assert answer.is_success, answer.text
    page = chromium.new_page(viewport={"width": WIDE, "height": height(board, WIDE)})
    try:
        opened(page, f"{stack.address('grafana')}/d/broken?kiosk", titles(board))
        assert page.locator(BADGE).count() == 1
    finally:
        page.close()


def height(board: Any, width: int) -> int:
    """Pixels of a whole dashboard: Grafana draws what is in sight, and asks for no other panel."""
    where = [panel["gridPos"] for panel in board["panels"]]
    rows = max(one["y"] + one["h"] for one in where) if width == WIDE else sum(one["h"] + 1 for one in where)
    return 38 * rows + 60


def titles(board: Any) -> set[str]:
    """What has to be read on a dashboard's page."""
    return {panel["title"] for panel in board["panels"]}


def picture(page: Page, file: Path) -> None:
    """Keeps what is seen, in as many colours as fit into the size of a picture."""
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    for colours in (256, 128, 64, 32):
        image.quantize(colours, dither=Image.Dither.NONE).save(file, optimize=True)
        if file.stat().st_size <= LARGEST:
            return
    raise AssertionError(f"{file} has {file.stat().st_size} bytes even in 32 colours")

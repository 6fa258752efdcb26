"""The whole page, of the project's own dashboards."""

import re
from datetime import datetime
from typing import Any

import pytest

from scripts.report.board import boards
from scripts.report.page import Section, render, section
from scripts.report.weekly import week
from tests.scripts.find.conftest import line, loki_answer
from tests.scripts.report.conftest import END, WINDOW, ZONE, Page, Places, panel
from tests.scripts.report.conftest import page as page_of

MOST_BYTES = 3_000_000


def loki(parameters: dict[str, str]) -> dict[str, Any]:
    """Numbers where the query counts, else lines."""
    result = [{"metric": {"level": "error"}, "values": [[END, "1"]], "value": [END, "1"]}]
    counts = parameters["query"].startswith("sum")
    return {"data": {"resultType": "matrix", "result": result}} if counts else loki_answer(line("request"))


@pytest.fixture
def sections(places: Places) -> list[Section]:
    places.loki.answers |= {"/loki/api/v1/query_range": loki, "/loki/api/v1/query": loki}
    return [section(board, WINDOW, places.stores) for board in boards()]


@pytest.fixture
def page(places: Places, sections: list[Section]) -> Page:
    now = datetime.fromtimestamp(END, ZONE)
    return Page(render(sections, week(WINDOW, places.stores), places.stores, now))


def test_every_panel_of_every_dashboard_is_understood(sections: list[Section]) -> None:
    drawn = [(one.board.title, panel["title"], drawn) for one in sections for panel, drawn in one.panels]
    assert [(board, title, one["text"]) for board, title, one in drawn if one["kind"] == "failed"] == []


def test_it_has_every_title_and_description(page: Page) -> None:
    source = re.sub(r"\s+", " ", page.text)
    for board in boards():
        assert board.title in source
        for one in board.panels:
            assert one["title"] in source
            first = one.get("description", "").split(".")[0].replace("`", "").replace("**", "")
            assert re.sub(r"\s+", " ", first) in source, one["title"]


def test_it_opens_anywhere(page: Page) -> None:
    assert len(page.source.encode()) <= MOST_BYTES
    loaded = [(tag, value) for tag, name, value in page.attributes if name in ("src", "srcset", "data", "poster")]
    loaded += [(tag, value) for tag, name, value in page.attributes if name == "href" and tag in ("link", "image")]
    assert all(value.startswith("data:") for _, value in loaded), loaded
    assert not re.search(r"@import|url\(|<script|<iframe|<object", page.source)


def test_its_size_is_bounded_by_what_can_be_seen(places: Places) -> None:
    many = panel("timeseries", *["wave * 1.5 + time() % 97"] * 5, query={"range": True})
    whole = {**many, "gridPos": {"x": 0, "y": 0, "w": 24, "h": 8}}
    size = len(page_of([whole] * 10, places.stores).source) - len(page_of([], places.stores).source)
    assert size / 100 < 6000, "a hundred lines as wide as the page"


def test_what_comes_from_outside_is_text(places: Places) -> None:
    query = 'label_replace(vector(1), "x", "<script>alert(1)</script>", "", "")'
    legend = {"instant": True, "legendFormat": "<b>{{x}}</b>"}
    evil = panel("bargauge", query, query=legend, description="<img src=x onerror=y> **bold**")
    found = page_of([evil, evil], places.stores)
    assert "<script" not in found.source
    assert "<img" not in found.source
    assert "<strong>bold</strong>" in found.source


def test_links_lead_within_the_page_and_else_to_grafana(places: Places) -> None:
    links = [
        {"title": "Here", "url": "/d/a-board?${__url_time_range}&${__all_variables}"},
        {"title": "There", "url": "/d/other?${__url_time_range}"},
        {"title": "Lines", "url": "/explore?left=${environment:pipe}${__from}"},
    ]
    all_of_it = {"name": "environment", "current": {"value": ["$__all"]}}
    found = page_of([panel("text", links=links, description="x")], places.stores, variables=[all_of_it])
    assert found.all("href")[-3:] == [
        "#a-board",
        f"http://127.0.0.1:3000/d/other?from={WINDOW.start * 1000:.0f}&to={END * 1000:.0f}",
        f"http://127.0.0.1:3000/explore?left=.%2A{WINDOW.start * 1000:.0f}",
    ]

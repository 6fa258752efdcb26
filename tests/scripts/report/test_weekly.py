"""The first page: its numbers against the series that it is made of."""

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from scripts.report.board import Window
from scripts.report.page import render
from scripts.report.stores import Prometheus
from scripts.report.weekly import week
from tests.scripts.report.conftest import DAY, END, HOUR, WINDOW, ZONE, Page, Places


@pytest.fixture
def found(places: Places) -> dict[str, Any]:
    return week(WINDOW, places.stores)


def test_objectives_are_met_or_missed(found: dict[str, Any]) -> None:
    availability, latency, chat = found["objectives"]
    # 2016 counts of ten events; 55 of them were bad, all within one hour.
    assert availability["share"] == pytest.approx(1 - 55 / 20_160, rel=1e-4)
    assert (availability["met"], availability["last"]) == (True, 1.0)
    assert (latency["share"], latency["met"]) == (pytest.approx(0.9), False)
    assert (chat["share"], chat["met"], chat["left"]) == (1.0, True, pytest.approx(0.7))


def test_the_week_stands_beside_the_last(found: dict[str, Any]) -> None:
    figures = {one["title"]: one["values"] for one in found["figures"]}
    assert figures["Requests"] == pytest.approx([20_160, 20_160], rel=1e-3)
    assert figures["Cost of AI"] == pytest.approx([20.16, 20.16], rel=0.01)
    assert math.isnan(figures["Questions"][0]), "nothing counted them"
    assert (found["compare"], found["short"]) == (True, False)


def test_the_worst_hours_lead_to_their_logs(found: dict[str, Any]) -> None:
    worst, second, *_ = found["hours"]
    assert len(found["hours"]) == 5
    assert (worst["start"], worst["bad"], worst["title"]) == (END - 30 * HOUR, 55, "Availability of the API")
    assert worst["spent"] == pytest.approx(55 / (0.01 * 20_160), rel=1e-3)
    assert (second["title"], second["bad"]) == ("Latency of the API", pytest.approx(12, abs=1))
    link = unquote(worst["link"])
    assert link.startswith("http://127.0.0.1:3000/explore?left=")
    assert f'"from":"{worst["start"] * 1000:.0f}","to":"{worst["end"] * 1000:.0f}"' in link
    assert 'level=~\\"error|critical\\"' in link


def test_alerts_are_told_by_count_and_duration(found: dict[str, Any]) -> None:
    (alert,) = found["alerts"]
    assert (alert["name"], alert["severity"]) == ("HighErrorRate", "critical")
    # Two this week, of half an hour and of a quarter; a point is valid for five minutes after it.
    assert (alert["count"], alert["before"]) == (2, 1)
    assert alert["seconds"] == pytest.approx(45 * 60, abs=2 * 300)


def test_costs_are_those_of_the_models(found: dict[str, Any]) -> None:
    (cost,) = found["costs"]
    assert cost["model"] == "gpt"
    assert cost["value"] == pytest.approx(20.16, rel=0.01)
    assert cost["month"] == pytest.approx(20.16 / 7 * 365 / 12, rel=0.01)


def test_the_day_on_which_a_disk_is_full_is_told(found: dict[str, Any]) -> None:
    forecasts = {one["title"]: one["text"] for one in found["forecasts"]}
    full = datetime.fromtimestamp(END, ZONE) + timedelta(days=10)
    assert forecasts["/ on n is full"] == f"{full:%a %d %b %Y, %H:%M}"
    # 0.7 of a budget for 30 days, spent twice as fast as it may be.
    spent = datetime.fromtimestamp(END, ZONE) + timedelta(days=0.7 * 30 / 2)
    assert forecasts["Latency of the API: budget spent"] == f"{spent:%a %d %b %Y, %H:%M}"
    assert forecasts["Success of chat answers: budget spent"] == "not within a year"


def test_less_than_a_week_of_data_is_said(places: Places) -> None:
    at = END - 14 * DAY + 3 * DAY
    found = week(Window(at - HOUR, at, ZONE), places.stores)
    assert (found["short"], found["compare"]) == (True, False)
    assert found["covered"] == pytest.approx(3 * DAY, abs=600)
    text = Page(render([], found, places.stores, datetime.fromtimestamp(at, ZONE))).text
    assert "There is data of the last 3.0 days alone" in text
    assert "nothing to compare with" in text


def test_the_page_tells_what_was_found(places: Places, found: dict[str, Any]) -> None:
    text = Page(render([], found, places.stores, datetime.fromtimestamp(END, ZONE))).text
    assert "2 of 3 objectives met" in text
    assert "Availability of the API requests are answered, and not with a 5xx 99.73%" in text
    assert "Sat 14 Mar, 07:00 Availability of the API 55 27%" in text
    assert "HighErrorRate critical 2 1" in text
    assert "Requests 20.2 K 20.2 K -0%" in text or "Requests 20.2 K 20.2 K +0%" in text
    assert "Questions – –" in text  # noqa: RUF001


def test_without_data_there_is_a_reason_instead(places: Places) -> None:
    assert week(Window(0, 1e6, ZONE), places.stores) == {"failed": "Prometheus has no data of these two weeks"}
    away = replace(places.stores, prometheus=Prometheus("http://127.0.0.1:1"))
    assert week(WINDOW, away) == {"failed": "Prometheus at http://127.0.0.1:1 does not run"}

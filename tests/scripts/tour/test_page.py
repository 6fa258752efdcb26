"""The tour as a page: each step on it, taken by what was typed, in the language that was chosen."""

import httpx
import pytest

from scripts.tour import page
from scripts.tour.steps import STEPS
from tests.scripts.tour.conftest import Told

RIGHT = "backend/app/services/metrics_service.py"
CODE = 1 + [step.name for step in STEPS].index("code")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, place: Told) -> httpx.AsyncClient:
    place.values_of["chat_messages_total"] = [{"value": [0, "12"]}]
    place.notes["workshop"] = ".tour"  # no copy of the project is made
    monkeypatch.setattr(page, "Place", lambda: place)
    return httpx.AsyncClient(transport=httpx.ASGITransport(page.make_page("en")), base_url="http://tour")


async def test_it_shows_every_step_with_a_field_for_those_that_ask(client: httpx.AsyncClient) -> None:
    shown = (await client.get("/")).text
    assert shown.count("<section") == len(STEPS)
    assert shown.count("<input") == sum(step.asks for step in STEPS)
    assert "[[" not in shown, "a blank of the page was not filled"


async def test_it_speaks_the_language_of_the_address_or_else_its_own(client: httpx.AsyncClient) -> None:
    assert '<html lang="it">' in (await client.get("/?lang=it")).text
    assert '<html lang="en">' in (await client.get("/?lang=fr")).text


async def test_a_step_that_happened_is_done(client: httpx.AsyncClient) -> None:
    outcome = (await client.post(f"/steps/{CODE}", json={"answer": RIGHT})).json()
    assert outcome["done"]
    assert "metrics_service.py:" in outcome["said"]


async def test_it_does_what_it_is_asked_to_do(client: httpx.AsyncClient) -> None:
    assert (await client.post(f"/steps/{CODE}", json={"do": True})).json()["done"]


@pytest.mark.parametrize(("language", "words"), [("en", "Not yet"), ("it", "Non ancora"), ("fr", "Not yet")])
async def test_a_step_that_did_not_happen_says_what_was_seen_and_helps(
    client: httpx.AsyncClient, language: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "wait", lambda check, _: check())
    outcome = (await client.post(f"/steps/{CODE}?lang={language}", json={"answer": "<b>main.py</b>"})).json()
    assert not outcome["done"]
    assert words in outcome["said"]
    assert "&lt;b&gt;main.py&lt;/b&gt;" in outcome["said"], "what was typed is not markup"
    assert "grep -rn chat_messages_total backend/app" in outcome["said"]


@pytest.mark.parametrize("number", [0, len(STEPS) + 1])
async def test_a_step_that_there_is_not_is_refused(client: httpx.AsyncClient, number: int) -> None:
    assert (await client.post(f"/steps/{number}", json={})).status_code == 422


def test_it_is_served_at_the_chosen_port(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    served: dict[str, object] = {}
    monkeypatch.setattr(page.uvicorn, "run", lambda app, **how: served.update(how))
    monkeypatch.setattr(page, "make_page", lambda language: language)
    monkeypatch.setenv("PORT", "8099")
    assert page.serve("it") == 0
    assert (served["host"], served["port"]) == ("127.0.0.1", 8099)
    assert "http://127.0.0.1:8099" in capsys.readouterr().out

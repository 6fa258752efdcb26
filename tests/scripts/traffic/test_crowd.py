"""Who makes the next request, and who closes their session at the end, against a real server."""

import asyncio
from typing import Any

import pytest

from scripts.traffic.client import Client
from scripts.traffic.crowd import Crowd
from scripts.traffic.librarian import Librarian
from scripts.traffic.library import Upload
from scripts.traffic.questions import Question

SESSIONS = "/api/v1/chat/sessions"
QUESTION = Question("How does one begin?", "README.md")
FILE = Upload("README.md", "markdown", "text/markdown", b"# Read me")


async def test_a_crowd_mixes_visits_and_mistakes(
    client: Client, backend: Any, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.traffic.mistakes.SHARE", 0.3)
    crowd = Crowd(client, [QUESTION], seed=1)
    for _ in range(100):
        await crowd.act()
    assert client.tally.sent == 100
    assert 15 <= sum(client.tally.labels["bad request"].values()) <= 45
    assert len([body for body in backend.requests("POST", SESSIONS) if body and len(body["content"]) > 4000])
    assert client.tally.errors == 0


async def test_a_crowd_prefers_who_is_ready_to_somebody_new(client: Client, backend: Any) -> None:
    now = 0.0
    crowd = Crowd(client, [QUESTION], seed=1, clock=lambda: now)
    await crowd.act()
    await crowd.act()
    assert client.tally.sessions_opened == 2
    now = 100.0
    await crowd.act()
    await crowd.act()
    assert client.tally.sessions_opened == 2


async def test_at_the_end_open_sessions_are_closed_by_those_who_mean_to(client: Client, backend: Any) -> None:
    crowd = Crowd(client, [QUESTION], seed=1, clock=lambda: 0.0)
    for _ in range(40):
        await crowd.act()
    crowd.join(Librarian(client, [FILE], seed=1))
    assert len(backend.sessions) > 30
    await crowd.leave()
    assert 0 < len(backend.sessions) < 15


@pytest.mark.parametrize("bad", [0.0, 1.0], ids=["with a question", "with a question that is too long"])
async def test_whoever_is_cut_off_closes_their_session_too(
    client: Client, backend: Any, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    now = 0.0
    crowd = Crowd(client, [QUESTION], seed=1, clock=lambda: now)
    await crowd.act()
    monkeypatch.setattr("scripts.traffic.mistakes.SHARE", bad)
    monkeypatch.setattr("scripts.traffic.crowd.TOO_LONG_ONE_IN", 1)
    now, backend.delay = 100.0, 0.5
    asking = asyncio.create_task(crowd.act())
    await asyncio.sleep(0.1)
    asking.cancel()
    await asyncio.wait([asking])
    assert len(backend.requests("POST", f"{SESSIONS}/")) == 1
    assert len(backend.sessions) == 1
    await crowd.leave()
    assert len(backend.sessions) == 0

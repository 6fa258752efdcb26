"""A profile of a service that serves: a real server, and coroutines that are slow in their own ways."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from app.api import profile
from app.core.config import Settings
from app.core.logging_config import close_logging, configure_logging
from app.main import create_app
from tests.backend.conftest import served, until

slow = APIRouter()


async def computes_for_long() -> None:
    until_then = time.monotonic() + 0.3
    while time.monotonic() < until_then:
        sum(range(1000))


async def waits_for_long() -> None:
    await asyncio.sleep(0.3)


@slow.get("/slow/{how}")
async def slow_route(how: str) -> str:
    await (computes_for_long() if how == "computes" else waits_for_long())
    return how


@pytest.fixture
def service(settings: Settings) -> Iterator[str]:
    """The address of a real server with a slow route."""
    configure_logging(settings)
    app = create_app(settings)
    app.include_router(slow)
    with served(app) as address:
        yield address
    close_logging()


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def profiled(aside: ThreadPoolExecutor, service: str, seconds: float) -> "Future[httpx.Response]":
    """A profile that is being taken."""
    taken = aside.submit(httpx.get, f"{service}/internal/profile?seconds={seconds}", timeout=30)
    until(profile._taking.locked, "a profile is taken")
    return taken


def seconds_under(page: str, root: str) -> dict[str, float]:
    """Each function's seconds below the frame `root` of a page."""
    found: dict[str, float] = {}

    def walk(frame: dict[str, Any], below: bool) -> None:
        name = frame["identifier"].split("\0")[0]
        if below:
            found[name] = found.get(name, 0) + frame["time"]
        for child in frame["children"]:
            walk(child, below or name == root)

    data = re.search(r"const sessionData = (\{.*\});", page)
    assert data, page[-500:]
    walk(json.loads(data[1])["frame_tree"], False)
    return found


def test_what_computes_and_what_waits_are_told_apart_each_with_its_time(
    service: str, aside: ThreadPoolExecutor
) -> None:
    taken = profiled(aside, service, 1.5)
    for how in ("computes", "waits"):
        assert httpx.get(f"{service}/slow/{how}").json() == how
    answer = taken.result()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    running, waiting = seconds_under(answer.text, "running"), seconds_under(answer.text, "waiting")
    assert 0.2 < running["computes_for_long"] < 0.6
    assert 0.2 < waiting["waits_for_long"] < 0.6
    assert "waits_for_long" not in running
    # Each with the way to it, and the service's own background work beside it.
    assert 0.2 < running["slow_route"] < 0.6
    assert 0.2 < waiting["slow_route"] < 0.6
    assert 1 < waiting["watch_lag"] < 2.5
    assert "take_profile" not in waiting


def test_the_page_asks_no_other_host_for_anything(service: str) -> None:
    answer = httpx.get(f"{service}/internal/profile?seconds=0.01")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_only_one_is_taken_at_a_time(service: str, aside: ThreadPoolExecutor) -> None:
    taken = profiled(aside, service, 0.5)
    refused = httpx.get(f"{service}/internal/profile")
    assert refused.status_code == 409
    assert "ask again when it has ended" in refused.json()["detail"]
    answers = httpx.get(f"{service}/openapi.json").json()["paths"]["/internal/profile"]["get"]["responses"]
    assert "409" in answers, "it is known in advance, and so is its series"
    assert taken.result().status_code == 200
    assert httpx.get(f"{service}/internal/profile?seconds=0.01").status_code == 200


@pytest.mark.parametrize("seconds", ["0", "-1", "30.1", "nan", "inf", "long"])
def test_it_takes_30_seconds_at_most(service: str, seconds: str) -> None:
    answer = httpx.get(f"{service}/internal/profile?seconds={seconds}")
    assert answer.status_code == 422
    assert "query.seconds" in answer.text


def test_its_start_and_its_end_are_logged(service: str, settings: Settings) -> None:
    answer = httpx.get(f"{service}/internal/profile?seconds=0.1", headers={"X-Request-ID": "look"})
    assert answer.status_code == 200

    def logged() -> list[dict[str, Any]]:
        lines = map(json.loads, (settings.log_dir / "application.log").read_text().splitlines())
        return [line for line in lines if line["event"] in ("profile started", "profile ended")]

    until(lambda: len(logged()) == 2, "both lines are written")
    started, ended = logged()
    assert (started["event"], started["seconds"], started["request_id"]) == ("profile started", 0.1, "look")
    assert (ended["event"], ended["request_id"]) == ("profile ended", "look")
    assert ended["seconds"] == pytest.approx(0.1, abs=0.1)

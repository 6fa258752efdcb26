"""Looking closer at one logger, until an end time."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog

from app.core.config import Settings
from app.core.log_levels import levels
from tests.backend.conftest import lines, started


@pytest.fixture
async def client(configured: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with started(configured) as client:
        yield client
    levels.restore()


async def order(client: httpx.AsyncClient, logger: str, level: str = "DEBUG", seconds: float = 60) -> httpx.Response:
    return await client.put("/internal/log-level", json={"logger": logger, "level": level, "seconds": seconds})


async def test_one_loggers_level_is_set_and_ends_by_itself(client: httpx.AsyncClient, settings: Settings) -> None:
    part, other = logging.getLogger("app.stores.mongo"), logging.getLogger("app.other")
    part.debug("before")
    answer = await order(client, "app.stores", seconds=0.2)
    assert answer.status_code == 200, answer.text
    (active,) = (await client.get("/internal/log-level")).json()
    assert (active["logger"], active["level"]) == ("app.stores", "DEBUG")
    part.debug("during")
    other.debug("of another one")
    for _ in range(100):
        await asyncio.sleep(0.02)
        if not levels.active():
            break
    part.debug("after")
    assert (await client.get("/internal/log-level")).json() == []
    told = [line["event"] for line in lines(settings) if line["logger"] in ("app.stores.mongo", "app.other")]
    assert told == ["during"]


async def test_it_holds_for_structlogs_loggers_that_were_made_before(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    bound = structlog.get_logger("some.part").bind(number=1)
    bound.debug("before")
    await order(client, "some.part")
    bound.debug("during")
    await order(client, "some.part", "ERROR")
    bound.warning("hidden")
    await client.delete("/internal/log-level")
    bound.debug("after")
    bound.info("as ever")
    told = [line["event"] for line in lines(settings) if line["logger"] == "some.part"]
    assert told == ["during", "as ever"]


async def test_each_change_is_a_line_and_the_former_level_comes_back(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    await order(client, "asyncio")
    await order(client, "asyncio", "INFO")
    assert (await client.delete("/internal/log-level")).status_code == 204
    assert logging.getLogger("asyncio").level == logging.NOTSET
    told = [(line["event"], line["of"], line["to"]) for line in lines(settings) if "of" in line]
    assert told == [
        ("log level set", "asyncio", "DEBUG"),
        ("log level set", "asyncio", "INFO"),
        ("log level restored", "asyncio", "NOTSET"),
    ]


@pytest.mark.parametrize(
    ("logger", "level", "seconds"),
    [("no.such.logger", "DEBUG", 60), ("root", "LOUD", 60), ("root", "DEBUG", 3601), ("root", "DEBUG", 0)],
)
async def test_what_would_do_nothing_or_never_end_is_refused(
    client: httpx.AsyncClient, logger: str, level: str, seconds: float
) -> None:
    assert (await order(client, logger, level, seconds)).status_code == 422
    assert levels.active() == []

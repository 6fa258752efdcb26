"""The request's id in its own lines, wherever they are written, and in no other's."""

import asyncio
import logging
import threading

import anyio.to_thread
import httpx
import pytest
import structlog
from fastapi import FastAPI

from app.core.config import Settings
from app.core.context_threads import ContextThreadPool
from app.core.logging_config import RequestContext, current_request_id, logger
from app.core.middleware import ObservabilityMiddleware
from app.core.routing import EndpointNames
from tests.backend.conftest import indexed, lines, started


def test_nested_contexts_restore_the_outer_one(configured: Settings) -> None:
    with RequestContext("outer", "user"):
        with RequestContext("inner"):
            logger.info("inside")
        logger.info("between")
        assert current_request_id() == "outer"
    logger.info("outside")
    assert current_request_id() == ""
    inside, between, outside = lines(configured)
    assert (inside["request_id"], inside["user_id"]) == ("inner", "user")
    assert (between["request_id"], between["user_id"]) == ("outer", "user")
    assert "request_id" not in outside
    assert "user_id" not in outside


def test_a_context_is_restored_after_an_exception() -> None:
    with RequestContext("outer"):
        with pytest.raises(ValueError, match="broken"), RequestContext("inner"):
            raise ValueError("broken")
        assert current_request_id() == "outer"


def test_what_structlog_was_told_to_bind_is_in_the_line(configured: Settings) -> None:
    with structlog.contextvars.bound_contextvars(step="two", request_id="not ours"), RequestContext("ours"):
        logger.info("bound")
    (line,) = lines(configured)
    assert (line["step"], line["request_id"]) == ("two", "ours")
    assert "field_request_id" not in line


async def test_a_context_follows_its_request_into_tasks_and_threads() -> None:
    seen: list[str] = []
    pool = ContextThreadPool(max_workers=4)

    async def work(request_id: str) -> None:
        with RequestContext(request_id):
            await asyncio.sleep(0.001)
            async with asyncio.TaskGroup() as group:
                group.create_task(look(request_id))
            assert await asyncio.to_thread(current_request_id) == request_id
            assert await anyio.to_thread.run_sync(current_request_id) == request_id
            assert await asyncio.get_running_loop().run_in_executor(pool, current_request_id) == request_id
            assert current_request_id() == request_id

    async def look(request_id: str) -> None:
        await asyncio.sleep(0.001)
        assert current_request_id() == request_id
        seen.append(request_id)

    await asyncio.gather(*(work(f"r{number}") for number in range(200)))
    assert len(set(seen)) == 200
    pool.shutdown()


async def test_500_requests_at_once_each_have_their_own_id_in_each_of_their_lines(configured: Settings) -> None:
    app = FastAPI()

    @app.get("/work/{number}")
    async def work(number: int) -> str:
        logger.info("first", number=number)
        await asyncio.sleep(0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(in_task(number))
            group.create_task(asyncio.to_thread(in_thread, number))
        return current_request_id()

    async def in_task(number: int) -> None:
        await asyncio.sleep(0)
        logging.getLogger("library").info("in a task", exc_info=None)
        logger.info("in a task", number=number)

    def in_thread(number: int) -> None:
        logger.info("in a thread", number=number, thread=threading.get_ident())

    settings = configured.model_copy(update={"max_concurrent_requests": 1_000})
    app.add_middleware(ObservabilityMiddleware, names=EndpointNames(app), settings=settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        answers = await asyncio.gather(
            *(client.get(f"/work/{number}", headers={"X-Request-ID": f"request-{number}"}) for number in range(500))
        )
    assert [answer.json() for answer in answers] == [f"request-{number}" for number in range(500)]
    written = lines(configured)
    by_id: dict[str, list[str]] = {}
    for line in written:
        by_id.setdefault(line["request_id"], []).append(line["event"])
        assert line["request_id"] == f"request-{line['number']}" if "number" in line else True
    assert set(by_id) == {f"request-{number}" for number in range(500)}
    expected = sorted(["first", "in a task", "in a task", "in a thread", "request"])
    assert all(sorted(events) == expected for events in by_id.values())


async def test_an_indexing_jobs_lines_carry_the_id_of_the_request_that_caused_it(configured: Settings) -> None:
    async with started(configured) as client:
        client.headers["X-Request-ID"] = "the-upload"
        job = await indexed(client, "a.txt", b"Specola means observatory.")
        assert job["status"] == "completed"
        for _ in range(200):  # the job is done before it is told of
            if any(line["event"] == "indexing finished" for line in lines(configured)):
                break
            await asyncio.sleep(0.05)
    (finished,) = (line for line in lines(configured) if line["event"] == "indexing finished")
    assert finished["request_id"] == "the-upload"

"""Work in the background goes on whatever it raises, and says so."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.core import background
from app.core.background import growing_pause, keep_running
from app.core.config import Settings
from app.core.logging_config import close_logging, configure_logging
from app.stores.sqlite import SqliteDocumentStore
from tests.backend.conftest import indexed, lines, make_settings, started


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_PAUSE_SECONDS", 0.001)


async def test_work_that_raises_is_begun_again_after_a_line_with_its_frames(configured: Settings) -> None:
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise KeyError("nobody expected it")

    await keep_running("the garden", work)
    assert begun == 3
    told = [line for line in lines(configured) if line["event"] == "background work failed"]
    assert [(line["level"], line["work"]) for line in told] == [("error", "the garden")] * 2
    assert told[0]["exception"][0]["exc_type"] == "KeyError"
    assert told[0]["exception"][0]["frames"][-1]["name"] == "work"


async def test_work_that_is_cancelled_ends() -> None:
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(keep_running("the garden", work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert begun == 1


def test_a_pause_doubles_up_to_the_longest_and_leaves_half_to_chance() -> None:
    for failures, whole in ((1, 2.0), (2, 4.0), (3, 8.0), (4, 15.0), (10_000, 15.0)):
        pauses = [growing_pause(failures, 2.0, 15.0) for _ in range(200)]
        assert whole / 2 <= min(pauses) < max(pauses) <= whole
        assert max(pauses) - min(pauses) > whole / 4


async def test_work_that_went_well_for_long_is_begun_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            await asyncio.sleep(0.05)
        if runs < 5:
            raise KeyError

    def pause(failures: int, *_: float) -> float:
        asked.append(failures)
        return 0.0

    monkeypatch.setattr(background, "LONGEST_PAUSE_SECONDS", 0.03)
    monkeypatch.setattr(background, "growing_pause", pause)
    await keep_running("the garden", work)
    assert asked == [1, 2, 1, 2]


async def test_the_service_indexes_on_after_an_error_that_nobody_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, raised = SqliteDocumentStore._claim, 0

    async def broken_once(*arguments: Any) -> Any:
        nonlocal raised
        raised += 1
        if raised == 1:
            raise ValueError("neither a store's nor a provider's")
        return await claim(*arguments)

    monkeypatch.setattr(SqliteDocumentStore, "_claim", broken_once)
    settings = make_settings(tmp_path)
    configure_logging(settings)
    try:
        async with started(settings) as client:
            assert (await indexed(client, "a.txt", b"The gull sings."))["status"] == "completed"
    finally:
        close_logging()
    told = [line for line in lines(settings) if line["event"] == "background work failed"]
    assert [line["work"] for line in told] == ["indexing"]


@pytest.mark.parametrize(
    ("name", "owner", "method"),
    [
        ("heartbeat", "app.main", "beat"),
        ("gauges", "app.services.sampler.Sampler", "run"),
        ("lag", "app.services.sampler.Sampler", "watch_lag"),
        ("retention", "app.services.retention.RetentionService", "run"),
        ("indexing", "app.services.indexing.IndexingService", "run"),
        ("faults", "app.services.faults.FaultService", "run"),
        ("API keys", "app.services.access.ApiKeys", "run"),
    ],
)
async def test_whatever_the_service_does_in_the_background_is_begun_again(
    name: str, owner: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Semaphore(0)

    async def broken(*_: object) -> None:
        begun.release()
        raise ValueError(name)

    monkeypatch.setattr(f"{owner}.{method}", broken)
    async with started(make_settings(tmp_path, api_keys_required=True)), asyncio.timeout(10):
        await begun.acquire()
        await begun.acquire()

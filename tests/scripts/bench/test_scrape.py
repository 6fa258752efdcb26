"""What a scrape costs is measured on a registry like a busy backend's."""

import asyncio
import time

from scripts.bench.scrape import FORMATS, busy_registry, cost_a_series, longest_wait, many_series, series

OPENMETRICS = FORMATS["OpenMetrics, with exemplars"]


async def test_the_registry_is_a_busy_backends() -> None:
    from app.services.exposition import exposition_for

    text = (await exposition_for(busy_registry(), OPENMETRICS).render()).decode()
    for expected in ('endpoint="/api/v1/chat/sessions/{session_id}/messages"', 'status="499"', 'model="gpt-4o-mini"'):
        assert expected in text
    buckets = [line for line in text.splitlines() if "_bucket{" in line]
    assert sum(" # {" in line for line in buckets) > 0.9 * len(buckets)


def test_the_cost_is_ours_and_the_librarys() -> None:
    count, ours, theirs = cost_a_series(busy_registry(), OPENMETRICS)
    assert count > 1000
    assert 0 < ours < theirs


async def test_a_scrape_that_blocks_shows_as_the_longest_wait() -> None:
    async def blocks() -> None:
        await asyncio.sleep(0)
        time.sleep(0.03)  # noqa: ASYNC251 - that is the fault

    assert await longest_wait(blocks) >= 0.03
    assert await longest_wait(lambda: asyncio.sleep(0.005)) < 0.03


def test_many_series_are_at_least_as_many_as_said() -> None:
    from prometheus_client import generate_latest

    assert 20_000 <= series(generate_latest(many_series())) < 20_100

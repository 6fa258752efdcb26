"""Arrivals: on time, at the rate that was asked for, and never more at once than allowed."""

import asyncio
import itertools
import time

import pytest

from scripts.traffic.load import Load, arrivals
from scripts.traffic.tally import Tally


def test_arrivals_have_the_rate_and_repeat_with_the_seed() -> None:
    times = list(itertools.islice(arrivals(5.0, seed=1), 5000))
    assert times == sorted(times)
    assert times[-1] == pytest.approx(1000, rel=0.05)
    assert times == list(itertools.islice(arrivals(5.0, seed=1), 5000))
    assert times != list(itertools.islice(arrivals(5.0, seed=2), 5000))


async def test_every_arrival_is_an_act_whatever_the_answers_take() -> None:
    tally, acts = Tally(), 0

    async def act() -> None:
        nonlocal acts
        acts += 1
        await asyncio.sleep(0.3)

    expected = sum(1 for _ in itertools.takewhile(lambda due: due < 0.5, arrivals(60, seed=1)))
    start = time.monotonic()
    await Load(act, tally, max_in_flight=1000).run(60, 0.5, seed=1)
    assert acts == expected
    assert tally.skipped == 0
    assert time.monotonic() - start < 2.0


async def test_more_than_allowed_at_once_are_skipped_and_counted() -> None:
    tally, most = Tally(), 0

    async def act() -> None:
        nonlocal most
        most = max(most, load.in_flight)
        await asyncio.sleep(0.2)

    load = Load(act, tally, max_in_flight=3)
    await load.run(100, 0.5, seed=1)
    assert most == 3
    assert tally.skipped_busy > 20
    assert tally.skipped_late == 0
    assert load.in_flight == 0


async def test_arrivals_that_this_program_is_too_late_for_are_skipped_not_queued() -> None:
    tally, acts = Tally(), 0

    async def act() -> None:
        nonlocal acts
        acts += 1
        if acts == 1:
            time.sleep(1.6)  # noqa: ASYNC251 - the whole program stands still, as on a machine that is too busy

    await Load(act, tally, max_in_flight=1000).run(100, 2.0, seed=1)
    assert tally.skipped_late > 30
    assert acts + tally.skipped_late == sum(1 for _ in itertools.takewhile(lambda due: due < 2, arrivals(100, seed=1)))


async def test_what_does_not_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.traffic.load.DRAIN", 0.1)
    cut_off = 0

    async def act() -> None:
        nonlocal cut_off
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cut_off += 1
            raise

    start = time.monotonic()
    await Load(act, Tally(), max_in_flight=5).run(50, 0.3, seed=1)
    assert time.monotonic() - start < 2.0
    assert cut_off == 5


async def test_without_an_end_it_goes_on_until_cancelled() -> None:
    acts = 0

    async def act() -> None:
        nonlocal acts
        acts += 1

    task = asyncio.create_task(Load(act, Tally(), max_in_flight=5).run(200, 0.0, seed=1))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert acts > 20

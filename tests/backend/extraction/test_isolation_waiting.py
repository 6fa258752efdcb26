"""Checks wait for each other, and neither too many of them nor for too long."""

import asyncio
import time

import pytest

from app.services.extraction import Limits, ReadersBusy, isolation, validate_safely

SLOW = b"[" + b",".join(b'{"a":[1,2,3]}' for _ in range(60_000)) + b"]"  # half a second


async def test_no_more_checks_wait_than_there_is_memory_for(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation._checks, "_places", 3)
    checks = [validate_safely(b"text", "text", limits) for _ in range(5)]
    outcomes = await asyncio.gather(*checks, return_exceptions=True)
    assert outcomes[:3] == [None] * 3
    assert all(isinstance(outcome, ReadersBusy) for outcome in outcomes[3:])
    await asyncio.gather(*(validate_safely(b"text", "text", limits) for _ in range(3)))


async def test_a_check_that_waited_for_too_long_is_given_up_unread(
    limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    await validate_safely(b"warm", "text", limits)
    monkeypatch.setattr(isolation._checks, "_patience", 0.05)
    checks = [validate_safely(SLOW, "json", limits) for _ in range(10)]
    started = time.monotonic()
    first, *others = await asyncio.gather(*checks, return_exceptions=True)
    assert first is None
    assert all(isinstance(outcome, ReadersBusy) for outcome in others)
    assert time.monotonic() - started < 3, "nobody waits for what all others would take"
    await validate_safely(b"next", "text", limits)


async def test_a_reading_waits_for_as_long_as_it_takes(limits: Limits) -> None:
    assert (isolation._readings._places, isolation._readings._patience) == (float("inf"),) * 2

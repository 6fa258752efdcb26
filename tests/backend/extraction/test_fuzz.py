"""Seven hundred broken and hostile uploads: each ends in text or in one of the two refusals."""

import asyncio
import logging
import resource
import time
from collections import Counter
from itertools import islice

import pytest

from app.services.chunking import chunk
from app.services.extraction import (
    Extracted,
    Limits,
    RejectedDocument,
    UnsupportedFormat,
    detect_format,
    extract,
    extract_safely,
    validate,
    validate_safely,
)
from app.stores.pieces import Piece
from scripts.broken_files import BrokenFile, broken_files

LIMITS = Limits(seconds=5, max_text_chars=400_000)


async def outcome(file: BrokenFile) -> str:
    refusal: RejectedDocument | UnsupportedFormat
    try:
        format = detect_format(file.name, file.content_type)
        await validate_safely(file.content, format, LIMITS)
        found = await extract_safely(file.content, format, LIMITS)
        pieces = chunk(found)
    except (RejectedDocument, UnsupportedFormat) as refused:
        refusal = refused
    else:
        check(found, pieces)
        return "text"
    assert 20 < len(str(refusal)) < 400, file
    assert str(refusal).isprintable(), file
    return refusal.reason if isinstance(refusal, RejectedDocument) else "unsupported"


def check(found: Extracted, pieces: list[Piece]) -> None:
    assert pieces
    assert all(0 < len(piece.text) <= 800 for piece in pieces)
    # What is stored, logged and sent has to be storable.
    assert found.text.encode()
    assert "\0" not in found.text + found.title
    assert found.title.encode().decode().isprintable()


async def test_400_broken_files_raise_nothing_else_and_take_no_memory() -> None:
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    before = 0
    for number, file in enumerate(islice(broken_files(seed=2026), 400)):
        started = time.monotonic()
        outcomes[await outcome(file)] += 1
        slowest = max(slowest, time.monotonic() - started)
        if number == 150:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert slowest < 2 * LIMITS.seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    # All ends are reached, or the files have stopped to be what they were made for.
    assert set(outcomes) == {
        "text", "unsupported", "empty", "encoding", "unreadable", "encrypted", "bomb", "too_long"
    }  # fmt: skip


def test_300_more_do_so_without_isolation_too(caplog: pytest.LogCaptureFixture) -> None:
    # Here, unlike in the reading process, pypdf would report each of its doubts.
    caplog.set_level(logging.CRITICAL, "pypdf")
    refused = 0
    for file in islice(broken_files(seed=7), 300):
        try:
            format = detect_format(file.name, file.content_type)
            validate(file.content, format, LIMITS)
            extract(file.content, format, LIMITS)
        except (RejectedDocument, UnsupportedFormat):
            refused += 1
    assert 75 < refused < 300


async def test_files_sent_at_once_do_not_mix() -> None:
    texts = [f"text number {number}" for number in range(50)]
    found = await asyncio.gather(*(extract_safely(text.encode(), "text", LIMITS) for text in texts))
    assert [extracted.text for extracted in found] == texts

"""Work that goes on in the background for as long as the process lives, whatever happens to it."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from app.core.logging_config import logger

#: What failed is begun again after this pause, which doubles each time, up to the longest one (seconds).
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0


async def keep_running(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Runs `work` until it returns or is cancelled. An exception is a line, and a pause later it begins again.

    Without that, a task that raises ends for good, and the first line about it is written when the process stops.
    """
    failures = 0
    while True:
        began = time.monotonic()
        try:
            await work()
            return
        except Exception as error:
            failures = 1 if time.monotonic() - began > LONGEST_PAUSE_SECONDS else failures + 1
            pause = growing_pause(failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            logger.error("background work failed", work=name, again_in_seconds=round(pause, 1), exc_info=error)
            await asyncio.sleep(pause)


def growing_pause(failures: int, first: float, longest: float) -> float:
    """How long to wait after so many failures in a row (seconds): doubled each time, and half of it left to chance."""
    whole = min(longest, first * 2.0 ** min(failures - 1, 60))
    return random.uniform(whole / 2, whole)  # noqa: S311 - no secret depends on it

"""Open-loop arrivals: requests begin at their own times, however slowly the answers come, within bounds."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator

from scripts.traffic.tally import Tally

#: A request whose time passed this long ago (seconds) is left out, not sent late: no queue, no burst.
TOO_LATE = 1.0
#: Seconds for what is under way when the last request has begun.
DRAIN = 15.0


def arrivals(rate: float, seed: int) -> Iterator[float]:
    """When requests begin, in seconds from the start: at random, independently, `rate` a second on average."""
    dice = random.Random(f"{seed}:arrivals")  # noqa: S311 - traffic, no secret
    at = 0.0
    while True:
        at += dice.expovariate(rate)
        yield at


class Load:
    """Calls `act` at every arrival, with at most `max_in_flight` calls under way."""

    def __init__(self, act: Callable[[], Awaitable[None]], tally: Tally, max_in_flight: int) -> None:
        self._act = act
        self._tally = tally
        self._max = max_in_flight
        self.in_flight = 0

    async def run(self, rate: float, seconds: float, seed: int) -> None:
        """For this many seconds (0: until cancelled), then waits for what is under way, `DRAIN` at most."""
        loop = asyncio.get_running_loop()
        start = time.monotonic()
        try:
            async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
                for due in arrivals(rate, seed):
                    if seconds and due >= seconds:
                        break
                    # Also when it is late: a loop that never sleeps would let nothing else run.
                    await asyncio.sleep(max(0.0, start + due - time.monotonic()))
                    if time.monotonic() - start - due > TOO_LATE:
                        self._tally.skipped_late += 1
                    elif self.in_flight >= self._max:
                        self._tally.skipped_busy += 1
                    else:
                        self.in_flight += 1
                        group.create_task(self._one())
                limit.reschedule(loop.time() + DRAIN)
        except TimeoutError:
            # Each of those that were cut off has been counted as such.
            return

    async def _one(self) -> None:
        try:
            await self._act()
        finally:
            self.in_flight -= 1

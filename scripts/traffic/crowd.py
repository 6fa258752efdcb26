"""Who makes the next request: whoever has waited longest, or somebody new."""

import asyncio
import heapq
import itertools
import random
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from scripts.traffic import mistakes
from scripts.traffic.client import Client
from scripts.traffic.plan import visit
from scripts.traffic.questions import Question
from scripts.traffic.visitor import Visitor

#: One in so many bad requests is a question that is too long, the rest are the kinds of `mistakes`.
TOO_LONG_ONE_IN = 7
#: Sessions closed at once when the run ends.
LEAVING_TOGETHER = 5


class Actor(Protocol):
    """Somebody who makes requests, one at a time."""

    async def step(self) -> float | None:
        """Makes one request; seconds until the next, or None when this was the last."""
        ...


class Crowd:
    """All users of a run. Those who think or were asked to wait are kept by when they are ready.

    How many they are is bounded by the rate times the longest pause (`client.LONGEST_WAIT`).
    """

    def __init__(
        self,
        client: Client,
        questions: Sequence[Question],
        seed: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._questions = questions
        self._seed = seed
        self._clock = clock
        self._waiting: list[tuple[float, int, Actor]] = []
        self._order = itertools.count()
        self._requests = itertools.count(1)
        self._visits = itertools.count(1)

    def join(self, actor: Actor, pause: float = 0.0) -> None:
        """Somebody will be ready for a request after this pause (seconds)."""
        heapq.heappush(self._waiting, (self._clock() + pause, next(self._order), actor))

    async def act(self) -> None:
        """One request, by somebody."""
        dice = random.Random(f"{self._seed}:request:{next(self._requests)}")  # noqa: S311 - traffic, no secret
        bad, too_long = dice.random() < mistakes.SHARE, dice.randrange(TOO_LONG_ONE_IN) == 0
        if bad and too_long and await self._ask_too_much():
            return
        if bad:
            await mistakes.make(self._client, dice)
            return
        actor = self._ready() or self._newcomer()
        try:
            pause = await actor.step()
        except asyncio.CancelledError:
            # Cut off at the end of the run: this one too has a session to close.
            self.join(actor)
            raise
        if pause is not None:
            self.join(actor, pause)

    async def leave(self) -> None:
        """Everybody who means to close their session does so, a few at a time."""
        staying = [actor for _, _, actor in self._waiting if isinstance(actor, Visitor) and actor.wants_to_close]
        self._waiting.clear()
        gate = asyncio.Semaphore(LEAVING_TOGETHER)

        async def close(visitor: Visitor) -> None:
            async with gate:
                await visitor.close()

        await asyncio.gather(*map(close, staying))

    def _ready(self) -> Actor | None:
        if self._waiting and self._waiting[0][0] <= self._clock():
            return heapq.heappop(self._waiting)[2]
        return None

    def _newcomer(self) -> Visitor:
        number = next(self._visits)
        dice = random.Random(f"{self._seed}:pauses:{number}")  # noqa: S311 - traffic, no secret
        return Visitor(self._client, visit(self._seed, number, self._questions), dice)

    async def _ask_too_much(self) -> bool:
        """By somebody with a session, if there is one: away meanwhile, lest they close it at the same time."""
        for entry in self._waiting:
            visitor = entry[2]
            if isinstance(visitor, Visitor) and visitor.session:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
                try:
                    await visitor.ask_too_much()
                finally:  # cut off at the end of the run, they have a session to close all the same
                    heapq.heappush(self._waiting, entry)
                return True
        return False

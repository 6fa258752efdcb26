"""A profile of the whole event loop: what its thread does, and where each task waits meanwhile.

pyinstrument's own way with coroutines follows the one that started it, and its others see a loop that sleeps. So its
sampler is asked for the thread's stack, and the tasks for theirs: a coroutine that is slow because it computes shows
under `running`, one that is slow because it awaits under `waiting`, with what it awaits.
"""

import asyncio
import sys
import time
from collections import defaultdict
from typing import Any

from pyinstrument.low_level.stat_profile import get_frame_info
from pyinstrument.renderers import HTMLRenderer
from pyinstrument.session import Session
from pyinstrument.stack_sampler import get_stack_sampler

#: Seconds between two looks: fine enough for a request of 50 ms, coarse enough to cost little.
INTERVAL_SECONDS = 0.005
#: Frames of their own, as pyinstrument names them: function, file, line.
LOOP, RUNNING, WAITING = (f"{name}\x00<event loop>\x000" for name in ("event loop", "running", "waiting"))


class LoopProfile:
    """Looks at the running loop from `start` to `stop`, both called in it. Only one at a time."""

    def __init__(self) -> None:
        self._seconds: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self._looks = 0
        self._own: asyncio.Task[Any] | None = None
        self._began, self._began_cpu = time.time(), time.process_time()

    def start(self) -> None:
        """Begins to look; the task that calls this is left out."""
        self._own = asyncio.current_task()
        get_stack_sampler().subscribe(self._look, desired_interval=INTERVAL_SECONDS, use_async_context=False)

    def stop(self) -> None:
        """Looks no more."""
        get_stack_sampler().unsubscribe(self._look)

    def html(self) -> str:
        """The page: a tree of calls, and a flame graph in its view `timeline`."""
        session = Session(
            # In order of their stacks, so that what is alike stands together.
            frame_records=[([LOOP, *stack], seconds) for stack, seconds in sorted(self._seconds.items())],
            start_time=self._began,
            duration=time.time() - self._began,
            min_interval=INTERVAL_SECONDS,
            max_interval=INTERVAL_SECONDS,
            sample_count=self._looks,
            start_call_stack=[LOOP],
            target_description="The event loop; waiting tasks count side by side, each with its own time",
            cpu_time=time.process_time() - self._began_cpu,
            sys_path=sys.path,
            sys_prefixes=Session.current_sys_prefixes(),
        )
        page: str = HTMLRenderer().render(session)
        return page

    def _look(self, stack: list[str], seconds: float, _: object) -> None:
        self._looks += 1
        self._seconds[(RUNNING, *stack)] += seconds
        for task in asyncio.all_tasks() - {self._own, asyncio.current_task()}:
            self._seconds[(WAITING, *_awaited(task.get_coro()))] += seconds


def _awaited(coroutine: Any) -> list[str]:
    """The frames of a suspended coroutine, outermost first, down to what it waits for."""
    frames: list[str] = []
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        frames.append(get_frame_info(frame))
        coroutine = coroutine.cr_await
    return frames

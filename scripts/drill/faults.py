"""How a fault is made for real. Each is on while its context lasts, and made good when it ends."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import psutil

from scripts.addresses import PROJECT
from scripts.drill import load
from scripts.drill.load import Load
from scripts.drill.stacks import Stack

#: A fault of the backend ends by itself after this long, whatever becomes of the drill (seconds).
LONGEST = 1800.0


class CannotMake(Exception):
    """The fault cannot be made here; the message says why."""


@dataclass(frozen=True)
class Fault:
    """A fault in words, how it is made, the parts that have to run for it, and what it uses up for other drills."""

    words: str
    make: Callable[[Stack], AbstractContextManager[None]]
    parts: tuple[str, ...] = ()
    uses: frozenset[str] = frozenset({"backend"})
    own: bool = False


def injected(name: str, *loads: Load, percent: float = 100.0, delay: float = 2.0, logs: bool = False) -> Fault:
    """A fault of the backend's own (PUT /internal/faults), and requests that meet it; with `logs`, lines go to Loki."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        address = f"{stack.address('backend')}/internal/faults"
        order = {"fault": name, "percent": percent, "seconds": LONGEST, "delay_seconds": delay}
        with load.running(stack.address("backend"), loads):
            answer = httpx.put(address, json=order, timeout=10)
            if answer.status_code == 404:
                raise CannotMake("the backend takes no faults: it runs with FAULTS_ENABLED=false")
            answer.raise_for_status()
            try:
                yield
            finally:
                httpx.delete(address, timeout=10).raise_for_status()

    words = f"{name} {percent:g} %" + (f", {delay:g} s" if name in ("http_latency", "ai_slow") else "")
    return Fault(words, make, uses=frozenset({"backend", "loki"} if logs else {"backend"}))


def requests(*loads: Load) -> Fault:
    """Nothing is broken; the requests themselves are the fault."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        with load.running(stack.address("backend"), loads):
            yield

    return Fault(f"a flood of requests ({', '.join(one.kind for one in loads)})", make)


def stopped(part: str, *loads: Load, uses: frozenset[str] = frozenset({"loki"})) -> Fault:
    """A part of the stack is ended, and started again afterwards."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        with load.running(stack.address("backend"), loads):
            stack.stop(part)
            try:
                yield
            finally:
                stack.start(part)

    return Fault(f"{part} stopped", make, (part,), uses)


def restarted(part: str, times: int) -> Fault:
    """A part is ended and started again, so many times in a row."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        for _ in range(times):
            stack.stop(part)
            stack.start(part)
        yield

    return Fault(f"{part} started {times} times", make, (part,))


def dissatisfied() -> Fault:
    """Answers are rated badly, and well once it is over."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        begun = time.monotonic()
        with load.running(stack.address("backend"), (Load("complaint", 1),)):
            yield
        # Four good ratings for each bad one, and some.
        with load.running(stack.address("backend"), (Load("praise", 10),)):
            time.sleep(5 + 0.4 * (time.monotonic() - begun))

    return Fault("bad ratings", make)


def silenced(alert: str) -> Fault:
    """A silence that somebody forgot in Alertmanager."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        address = f"{stack.address('alertmanager')}/api/v2/silence"
        now = time.time()
        moments = [datetime.fromtimestamp(at, UTC).isoformat() for at in (now, now + LONGEST)]
        matcher = {"name": "alertname", "value": alert, "isRegex": False}
        silence = {"matchers": [matcher], "startsAt": moments[0], "endsAt": moments[1]}
        silence |= {"createdBy": "make drill", "comment": "a drill; it ends by itself"}
        answer = httpx.post(f"{address}s", json=silence, timeout=10)
        answer.raise_for_status()
        try:
            yield
        finally:
            httpx.delete(f"{address}/{answer.json()['silenceID']}", timeout=10).raise_for_status()

    return Fault(f"{alert} silenced", make, ("alertmanager",), frozenset({"watchdog"}))


def memory_taken(percent: float, least: int = 1_500_000_000) -> Fault:
    """So much of this machine's memory is in use; never so much that fewer than `least` bytes are left."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        memory = psutil.virtual_memory()
        left = int(memory.total * (1 - percent / 100))
        if left < least:
            raise CannotMake(f"{left / 1e9:.1f} GB would be left to all others, and they need {least / 1e9:.1f}")
        if not sys.platform.startswith("linux"):
            raise CannotMake("the memory of another machine would have to be taken: the containers' own")
        command = [sys.executable, "-m", "scripts.drill.memory", str(percent)]
        with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            try:
                assert holder.stdout
                if holder.stdout.readline() != b"held\n":
                    raise CannotMake("the memory was not to be had")
                yield
            finally:
                holder.kill()

    return Fault(f"memory taken ({percent:g}%)", make)

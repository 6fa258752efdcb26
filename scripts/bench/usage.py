"""What a stack uses while nobody asks anything of it, taken alike from containers and from processes."""

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from scripts.bench import PROJECT

PROJECT_NAME = "specola-bench"
FIRST_PORT = 27_100


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one service, now: memory (bytes) that nobody else could have, and processor time since its start (seconds)."""

    memory: float
    processor: float


@dataclass(frozen=True, slots=True)
class Restart:
    """Of the backend: how long it took to end when told to, and to serve after its start (seconds)."""

    stop: float
    start: float


class Stack(Protocol):
    """A whole stack that can be brought up, looked at and taken away."""

    kind: str

    def prepare(self) -> None:
        """What is there before `make up` counts, such as the images."""
        ...

    def up(self) -> None:
        """Returns when everything is ready."""
        ...

    def usage(self) -> dict[str, Usage]:
        """By service."""
        ...

    def restart_backend(self) -> Restart:
        """Ends the backend and starts it again."""
        ...

    def down(self) -> None:
        """Ends it and removes its data."""
        ...


class StackFailed(Exception):
    """The stack did not do what was asked of it."""


def environment(project: Path = PROJECT) -> dict[str, str]:
    """The variables of a stack of the bench's own: its ports, and no load."""
    text = (project / "docker-compose.yml").read_text(encoding="utf-8")
    names = sorted(set(re.findall(r"\$\{(PORT_[A-Z_]+):-\d+\}", text)))
    ports = {name: str(FIRST_PORT + number) for number, name in enumerate(names)}
    return {**os.environ, **ports, "TRAFFIC": "0", "COMPOSE_PROJECT_NAME": PROJECT_NAME}


def until_ready(url: str, seconds: float) -> float:
    """When (Unix seconds) the address first answered 200. Raises StackFailed."""
    end = time.monotonic() + seconds
    with httpx.Client(timeout=1.0, trust_env=False) as client:
        while time.monotonic() < end:
            try:
                if client.get(url).status_code == 200:
                    return time.time()
            except httpx.HTTPError:
                pass
            time.sleep(0.02)
    raise StackFailed(f"{url} was not ready after {seconds:g} s")


def idle(
    stack: Stack, settle: float, seconds: float, progress: Callable[[str], None]
) -> dict[str, tuple[float, float]]:
    """Each service's memory (bytes) and processor share (of one core), over `seconds` after `settle` seconds."""
    progress(f"idle: it settles for {settle:g} s")
    time.sleep(settle)
    progress(f"idle: measuring for {seconds:g} s")
    before, start = stack.usage(), time.monotonic()
    time.sleep(seconds)
    after, took = stack.usage(), time.monotonic() - start
    return shares(before, after, took)


def shares(before: Mapping[str, Usage], after: Mapping[str, Usage], seconds: float) -> dict[str, tuple[float, float]]:
    """Memory at the end, and processor time meanwhile as a share of one core. Raises StackFailed for one that ended."""
    if missing := set(before) ^ set(after):
        raise StackFailed(f"{', '.join(sorted(missing))} ended or began while it was measured")
    return {
        name: (after[name].memory, (after[name].processor - before[name].processor) / seconds) for name in sorted(after)
    }

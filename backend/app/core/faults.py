"""Faults that are switched on on purpose, so that alerts and dashboards can be seen to work.

This is only the board that says which are on in this process; `services.faults` keeps it in step with the
document store, so that every replica obeys and a restart forgets nothing. With faults disabled the board stays
empty and a look costs one look into an empty dict.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Literal, get_args

FaultName = Literal[
    "http_errors",
    "http_latency",
    "ai_down",
    "ai_slow",
    "vector_store_down",
    "database_down",
    "indexing_failures",
    "log_burst",
]

FAULT_NAMES: tuple[FaultName, ...] = get_args(FaultName)


class InjectedFault(Exception):
    """Raised where a fault is on. Callers treat it as they treat the real failure."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: how many of the calls it strikes (percent), until when (Unix seconds), and its delay (seconds)."""

    name: FaultName
    percent: float
    until: float
    delay_seconds: float = 0.0

    @property
    def active(self) -> bool:
        """A fault ends by the clock alone, whatever became of whoever set it."""
        return time.time() < self.until


class FaultBoard:
    """The faults that are on in this process."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}

    def replace(self, faults: list[Fault]) -> None:
        """Makes exactly these faults the ones that are on."""
        self._faults = {fault.name: fault for fault in faults if fault.active}

    @property
    def empty(self) -> bool:
        """Whether nothing has to be looked for. (A fault that ended by the clock is still on the board.)"""
        return not self._faults

    def active(self) -> list[Fault]:
        """The faults that are on now."""
        return [fault for fault in self._faults.values() if fault.active]

    def strikes(self, name: FaultName) -> Fault | None:
        """The fault of this name if it is on and its share of calls includes this one."""
        if not self._faults:
            return None
        fault = self._faults.get(name)
        if fault is None or not fault.active or random.random() * 100 >= fault.percent:  # noqa: S311
            return None
        return fault

    def fail(self, name: FaultName) -> None:
        """Raises `InjectedFault` when the fault strikes."""
        if self.strikes(name):
            raise InjectedFault(f"the fault {name} is on (PUT or DELETE /internal/faults changes that)")

    async def delay(self, name: FaultName) -> None:
        """Waits the fault's delay when it strikes."""
        fault = self.strikes(name)
        if fault:
            await asyncio.sleep(fault.delay_seconds)


board = FaultBoard()

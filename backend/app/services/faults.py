"""Keeps this process' fault board in step with the document store, so that every replica obeys the same faults."""

import asyncio
import contextlib
import logging
import time
from typing import Any

from app.core.faults import FAULT_NAMES, Fault, FaultBoard, FaultName
from app.core.logging_config import logger
from app.services.metrics_service import metrics
from app.stores.documents import DocumentStore, StoreUnavailable

#: How soon a replica hears of a fault that another one was told (seconds).
POLL_SECONDS = 1.0
#: Lines a second of the fault `log_burst` at 100 percent.
BURST_LINES = 200


class FaultService:
    """Sets faults, ends them, and hears of those that other replicas set."""

    def __init__(self, store: DocumentStore, board: FaultBoard) -> None:
        self._store, self._board = store, board

    async def set(self, name: FaultName, percent: float, seconds: float, delay_seconds: float) -> list[Fault]:
        """Switches one fault on for so many seconds. It ends by itself, whatever becomes of whoever set it."""
        until = time.time() + seconds
        await self._store.put(
            "faults", {"id": name, "percent": percent, "until": until, "delay_seconds": delay_seconds}
        )
        logger.warning("fault set", fault=name, percent=percent, seconds=seconds, delay_seconds=delay_seconds)
        return await self.refresh()

    async def clear(self) -> None:
        """Ends every fault."""
        await self._store.delete("faults", {})
        logger.warning("faults cleared")
        await self.refresh()

    async def refresh(self) -> list[Fault]:
        """Reads the faults that are on now."""
        records = await self._store.find("faults", {"until": {"$gt": time.time()}})
        self._board.replace([_fault(record) for record in records if record["id"] in FAULT_NAMES])
        active = self._board.active()
        names = {fault.name for fault in active}
        for name in FAULT_NAMES:
            metrics.faults_active.labels(name).set(name in names)
        return active

    async def run(self) -> None:
        """Stays in step until cancelled. A store that cannot be read leaves the board as it is: faults end by time."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                await self.refresh()
            burst = self._board.strikes("log_burst")
            for number in range(BURST_LINES if burst else 0):
                logging.getLogger("faults").error("a line of the fault log_burst, number %d", number)
            await asyncio.sleep(POLL_SECONDS)


def _fault(record: dict[str, Any]) -> Fault:
    return Fault(record["id"], record["percent"], record["until"], record["delay_seconds"])

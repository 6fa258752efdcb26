"""Who works on an indexing job: claimed by one worker at a time, kept while it is alive, given back when it must wait.

A claim writes a token into the job. What a worker changes later is changed only while that token is there: one that was
silent for longer than its lease finds that another has the job, and leaves it alone.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Mapping
from typing import Any

from app.core.background import growing_pause
from app.core.logging_config import logger
from app.stores.documents import DocumentStore, Record, StoreUnavailable
from app.stores.errors import StoreRefused

#: The longest that a job rests which was given back (seconds).
LONGEST_REST_SECONDS = 120.0
#: How long the end of a claim waits for a store that is away before it is tried again, at first and at most (seconds).
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 15.0


class Claims:
    """The claims on the jobs of one store; `lease_seconds` is how long a worker may be silent."""

    def __init__(self, store: DocumentStore, lease_seconds: float) -> None:
        self._store, self._lease_seconds = store, lease_seconds

    async def take(self) -> Record | None:
        """The oldest job that waits and does not rest, or else one that was abandoned; it is the caller's now."""
        now = time.time()
        changes = {"status": "running", "lease_until": now + self._lease_seconds, "owner": str(uuid.uuid4())}
        for where in (
            {"status": "queued", "queued_at": {"$lte": now}},
            {"status": "running", "lease_until": {"$lt": now}},
            # None rests so long: the clock was set back.
            {"status": "queued", "queued_at": {"$gt": now + LONGEST_REST_SECONDS}},
            # Accepted by a version that did not write it.
            {"status": "queued", "queued_at": None},
        ):
            if job := await self._store.claim("jobs", where, changes, oldest_by="queued_at"):
                return job
        return None

    async def change(self, job: Record, changes: Mapping[str, Any]) -> bool:
        """Changes a job that is still the caller's, and renews its lease; False when it is another's, or ended."""
        mine = {"id": job["id"], "status": "running", "owner": job["owner"]}
        lease = {"lease_until": time.time() + self._lease_seconds}
        return await self._store.update("jobs", mine, lease | dict(changes)) > 0

    async def end(self, job: Record, changes: Mapping[str, Any]) -> bool:
        """Makes the last change of a claim, when the store is back if it is away; False when the job is another's.

        Raises `StoreRefused`.
        """
        # The token alone: a try that was not answered may have been done, and the job is not "running" then.
        mine, failures = {"id": job["id"], "owner": job["owner"]}, 0
        while True:
            try:
                return await self._store.update("jobs", mine, changes) > 0
            except StoreRefused:
                raise
            except StoreUnavailable as error:
                failures += 1
                pause = growing_pause(failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
                logger.warning("indexing waits", job_id=job["id"], reason=str(error), again_in_seconds=round(pause, 1))
                await asyncio.sleep(pause)

    async def keep(self, job: Record) -> None:
        """Says every third of a lease that the worker is alive; returns when the job is its no longer."""
        kept = True
        while kept:
            await asyncio.sleep(self._lease_seconds / 3)
            with contextlib.suppress(StoreUnavailable):
                kept = await self.change(job, {})

    async def give_back(self, job: Record, rest: float, attempts: int) -> None:
        """Puts a job that could not be done just now back into the queue, after so many attempts.

        It is taken again after `rest` seconds, and holds up no other meanwhile. A store that refuses even that lets its
        lease run out.
        """
        changes = {"attempts": attempts, "waits": job.get("waits", 0) + 1, "queued_at": time.time() + rest}
        with contextlib.suppress(StoreRefused):
            await self.end(job, {"status": "queued", **changes})

    async def let_go(self, job: Record) -> None:
        """Puts a job that was not begun, or whose worker is told to stop, back to its place, as if never claimed."""
        with contextlib.suppress(StoreUnavailable):  # its lease runs out
            await self.change(job, {"status": "queued", "attempts": job["attempts"]})

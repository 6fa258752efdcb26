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

from app.stores.documents import DocumentStore, Record, StoreUnavailable

#: The longest that a job rests which was given back (seconds).
LONGEST_REST_SECONDS = 120.0


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
        """Changes a job that is still the caller's; False when it is another's, or ended."""
        mine = {"id": job["id"], "status": "running", "owner": job["owner"]}
        return await self._store.update("jobs", mine, changes) > 0

    async def keep(self, job: Record) -> None:
        """Says every third of a lease that the worker is alive; returns when the job is its no longer."""
        kept = True
        while kept:
            await asyncio.sleep(self._lease_seconds / 3)
            with contextlib.suppress(StoreUnavailable):
                kept = await self.change(job, {"lease_until": time.time() + self._lease_seconds})

    async def give_back(self, job: Record, rest: float | None = None, attempts: int = 0) -> None:
        """Puts a job that could not be done just now back into the queue. If even that fails, its lease runs out.

        `rest`: it is taken again after so many seconds, and holds up no other meanwhile; None leaves it in its place.
        """
        changes: dict[str, Any] = {"status": "queued"}
        if rest is not None:
            changes |= {"attempts": attempts, "waits": job.get("waits", 0) + 1, "queued_at": time.time() + rest}
        with contextlib.suppress(StoreUnavailable):
            await self.change(job, changes)

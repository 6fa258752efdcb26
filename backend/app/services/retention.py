"""What is older than its retention is removed from the document store, a batch at a time.

MongoDB's own TTL indexes would not do: they heed BSON dates alone, and times are kept as Unix seconds, so that both
stores mean the same by them.
"""

import asyncio
import time

from app.core.config import Settings
from app.core.logging_config import logger
from app.stores.documents import DocumentStore, StoreUnavailable

DAY = 86_400.0
#: How often it looks (seconds).
EVERY_SECONDS = 3600.0
#: An upload this old without a job that waits or runs has been left behind (seconds): a job follows within moments.
ORPHAN_SECONDS = 3600.0
#: Records of one batch: some 10 ms of a store's time, and at most a few MB of messages in memory.
BATCH = 200
#: Between two batches, so that those who wait for answers come first (seconds).
PAUSE_SECONDS = 0.1


class RetentionService:
    """Removes finished jobs, messages, ratings, unused sessions and uploads without a job.

    Documents stay until they are replaced.
    """

    def __init__(self, settings: Settings, store: DocumentStore) -> None:
        self._store = store
        jobs, messages = settings.job_retention_days * DAY, settings.message_retention_days * DAY
        #: Collection, the time that its age counts from, and the age (seconds). A job that is not finished has none.
        self._rules = (
            ("jobs", "finished_at", jobs),
            ("messages", "created_at", messages),
            ("feedback", "created_at", messages),
            ("sessions", "last_active_at", messages),
        )

    async def prune(self) -> dict[str, int]:
        """Removes all that is too old now; returns how many of each collection."""
        removed = {}
        for collection, field, age in self._rules:
            old, removed[collection] = {field: {"$lt": time.time() - age}}, 0
            while batch := await self._store.find(collection, old, sort=field, newest_first=False, limit=BATCH):
                ids = {"id": {"$in": [record["id"] for record in batch]}}
                if collection == "jobs":  # what a worker that was killed as it finished left behind
                    await self._store.delete("uploads", ids)
                # Once more what is old: a session may have come to life since it was read.
                removed[collection] += await self._store.delete(collection, {**ids, **old})
                await asyncio.sleep(PAUSE_SECONDS)
            _tell(collection, removed[collection])
        removed["uploads"] = await self._prune_uploads()
        _tell("uploads", removed["uploads"])
        return removed

    async def _prune_uploads(self) -> int:
        """Removes what was kept for a job that was never made, or that has ended. Reads no content: it may be large."""
        # Those from before uploads had a time: their hour begins now.
        await self._store.update("uploads", {"created_at": None}, {"created_at": time.time()})
        removed, last = 0, ""
        old = {"created_at": {"$lt": time.time() - ORPHAN_SECONDS}}
        while ids := await self._store.ids("uploads", {**old, "id": {"$gt": last}}, limit=BATCH):
            last = ids[-1]
            wanted = {"id": {"$in": ids}, "status": {"$in": ["queued", "running"]}}
            needed = await self._store.ids("jobs", wanted, limit=BATCH)
            if left := sorted(set(ids).difference(needed)):
                removed += await self._store.delete("uploads", {"id": {"$in": left}})
            await asyncio.sleep(PAUSE_SECONDS)
        return removed

    async def run(self) -> None:
        """Prunes now and then, until cancelled. A store that is away is tried again the next time."""
        while True:
            try:
                await self.prune()
            except StoreUnavailable as error:
                logger.warning("old records not removed", reason=str(error))
            await asyncio.sleep(EVERY_SECONDS)


def _tell(collection: str, records: int) -> None:
    if records:
        logger.info("old records removed", collection=collection, records=records)

"""One change at a time, for servers that speak MongoDB's protocol without its atomic changes.

FerretDB 1.x reads the record, changes it and writes it back in separate steps: of sixty claimers of fifty records,
many get the same one, and of two updates of one record one may undo the other. What it does keep is that an id is
inserted once, so a record with a fixed id serves as a lock. MongoDB needs none of this and does not use it.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo.errors import DuplicateKeyError

_COLLECTION = "turns"
_PAUSE_SECONDS = 0.02


class Turns:
    """A lock a collection, held in the database, so that it holds for every process."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]], lease_seconds: float) -> None:
        """`lease_seconds`: after so long the holder is taken for dead. Longer than any operation may take."""
        self._turns = database[_COLLECTION]
        self._lease_seconds = lease_seconds
        self._here = asyncio.Lock()  # only one task of this process asks the database

    @asynccontextmanager
    async def turn(self, collection: str) -> AsyncIterator[None]:
        """Waits for the turn on this collection, and ends it. Whoever calls sets the time limit."""
        async with self._here:
            holder = uuid.uuid4().hex
            await self._take(collection, holder)
            try:
                yield
            finally:
                await self._turns.delete_one({"_id": collection, "holder": holder})

    async def _take(self, collection: str, holder: str) -> None:
        while True:
            now = time.time()
            turn = {"_id": collection, "holder": holder, "until": now + self._lease_seconds}
            try:
                await self._turns.insert_one(turn)
            except DuplicateKeyError:
                await self._turns.delete_one({"_id": collection, "until": {"$lt": now}})
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

"""Uploads documents: all of them before the questions begin, and one now and then while the run lasts."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence

from scripts.traffic.client import LONGEST_WAIT, Client, Reply
from scripts.traffic.display import Display
from scripts.traffic.library import Upload
from scripts.traffic.visitor import API

#: Seconds between two uploads during the run: the indexing metrics stay alive, and it costs nothing.
INTERVAL = 30.0
#: Seconds between two looks at a job.
LOOK = 0.5
#: Uploads a second before the questions begin.
FIRST_UPLOADS_RATE = 10.0
#: Statuses in which a job stays.
FINISHED = ("completed", "failed")
USER = "librarian"


async def send(client: Client, item: Upload) -> Reply:
    """Uploads one file; the reply's body has its `job_id`."""
    reply = await client.call(
        "upload",
        "POST",
        f"{API}/documents",
        expect=202,
        needs="job_id",
        user=USER,
        files={"file": (item.filename, item.content, item.media_type)},
    )
    if reply.ok:
        client.tally.uploads[item.format] += 1
    return reply


async def look(client: Client, job: str) -> tuple[Reply, bool]:
    """Asks about a job: the reply, and whether nothing more is to be expected of it."""
    reply = await client.call("job status", "GET", f"{API}/indexing/jobs/{job}", expect=200, needs="status", user=USER)
    status = reply.body.get("status") if reply.ok else None
    client.tally.indexed += status == "completed"
    client.tally.indexing_failed += status == "failed"
    return reply, status in FINISHED or reply.status == 404


async def stock(client: Client, items: Sequence[Upload], limit: float, display: Display) -> bool:
    """Uploads everything and waits until it is indexed, `limit` seconds at most; whether that was enough.

    One request at a time, so the backend sets the pace.
    """
    end = time.monotonic() + limit
    jobs: deque[str] = deque()
    waiting = deque(items)
    while waiting and time.monotonic() < end:
        display.progress(lambda: f"Uploading documents: {len(items) - len(waiting)} of {len(items)}")
        reply = await send(client, waiting[0])
        if reply.retry_after is not None:
            await asyncio.sleep(min(reply.retry_after, max(0.0, end - time.monotonic())))
            continue
        waiting.popleft()
        if reply.ok:
            jobs.append(reply.body["job_id"])
        await asyncio.sleep(1 / FIRST_UPLOADS_RATE)
    accepted = len(jobs)
    while jobs and time.monotonic() < end:
        display.progress(lambda: f"Waiting for indexing: {accepted - len(jobs)} of {accepted} documents done")
        reply, done = await look(client, jobs[0])
        if done:
            jobs.popleft()
        else:
            await asyncio.sleep(min(reply.retry_after or LOOK, LONGEST_WAIT))
    return not waiting and not jobs


class Librarian:
    """Uploads one file after another, slowly, and follows each until it is indexed. It never ends."""

    def __init__(self, client: Client, items: Sequence[Upload], seed: int) -> None:
        self._client = client
        self._items = items
        self._dice = random.Random(f"{seed}:librarian")  # noqa: S311 - traffic, no secret
        self._job: str | None = None

    async def step(self) -> float | None:
        """Makes one request; seconds until the next."""
        if self._job is None:
            reply = await send(self._client, self._dice.choice(self._items))
            if not reply.ok:
                return reply.retry_after or INTERVAL
            self._job = reply.body["job_id"]
            return LOOK
        reply, done = await look(self._client, self._job)
        if done:
            self._job = None
            return INTERVAL
        return reply.retry_after or LOOK

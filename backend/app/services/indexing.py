"""Indexing: an accepted upload becomes a job, and a job becomes searchable passages, whatever happens in between.

The upload and its job are in the document store before the client is told 202. Workers claim jobs one at a time and
keep the claim alive. A job whose worker went silent is taken up again, and failed with its reason after
`indexing_max_attempts`; one that only found a store or the AI provider away goes back into the queue. Point ids follow
from the document, so that a job that ran twice leaves one document.
"""

import asyncio
import base64
import contextlib
import hashlib
import time
import uuid
from typing import Any

from app.core.config import Settings
from app.core.errors import ProblemError
from app.core.exception_frames import exception_message
from app.core.faults import board
from app.core.logging_config import RequestContext, current_request_id, logger
from app.core.redaction import redact_text
from app.core.spans import fail, in_job, in_span
from app.core.tracing import current_traceparent
from app.services.ai.base import AIError
from app.services.ai.service import AIService
from app.services.chunking import chunk
from app.services.extraction import Format, Limits, RejectedDocument, extract_safely
from app.services.metrics_service import metrics
from app.stores.documents import DocumentStore, Record, StoreUnavailable
from app.stores.vectors import VectorStore

#: How soon a worker looks again when there was nothing to do (seconds). An upload to this replica wakes it at once.
IDLE_SECONDS = 2.0


class IndexingService:
    """Accepts uploads, and works through them in the background."""

    def __init__(
        self, settings: Settings, store: DocumentStore, vectors: VectorStore, ai: AIService, limits: Limits
    ) -> None:
        self._settings, self._store, self._vectors, self._ai, self._limits = settings, store, vectors, ai, limits
        self._wake = asyncio.Event()

    async def accept(self, filename: str, file_format: Format, content: bytes) -> Record:
        """Keeps an upload and its job; both are on disk when this returns. 429 when too many are waiting."""
        waiting = await self._store.count("jobs", {"status": "queued"})
        if waiting >= self._settings.max_queued_jobs:
            raise ProblemError(429, f"{waiting} documents are waiting to be indexed; try again later.", retry_after=5)
        digest = hashlib.sha256(content).hexdigest()
        job: Record = {
            "id": str(uuid.uuid4()),
            # The same file again is the same document, so that uploading twice does not answer twice.
            "document_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{filename}\n{digest}")),
            "filename": filename,
            "format": file_format,
            "bytes": len(content),
            "status": "queued",
            "attempts": 0,
            "error": None,
            "chunks": None,
            "request_id": current_request_id(),
            "traceparent": current_traceparent(),
            "created_at": (now := time.time()),
            "queued_at": now,
            "started_at": None,
            "finished_at": None,
            "lease_until": 0.0,
        }
        # The content first: a job without its content could never be done.
        await self._store.insert("uploads", {"id": job["id"], "content": base64.b64encode(content).decode("ascii")})
        await self._store.insert("jobs", job)
        metrics.track_indexing_job("queued")
        self._wake.set()
        return job

    async def job(self, job_id: str) -> Record:
        """One job; 404 when there is none of this id."""
        job = await self._store.get("jobs", job_id)
        if job is None:
            raise ProblemError(404, "No indexing job has this id; GET /api/v1/indexing/jobs lists them.")
        return job

    async def jobs(self, status: str | None, limit: int) -> list[Record]:
        """The newest jobs, of one status or of all."""
        return await self._store.find("jobs", {"status": status} if status else {}, sort="created_at", limit=limit)

    async def counts(self) -> dict[str, int]:
        """How many jobs there are in each status."""
        return await self._store.count_by("jobs", "status")

    async def run(self) -> None:
        """Works through the queue until cancelled."""
        while True:
            try:
                worked = await self._work_once()
            except (StoreUnavailable, AIError) as error:
                logger.warning("indexing waits", reason=str(error))
                worked = False
            if not worked:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), IDLE_SECONDS)

    async def _work_once(self) -> bool:
        """Takes the oldest job that waits, or that was abandoned, and does it. False when there was none."""
        job = await self._claim({"status": "queued"}) or await self._claim(
            {"status": "running", "lease_until": {"$lt": time.time()}}
        )
        if job is None:
            return False
        request_id = job["request_id"] or job["id"]
        with RequestContext(request_id), in_job("index document", request_id, job.get("traceparent", "")) as span:
            span.set_attributes({"indexing.job.id": job["id"], "indexing.format": job["format"]})
            attempts = job["attempts"] + 1
            if attempts > self._settings.indexing_max_attempts:
                tries = self._settings.indexing_max_attempts
                await self._finish(job, "failed", error=f"interrupted {tries} times; upload the file again")
                return True
            started = job["started_at"] or time.time()
            await self._store.update("jobs", {"id": job["id"]}, {"attempts": attempts, "started_at": started})
            metrics.track_indexing_job("running")
            keeper = asyncio.create_task(self._keep_lease(job["id"]))
            try:
                chunks = await self._index(job)
            except RejectedDocument as error:
                fail(span, error)
                await self._finish(job, "failed", error=str(error))
            except Exception as error:
                fail(span, error)
                if isinstance(error, StoreUnavailable) or (isinstance(error, AIError) and error.worth_waiting):
                    logger.warning("indexing waits", job_id=job["id"], reason=str(error))
                    await self._give_back(job)
                    return False
                logger.error("indexing failed", job_id=job["id"], exc_info=error)
                reason = f"{type(error).__name__}: {exception_message(error)}"
                await self._finish(job, "failed", error=redact_text(reason)[:500])
            else:
                await self._finish(job, "completed", chunks=chunks)
            finally:
                keeper.cancel()
        return True

    async def _give_back(self, job: Record) -> None:
        """Puts a job that could not be done just now at the queue's end: one that fails each time holds up no other.

        If even that fails, its lease runs out.
        """
        changes = {"status": "queued", "attempts": job["attempts"], "queued_at": time.time()}
        with contextlib.suppress(StoreUnavailable):
            await self._store.update("jobs", {"id": job["id"]}, changes)

    async def _claim(self, where: dict[str, Any]) -> Record | None:
        lease = time.time() + self._settings.indexing_lease_seconds
        return await self._store.claim(
            "jobs", where, {"status": "running", "lease_until": lease}, oldest_by="queued_at"
        )

    async def _keep_lease(self, job_id: str) -> None:
        """Says every third of a lease that the worker is alive."""
        while True:
            await asyncio.sleep(self._settings.indexing_lease_seconds / 3)
            lease = time.time() + self._settings.indexing_lease_seconds
            with contextlib.suppress(StoreUnavailable):
                await self._store.update("jobs", {"id": job_id, "status": "running"}, {"lease_until": lease})

    async def _index(self, job: Record) -> int:
        """Extracts, chunks, embeds and stores one document; returns how many passages it became."""
        board.fail("indexing_failures")
        upload = await self._store.get("uploads", job["id"])
        if upload is None:
            raise RejectedDocument("unreadable", "the uploaded content is gone; upload the file again")
        content = base64.b64decode(upload["content"])
        with in_span("extract document"):
            extracted = await extract_safely(content, job["format"], self._limits)
        with in_span("chunk document"):
            pieces = chunk(extracted, self._settings.chunk_chars, self._settings.chunk_overlap_chars)
        title = extracted.title or job["filename"]
        # A passage is found by what its document and its section are about, too.
        texts = [f"{title}\n{piece.heading}\n{piece.text}" for piece in pieces]
        vectors = await self._ai.embed(texts)
        await self._vectors.replace(job["document_id"], job["filename"], title, pieces, vectors)
        await self._store.put(
            "documents",
            {
                "id": job["document_id"],
                "filename": job["filename"],
                "format": job["format"],
                "title": title,
                "bytes": job["bytes"],
                "chunks": len(pieces),
                "indexed_at": time.time(),
            },
        )
        return len(pieces)

    async def _finish(self, job: Record, status: str, *, error: str | None = None, chunks: int | None = None) -> None:
        """Ends a job, and lets go of the upload it no longer needs."""
        now = time.time()
        changes = {"status": status, "error": error, "chunks": chunks, "finished_at": now}
        await self._store.update("jobs", {"id": job["id"]}, changes)
        await self._store.delete("uploads", {"id": job["id"]})
        duration = now - (job["started_at"] or now) if job["attempts"] else now - job["created_at"]
        metrics.track_indexing_job(status, duration)
        metrics.track_file_processing(job["format"], status)
        log = logger.info if status == "completed" else logger.warning
        log("indexing finished", job_id=job["id"], status=status, format=job["format"], chunks=chunks, reason=error)

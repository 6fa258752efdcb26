"""Indexing: an accepted upload becomes a job, and a job becomes searchable passages, whatever happens in between.

The upload and its job are in the document store before the client is told 202. Workers claim jobs one at a time and
keep the claim alive (see `claims`). A job whose worker went silent is taken up again, as is one that this server could
not read just now, that a store refused or that the AI provider answered with nonsense, and failed with its reason after
`indexing_max_attempts`; one that only found a store or the provider away goes back into the queue, as does one whose
process is told to stop. Point ids follow from the document, so that a job that ran twice leaves one document.
"""

import asyncio
import base64
import contextlib
import hashlib
import time
import uuid
from functools import partial
from typing import Literal

from opentelemetry.trace import Span

from app.core.background import growing_pause, keep_running
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
from app.services.claims import LONGEST_REST_SECONDS, Claims
from app.services.extraction import ExtractionUnavailable, Format, Limits, RejectedDocument, extract_safely
from app.services.metrics_service import metrics
from app.stores.documents import DocumentStore, Record, StoreUnavailable
from app.stores.errors import StoreRefused
from app.stores.vectors import VectorStore

#: How soon a worker looks again when there was nothing to do (seconds). An upload to this replica wakes it at once.
IDLE_SECONDS = 2.0
#: The longest that a worker waits for a store that is away before it asks again (seconds).
LONGEST_AWAY_SECONDS = 30.0
#: How long a job rests after an attempt that counts; twice as long after the next (seconds).
RETRY_SECONDS = 15.0
#: How long a process that is told to stop takes to give a job back (seconds); else the job waits for its lease.
LETTING_GO_SECONDS = 1.0

#: How a look at the queue ended: with a job done, with none that could be done, or with a store that does not answer.
Outcome = Literal["done", "nothing", "away"]


class IndexingService:
    """Accepts uploads, and works through them in the background."""

    def __init__(
        self, settings: Settings, store: DocumentStore, vectors: VectorStore, ai: AIService, limits: Limits
    ) -> None:
        self._settings, self._store, self._vectors, self._ai, self._limits = settings, store, vectors, ai, limits
        self._claims = Claims(store, settings.indexing_lease_seconds)
        self._wake = asyncio.Event()
        self._accepting = 0

    async def check_room(self, accepting: int | None = None) -> None:
        """429 when too many documents wait, those that are being accepted included (`accepting`; None: as many as now).

        One process lets in no more; with uploads at once it may refuse the last few. Each of several replicas may let
        in as many more as the others accept at that moment.
        """
        accepting = self._accepting if accepting is None else accepting
        waiting = accepting + await self._store.count("jobs", {"status": "queued"})
        if waiting >= self._settings.max_queued_jobs:
            raise ProblemError(429, f"{waiting} documents are waiting to be indexed; try again later.", retry_after=5)

    async def accept(self, filename: str, file_format: Format, content: bytes) -> Record:
        """Keeps an upload and its job; both are on disk when this returns. 429 when too many are waiting."""
        before = self._accepting
        self._accepting += 1
        try:
            await self.check_room(before)
            job = await self._insert(filename, file_format, content)
        finally:
            self._accepting -= 1
        metrics.track_indexing_job("queued")
        self._wake.set()
        return job

    async def _insert(self, filename: str, file_format: Format, content: bytes) -> Record:
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
            "waits": 0,
            "error": None,
            "chunks": None,
            "request_id": current_request_id(),
            "traceparent": current_traceparent(),
            "created_at": (now := time.time()),
            "queued_at": now,
            "started_at": None,
            "finished_at": None,
            "lease_until": 0.0,
            "owner": None,
        }
        upload = {"id": job["id"], "created_at": now, "content": base64.b64encode(content).decode("ascii")}
        # The content first: a job without its content could never be done.
        await self._store.insert("uploads", upload)
        try:
            await self._store.insert("jobs", job)
        except Exception:
            # The client is told that it was not accepted. What cannot be removed now, `retention` removes; the job
            # first, which may have been inserted all the same.
            with contextlib.suppress(StoreUnavailable):
                await self._store.delete("jobs", {"id": job["id"]})
                await self._store.delete("uploads", {"id": job["id"]})
            raise
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
        """Works through the queue until cancelled. While a store is away it is asked less and less often."""
        failures = 0
        while True:
            self._wake.clear()  # before the look: what is accepted from now on may be missed by it
            try:
                outcome = await self._work_once()
            except StoreUnavailable as error:
                logger.warning("indexing waits", reason=str(error))
                outcome = "away"
            if outcome == "away":
                failures += 1
                # An upload does not wake it: nothing could be done about it.
                await asyncio.sleep(growing_pause(failures, IDLE_SECONDS, LONGEST_AWAY_SECONDS))
            elif outcome == "done":
                failures = 0
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_SECONDS):  # wait_for of Python 3.11 can lose a cancellation
                        await self._wake.wait()

    async def _work_once(self) -> Outcome:
        """Takes a job and does it. Told to stop meanwhile, it gives the job back."""
        job = await self._claims.take()
        if job is None:
            return "nothing"
        try:
            return await self._work_on(job)
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LETTING_GO_SECONDS):
                    await self._claims.let_go(job)
            raise

    async def _work_on(self, job: Record) -> Outcome:
        request_id = job["request_id"] or job["id"]
        with RequestContext(request_id), in_job("index document", request_id, job.get("traceparent", "")) as span:
            span.set_attributes({"indexing.job.id": job["id"], "indexing.format": job["format"]})
            tries = self._settings.indexing_max_attempts
            if job["attempts"] >= tries:
                await self._finish(job, "failed", error=f"interrupted {tries} times; upload the file again")
                return "done"
            try:
                await self._vectors.ping()  # before anything is read for nothing
            except StoreUnavailable as error:
                fail(span, error)
                logger.warning("indexing waits", job_id=job["id"], reason=str(error))
                await self._claims.let_go(job)
                return "away"
            return await self._do(job, span)

    async def _do(self, job: Record, span: Span) -> Outcome:
        attempts, started = job["attempts"] + 1, job["started_at"] or time.time()
        keeper = asyncio.create_task(keep_running("lease of an indexing job", partial(self._claims.keep, job)))
        try:
            if not await self._claims.change(job, {"attempts": attempts, "started_at": started}):
                return "done"  # by another
            metrics.track_indexing_job("running")
            chunks = await self._index(job)
        except RejectedDocument as error:
            fail(span, error)
            # Its message may quote the document, so that no line has it: the job alone does.
            await self._finish(job, "failed", error=str(error), reason=error.reason)
        except Exception as error:
            fail(span, error)
            return await self._not_done(job, attempts, error)
        else:
            await self._finish(job, "completed", chunks=chunks)
        finally:
            keeper.cancel()
        return "done"

    async def _not_done(self, job: Record, attempts: int, error: Exception) -> Outcome:
        """Gives a job back that may be done later, and fails any other."""
        ai = error if isinstance(error, AIError) else None
        counts = isinstance(error, StoreRefused | ExtractionUnavailable) or (ai and ai.reason == "protocol")
        away = isinstance(error, StoreUnavailable) and not counts
        if away or (ai and ai.worth_waiting):
            first, attempts = IDLE_SECONDS, job["attempts"]  # waiting is no attempt
        elif counts and attempts < self._settings.indexing_max_attempts:
            first = RETRY_SECONDS
        else:
            logger.error("indexing failed", job_id=job["id"], exc_info=error)
            reason = redact_text(f"{type(error).__name__}: {exception_message(error)}")[:500]
            await self._finish(job, "failed", error=reason)
            return "done"
        rest = growing_pause(job.get("waits", 0) + 1, first, LONGEST_REST_SECONDS)
        logger.warning("indexing waits", job_id=job["id"], reason=str(error), again_in_seconds=round(rest, 1))
        await self._claims.give_back(job, rest, attempts)
        return "away" if away else "nothing"

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
        # Embeddings may cost money: none are made while they could not be kept.
        await self._vectors.trim(job["document_id"], len(pieces))
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

    async def _finish(
        self,
        job: Record,
        status: str,
        *,
        error: str | None = None,
        reason: str | None = None,
        chunks: int | None = None,
    ) -> None:
        """Ends a job, and lets go of the upload it no longer needs. `reason`: what a line says in place of `error`."""
        now = time.time()
        changes = {"status": status, "error": error, "chunks": chunks, "finished_at": now}
        if not await self._claims.end(job, changes):
            logger.warning("indexing came too late", job_id=job["id"], status=status)  # another worker has the job
            return
        began = (job["started_at"] or now) if job["attempts"] else job["created_at"]
        metrics.track_indexing_job(status, max(0.0, now - began))  # the clock may have been set back
        metrics.track_file_processing(job["format"], status)
        log = logger.info if status == "completed" else logger.warning
        said = reason or error
        log("indexing finished", job_id=job["id"], status=status, format=job["format"], chunks=chunks, reason=said)
        with contextlib.suppress(StoreUnavailable):  # `retention` does it then
            await self._store.delete("uploads", {"id": job["id"]})

"""Retrieval: from a question to the passages that may answer it."""

import time
from dataclasses import dataclass

from app.services.ai.base import AIError, Passage
from app.services.ai.service import AIService
from app.services.metrics_service import metrics
from app.stores.documents import StoreUnavailable
from app.stores.pieces import Hit
from app.stores.vectors import VectorStore

#: As much of a passage as an answer shows of its source (characters).
EXCERPT_CHARS = 240


@dataclass(slots=True)
class Retrieval:
    """What a search found, best first, and how long the vector search took (seconds; None if it came to none)."""

    hits: list[Hit]
    seconds: float | None
    reported: bool = False

    @property
    def passages(self) -> list[Passage]:
        """The material for the model."""
        return [Passage(hit.title, hit.text) for hit in self.hits]

    @property
    def sources(self) -> list[dict[str, object]]:
        """One entry a document, the best passage of each."""
        best: dict[str, Hit] = {}
        for hit in self.hits:
            best.setdefault(hit.document_id, hit)
        return [
            {
                "document_id": hit.document_id,
                "filename": hit.filename,
                "title": hit.title,
                "score": round(hit.score, 4),
                "excerpt": hit.text[:EXCERPT_CHARS],
            }
            for hit in best.values()
        ]

    def report(self, failure: str | None = None) -> None:
        """Counts the query once, as a success or with the reason of its failure."""
        if not self.reported:
            self.reported = True
            if failure is None and not self.hits:
                failure = "no_match"
            metrics.track_rag_query(self.seconds, failure is None, failure)


class RagService:
    """Finds passages by the likeness of their embeddings."""

    def __init__(self, ai: AIService, vectors: VectorStore, top_k: int, minimum_score: float) -> None:
        self._ai, self._vectors, self._top_k, self._minimum_score = ai, vectors, top_k, minimum_score

    async def retrieve(self, question: str) -> Retrieval:
        """The best passages above the minimum score. Raises `AIError` or `StoreUnavailable`, counted as a failure."""
        try:
            vector = (await self._ai.embed([question]))[0]
        except AIError as error:
            Retrieval([], None).report("timeout" if error.reason == "timeout" else "embedding")
            raise
        start = time.perf_counter()
        try:
            found = await self._vectors.search(vector, self._top_k)
        except StoreUnavailable:
            Retrieval([], time.perf_counter() - start).report("vector_store")
            raise
        hits = [hit for hit in found if hit.score >= self._minimum_score]
        documents = len({hit.document_id for hit in hits})
        metrics.track_retrieval(documents, found[0].score if found else None)
        return Retrieval(hits, time.perf_counter() - start)

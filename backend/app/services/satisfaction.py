"""Ratings of answers, and what they add up to."""

import math
import time

from app.core.errors import ProblemError
from app.services.metrics_service import metrics
from app.stores.documents import DocumentStore

#: `user_satisfaction_score` is the mean over this long (seconds).
WINDOW_SECONDS = 3600.0


class SatisfactionService:
    """One rating a message: a second one replaces the first."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def rate(self, message_id: str, score: int, comment: str | None) -> None:
        """Keeps a rating from 1 to 5; 404 when there is no such answer."""
        message = await self._store.get("messages", message_id)
        if message is None or message["role"] != "assistant":
            raise ProblemError(404, "No answer has this message_id; rate the message_id of a chat answer.")
        record = {"id": message_id, "score": str(score), "comment": comment, "created_at": time.time()}
        await self._store.put("feedback", record)
        metrics.feedback.labels(str(score)).inc()

    async def mean_score(self) -> float:
        """The mean of the last hour's ratings, NaN when there were none."""
        recent = {"created_at": {"$gte": time.time() - WINDOW_SECONDS}}
        counts = await self._store.count_by("feedback", "score", recent)
        ratings = sum(counts.values())
        return sum(int(score) * count for score, count in counts.items()) / ratings if ratings else math.nan

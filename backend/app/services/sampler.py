"""What is measured by asking now and then, rather than by counting: gauges of the stores, and the event loop's lag."""

import asyncio
import time

from app.core.logging_config import logger
from app.services.chat import ChatService
from app.services.health_service import HealthCheckService
from app.services.indexing import IndexingService
from app.services.metrics_service import metrics
from app.services.satisfaction import SatisfactionService
from app.stores.documents import StoreUnavailable

#: How often the event loop's lag is measured (seconds).
LAG_SECONDS = 0.25


class Sampler:
    """Refreshes the gauges every `seconds`, so that a scrape never waits for a store."""

    def __init__(
        self,
        seconds: float,
        chat: ChatService,
        indexing: IndexingService,
        satisfaction: SatisfactionService,
        health: HealthCheckService,
    ) -> None:
        self._seconds, self._chat, self._indexing = seconds, chat, indexing
        self._satisfaction, self._health = satisfaction, health

    async def sample(self) -> None:
        """Reads everything once."""
        await self._health.get_system_health()
        metrics.track_chat_activity(0, await self._chat.active_sessions())
        metrics.update_active_users(await self._chat.active_users())
        metrics.update_jobs_by_status(await self._indexing.counts())
        metrics.user_satisfaction_score.set(await self._satisfaction.mean_score())

    async def run(self) -> None:
        """Samples until cancelled. A store that cannot be read leaves the gauges as they were: health says so."""
        while True:
            try:
                await self.sample()
            except StoreUnavailable as error:
                logger.debug("gauges not refreshed", reason=str(error))
            await asyncio.sleep(self._seconds)

    @staticmethod
    async def watch_lag() -> None:
        """Sleeps a while, again and again, and records how much later than asked it woke."""
        while True:
            start = time.perf_counter()
            await asyncio.sleep(LAG_SECONDS)
            metrics.event_loop_lag.observe(max(0.0, time.perf_counter() - start - LAG_SECONDS))

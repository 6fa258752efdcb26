"""Is the service well, and can it serve? Five checks, side by side, each with its own time limit, cached a moment."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from app.core.config import Settings
from app.core.logging_config import logger
from app.services.ai.service import AIService
from app.services.metrics_service import metrics
from app.stores.documents import DocumentStore
from app.stores.vectors import VectorStore

CheckResult = dict[str, Any]
#: Score (percent of healthy checks) from which the whole is called healthy or degraded: the specification's.
HEALTHY_SCORE, DEGRADED_SCORE = 90.0, 70.0
#: Without these the service cannot answer at all; the others it can live with for a while.
REQUIRED_CHECKS = ("database", "vector_store")
#: What a check that returns a dict says its verdict by.
VERDICTS = ("healthy", "available")
CHECK_NAMES = ("database", "vector_store", "ai_service", "disk_space", "memory_usage")


class HealthCheckService:
    """Runs the checks. A check passes unless it raises, returns something false, or says that it is not well."""

    def __init__(
        self,
        settings: Settings,
        documents: DocumentStore,
        vectors: VectorStore,
        ai: AIService,
        disk: Path | None = None,
    ) -> None:
        self._settings, self._documents, self._vectors, self._ai = settings, documents, vectors, ai
        self._disk = disk or settings.log_dir
        self.checks: dict[str, Callable[[], Awaitable[Any]]] = {
            "database": self._check_mongodb,
            "vector_store": self._check_qdrant,
            "ai_service": self._check_azure_ai,
            "disk_space": self._check_disk_space,
            "memory_usage": self._check_memory_usage,
        }
        self._last: tuple[float, dict[str, Any]] | None = None
        self._asking: asyncio.Task[Any] | None = None
        self._lock = asyncio.Lock()
        self._failing: set[str] = set()

    async def get_system_health(self) -> dict[str, Any]:
        """The whole report: status, timestamp (Unix seconds), checks, overall_score (percent).

        Not older than `health_cache_seconds`; many who ask at once share one run of the checks.
        """
        async with self._lock:
            now = time.monotonic()
            if self._last is None or now - self._last[0] >= self._settings.health_cache_seconds:
                self._last = (now, await self._run_all())
            return self._last[1]

    async def is_ready(self) -> tuple[bool, dict[str, CheckResult]]:
        """Whether what the service cannot serve without is there, and what each of those checks said."""
        checks: Mapping[str, CheckResult] = (await self.get_system_health())["checks"]
        required = {name: checks[name] for name in REQUIRED_CHECKS}
        return all(check["status"] == "healthy" for check in required.values()), required

    async def _run_all(self) -> dict[str, Any]:
        results = await asyncio.gather(*(self._run_check(name, check) for name, check in self.checks.items()))
        checks = dict(zip(self.checks, results, strict=True))
        score = 100.0 * sum(check["status"] == "healthy" for check in results) / len(results)
        status = "healthy" if score >= HEALTHY_SCORE else "degraded" if score >= DEGRADED_SCORE else "unhealthy"
        metrics.service_health_score.set(score)
        for name, check in checks.items():
            healthy = check["status"] == "healthy"
            metrics.service_health.labels(name).set(healthy)
            metrics.health_check_duration.labels(name).observe(check["response_time"])
            self._report_change(name, healthy, check["message"])
        metrics.ai_service_health.set(checks["ai_service"]["status"] == "healthy")
        return {"status": status, "timestamp": time.time(), "overall_score": score, "checks": checks}

    def _report_change(self, name: str, healthy: bool, message: str) -> None:
        """One line when a check turns, not one a run."""
        if not healthy and name not in self._failing:
            self._failing.add(name)
            logger.error("health check failed", check=name, reason=message)
        elif healthy and name in self._failing:
            self._failing.remove(name)
            logger.info("health check passes again", check=name)

    async def _run_check(self, name: str, check: Callable[[], Awaitable[Any]]) -> CheckResult:
        """Runs one check with its time limit: status healthy, unhealthy or error, and its seconds."""
        start = time.perf_counter()
        details: Any = None
        try:
            async with asyncio.timeout(self._settings.health_timeout_seconds):
                details = await check()
            healthy = all(details.get(word, True) for word in VERDICTS) if isinstance(details, dict) else bool(details)
            status, message = ("healthy", "OK") if healthy else ("unhealthy", f"{name} is out of its limits")
        except TimeoutError:
            status, message = "error", f"no answer within {self._settings.health_timeout_seconds:g} s"
        except Exception as error:
            status, message = "error", str(error) or type(error).__name__
        return {
            "status": status,
            "message": message,
            "response_time": time.perf_counter() - start,
            "details": details if isinstance(details, dict) else None,
        }

    async def _check_mongodb(self) -> bool:
        """The document store answers, be it MongoDB or SQLite."""
        await self._documents.ping()
        return True

    async def _check_qdrant(self) -> bool:
        """The vector store answers, be it a server or embedded."""
        await self._vectors.ping()
        return True

    async def _check_azure_ai(self) -> dict[str, Any]:
        """The AI provider answers, whichever is configured. Costs no tokens."""
        await self._ai.check()
        return {"provider": self._ai.name, "healthy": True}

    async def _check_disk_space(self) -> dict[str, Any]:
        """Free space where the logs and the embedded stores are."""
        if self._asking is None or self._asking.done():  # a disk that hangs holds one thread, not one a check
            self._asking = asyncio.create_task(asyncio.to_thread(self._disk_usage))
        usage = await asyncio.shield(self._asking)
        free_percent = 100.0 * usage.free / usage.total
        metrics.disk_free_percent.set(free_percent)
        return {
            "total_gb": round(usage.total / 1024**3, 2),
            "used_gb": round(usage.used / 1024**3, 2),
            "free_gb": round(usage.free / 1024**3, 2),
            "free_percent": round(free_percent, 2),
            "healthy": free_percent > self._settings.disk_free_minimum_percent,
        }

    def _disk_usage(self) -> Any:
        folder = next(path for path in (self._disk, *self._disk.absolute().parents) if path.exists())
        return shutil.disk_usage(folder)

    async def _check_memory_usage(self) -> dict[str, Any]:
        """Memory of the machine, or of the virtual machine that the containers share."""
        memory = psutil.virtual_memory()
        metrics.memory_usage_percent.set(memory.percent)
        return {
            "total_gb": round(memory.total / 1024**3, 2),
            "used_gb": round(memory.used / 1024**3, 2),
            "available_gb": round(memory.available / 1024**3, 2),
            "percent_used": memory.percent,
            "healthy": memory.percent < self._settings.memory_used_maximum_percent,
        }

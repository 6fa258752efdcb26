"""The health checks: what passes, what does not, and what a slow one may cost."""

import asyncio
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.config import Settings
from app.services.health_service import HealthCheckService
from app.services.metrics_service import metrics
from tests.backend.conftest import make_settings, started


class Part:
    """A store or a provider whose answer can be chosen."""

    name = "local"

    def __init__(self) -> None:
        self.calls = 0
        self.answer: Any = None

    async def ping(self) -> None:
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer:
            await asyncio.sleep(self.answer)

    check = ping


def service(settings: Settings) -> tuple[HealthCheckService, Part, Part, Part]:
    documents, vectors, ai = Part(), Part(), Part()
    return HealthCheckService(settings, documents, vectors, ai), documents, vectors, ai  # type: ignore[arg-type]


def health(check: str) -> float | None:
    return metrics.registry.get_sample_value("service_health", {"check": check})


async def test_all_well_is_a_hundred_percent(settings: Settings) -> None:
    report = await service(settings)[0].get_system_health()
    assert (report["status"], report["overall_score"]) == ("healthy", 100.0)
    assert set(report["checks"]) == {"database", "vector_store", "ai_service", "disk_space", "memory_usage"}
    assert all(check["response_time"] >= 0 for check in report["checks"].values())
    assert 0 < report["checks"]["disk_space"]["details"]["free_percent"] <= 100
    assert health("database") == 1


@pytest.mark.parametrize(("failing", "status", "score"), [(1, "degraded", 80.0), (2, "unhealthy", 60.0)])
async def test_the_score_is_the_share_of_checks_that_pass(
    settings: Settings, failing: int, status: str, score: float
) -> None:
    health_service, *parts = service(settings)
    for part in parts[:failing]:
        part.answer = ConnectionError("no route to it")
    report = await health_service.get_system_health()
    assert (report["status"], report["overall_score"]) == (status, score)
    assert report["checks"]["database"]["message"] == "no route to it"
    assert health("database") == 0
    assert metrics.registry.get_sample_value("service_health_score") == score


@pytest.mark.parametrize("verdict", [{"healthy": False}, {"available": False}, False, None, 0])
async def test_a_check_that_says_no_is_no_even_when_its_answer_is_not_empty(settings: Settings, verdict: Any) -> None:
    health_service, *_ = service(settings)

    async def check() -> Any:
        return verdict

    health_service.checks["disk_space"] = check
    report = await health_service.get_system_health()
    assert report["checks"]["disk_space"]["status"] == "unhealthy"


async def test_a_disk_that_hangs_holds_one_thread_and_is_well_again_when_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked, usage = threading.Event(), list[object](), shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: asked.append(folder) or (answers.wait(20) and usage))
    health_service, *_ = service(make_settings(tmp_path, health_timeout_seconds=0.05, health_cache_seconds=0))
    for _ in range(5):
        report = await health_service.get_system_health()
        assert report["checks"]["disk_space"]["message"] == "no answer within 0.05 s"
    assert len(asked) == 1
    answers.set()
    await asyncio.sleep(0.1)
    assert (await health_service.get_system_health())["checks"]["disk_space"]["status"] != "error"


async def test_checks_run_side_by_side_and_a_slow_one_is_cut(tmp_path: Path) -> None:
    health_service, *parts = service(make_settings(tmp_path, health_timeout_seconds=0.2))
    for part in parts:
        part.answer = 5
    start = time.monotonic()
    report = await health_service.get_system_health()
    assert time.monotonic() - start < 0.6
    assert report["checks"]["ai_service"]["message"] == "no answer within 0.2 s"
    assert metrics.registry.get_sample_value("ai_service_health") == 0


async def test_many_who_ask_at_once_cost_one_run(tmp_path: Path) -> None:
    health_service, documents, *_ = service(make_settings(tmp_path, health_cache_seconds=30))
    documents.answer = 0.05
    await asyncio.gather(*(health_service.get_system_health() for _ in range(50)))
    assert documents.calls == 1


async def test_ready_asks_only_for_what_it_cannot_serve_without(settings: Settings) -> None:
    health_service, documents, vectors, ai = service(settings)
    ai.answer = ConnectionError("away")
    assert (await health_service.is_ready())[0]
    vectors.answer = ConnectionError("away")
    ready, checks = await health_service.is_ready()
    assert not ready
    assert checks["vector_store"]["status"] == "error"
    assert documents.calls == 2


async def test_limits_are_the_settings(tmp_path: Path) -> None:
    limits = make_settings(tmp_path, disk_free_minimum_percent=100, memory_used_maximum_percent=0)
    report = await service(limits)[0].get_system_health()
    assert report["checks"]["disk_space"]["status"] == "unhealthy"
    assert report["checks"]["memory_usage"]["status"] == "unhealthy"
    assert report["checks"]["memory_usage"]["message"] == "memory_usage is out of its limits"


async def test_the_endpoints_answer_with_their_status(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/live")).json() == {"status": "alive"}
    assert (await client.get("/health/ready")).json()["status"] == "ready"
    assert (await client.get("/health")).json()["checks"]["ai_service"]["details"]["provider"] == "local"
    for fault in ("database_down", "vector_store_down"):
        await client.put("/internal/faults", json={"fault": fault, "seconds": 30})
    ready, whole, live = [await client.get(path) for path in ("/health/ready", "/health", "/health/live")]
    assert (ready.status_code, whole.status_code, live.status_code) == (503, 503, 200)
    assert whole.json()["status"] == "unhealthy"


async def test_the_ai_check_costs_no_tokens(tmp_path: Path) -> None:
    async with started(make_settings(tmp_path)) as client:
        before = metrics.registry.get_sample_value("ai_requests_total", {"model": "local-extractive", "type": "chat"})
        for _ in range(3):
            await client.get("/health")
        after = metrics.registry.get_sample_value("ai_requests_total", {"model": "local-extractive", "type": "chat"})
    assert before == after

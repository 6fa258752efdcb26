"""Is it well, is it alive, can it serve?"""

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.api.dependencies import ServicesDep

router = APIRouter(prefix="/health", tags=["operations"])


class Check(BaseModel):
    """What one check came to."""

    status: Literal["healthy", "unhealthy", "error"]
    message: str = Field(examples=["OK"])
    response_time: float = Field(description="Seconds", examples=[0.002])
    details: dict[str, Any] | None = Field(examples=[{"free_percent": 61.2, "healthy": True}])


class Report(BaseModel):
    """All checks, and what they come to together."""

    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: float = Field(description="Unix seconds", examples=[1767225600.0])
    overall_score: float = Field(description="Percent of the checks that are healthy", examples=[100.0])
    checks: dict[str, Check]


class Liveness(BaseModel):
    """It answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether it can serve, and the checks that say so."""

    status: Literal["ready", "not ready"]
    checks: dict[str, Check]


@router.get("")
async def report(services: ServicesDep, response: Response) -> Report:
    """The whole report; 503 when unhealthy."""
    health = Report.model_validate(await services.health.get_system_health())
    if health.status == "unhealthy":
        response.status_code = 503
    return health


@router.get("/live")
async def live() -> Liveness:
    """The process answers: whoever asks may leave it running."""
    return Liveness()


@router.get("/ready")
async def ready(services: ServicesDep, response: Response) -> Readiness:
    """It can serve; 503 when what it cannot serve without is away."""
    is_ready, checks = await services.health.is_ready()
    if not is_ready:
        response.status_code = 503
    return Readiness.model_validate({"status": "ready" if is_ready else "not ready", "checks": checks})

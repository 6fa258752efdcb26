"""Is it well, is it alive, can it serve?"""

from typing import Any

from fastapi import APIRouter, Response

from app.api.dependencies import ServicesDep

router = APIRouter(prefix="/health", tags=["operations"])


@router.get("")
async def report(services: ServicesDep, response: Response) -> dict[str, Any]:
    """The whole report; 503 when unhealthy."""
    health = await services.health.get_system_health()
    if health["status"] == "unhealthy":
        response.status_code = 503
    return health


@router.get("/live")
async def live() -> dict[str, str]:
    """The process answers: whoever asks may leave it running."""
    return {"status": "alive"}


@router.get("/ready")
async def ready(services: ServicesDep, response: Response) -> dict[str, Any]:
    """It can serve; 503 when what it cannot serve without is away."""
    is_ready, checks = await services.health.is_ready()
    if not is_ready:
        response.status_code = 503
    return {"status": "ready" if is_ready else "not ready", "checks": checks}

"""Looking closer: one logger's level, until an end time.

It holds in the process that took it: where several replicas run, send it to each.
"""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import ServicesDep
from app.core.config import LogLevel
from app.core.errors import ProblemError
from app.core.log_levels import levels
from app.core.logging_config import NOISY

router = APIRouter(prefix="/internal/log-level", tags=["operations"])


class LevelOrder(BaseModel):
    """A logger, its level and for how long."""

    model_config = ConfigDict(extra="forbid")

    logger: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_.]{1,100}$",
            description="A line's field `logger`, or what several have in common: `app.stores`, `root`",
            examples=["portal_app"],
        ),
    ]
    level: LogLevel = Field(examples=["DEBUG"])
    seconds: Annotated[float, Field(gt=0, le=3600, description="It ends by itself after this long")] = 300.0


class ActiveLevel(BaseModel):
    """A level that is set now."""

    logger: str = Field(examples=["app.stores"])
    level: LogLevel
    until: float = Field(description="Unix seconds", examples=[1767225600.0])


@router.get("")
async def list_levels() -> list[ActiveLevel]:
    """What is set now, and until when."""
    return [ActiveLevel(logger=one.logger, level=one.level, until=one.until) for one in levels.active()]


@router.put("")
async def set_level(services: ServicesDep, order: LevelOrder) -> list[ActiveLevel]:
    """Sets one logger's level for a while, of the standard library's and of structlog's alike."""
    if order.level in ("DEBUG", "INFO") and order.logger.split(".")[0] in NOISY and not services.settings.log_content:
        raise ProblemError(
            422,
            "Below WARNING this library writes what passes through it: messages, documents, statements with their "
            "values. Only where LOG_CONTENT=true may that stand in lines.",
        )
    if not levels.known(order.logger):
        raise ProblemError(422, "No logger has this name: take it from the field `logger` of its lines, or `root`.")
    levels.set(order.logger, order.level, order.seconds)
    return await list_levels()


@router.delete("", status_code=204)
async def restore_levels() -> Response:
    """Puts all of them back."""
    levels.restore()
    return Response(status_code=204)

"""Looking closer: one logger's level, until an end time.

It holds in the process that took it: where several replicas run, send it to each.
"""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from app.core.config import LogLevel
from app.core.errors import ProblemError
from app.core.log_levels import levels

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

    logger: str
    level: LogLevel
    until: float = Field(description="Unix seconds")


@router.get("")
async def list_levels() -> list[ActiveLevel]:
    """What is set now, and until when."""
    return [ActiveLevel(logger=one.logger, level=one.level, until=one.until) for one in levels.active()]


@router.put("")
async def set_level(order: LevelOrder) -> list[ActiveLevel]:
    """Sets one logger's level for a while, of the standard library's and of structlog's alike. Open wherever this port
    is: keep `/internal` closed to the outside."""
    if not levels.known(order.logger):
        raise ProblemError(422, "No logger has this name: take it from the field `logger` of its lines, or `root`.")
    levels.set(order.logger, order.level, order.seconds)
    return await list_levels()


@router.delete("", status_code=204)
async def restore_levels() -> Response:
    """Puts all of them back."""
    levels.restore()
    return Response(status_code=204)

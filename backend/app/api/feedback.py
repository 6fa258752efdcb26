"""Ratings of answers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from app.api.dependencies import ServicesDep, log_content
from app.core.errors import ProblemError

router = APIRouter(prefix="/feedback", tags=["chat"])


class Rating(BaseModel):
    """How good an answer was."""

    message_id: UUID = Field(description="The answer's message_id", examples=["0b2d2c3e-8f0e-5d0e-9a53-2f3c1d6a7b10"])
    score: Annotated[int, Field(ge=1, le=5, description="1 = useless, 5 = just right", examples=[4])]
    # A string with constraints is one of Unicode: half a surrogate pair is refused, which no store would take.
    comment: Annotated[str, StringConstraints(min_length=0)] | None = Field(
        None, description="At most MAX_COMMENT_CHARS characters", examples=["Just what I was looking for."]
    )


class Rated(BaseModel):
    """The rating that now holds."""

    message_id: str = Field(examples=["0b2d2c3e-8f0e-5d0e-9a53-2f3c1d6a7b10"])
    score: int = Field(examples=[4])


@router.post("", status_code=201)
async def rate(services: ServicesDep, rating: Rating) -> Rated:
    """Rates an answer; a second rating of the same one replaces the first."""
    limit = services.settings.max_comment_chars
    if rating.comment and len(rating.comment) > limit:
        raise ProblemError(
            422, f"The comment has {len(rating.comment)} characters; at most {limit} are taken (MAX_COMMENT_CHARS)."
        )
    log_content(services, "comment", rating.comment or "")
    await services.satisfaction.rate(str(rating.message_id), rating.score, rating.comment)
    return Rated(message_id=str(rating.message_id), score=rating.score)

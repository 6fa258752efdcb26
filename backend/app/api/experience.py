"""What the page's user experienced, as the browser measured it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.services.metrics_service import metrics

router = APIRouter(prefix="/experience", tags=["page"])

#: The largest that is believed: ten minutes, and a layout shift of 100.
MAX_SECONDS, MAX_SHIFT = 600.0, 100.0


class Measurement(BaseModel):
    """One measurement: seconds, or a layout shift (no unit)."""

    model_config = ConfigDict(extra="forbid")

    metric: Literal["first_token", "largest_contentful_paint", "interaction_to_next_paint", "cumulative_layout_shift"]
    value: Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False, examples=[0.8])]

    @model_validator(mode="after")
    def _plausible(self) -> "Measurement":
        if self.metric == "cumulative_layout_shift" and self.value > MAX_SHIFT:
            raise ValueError(f"a layout shift above {MAX_SHIFT:g} is not believed")
        return self


class BrowserError(BaseModel):
    """One error, by its kind alone: its text may hold anything."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["script", "unhandled_rejection", "resource"]


class Experience(BaseModel):
    """What a page reports when it is left."""

    model_config = ConfigDict(extra="forbid")

    measurements: Annotated[list[Measurement], Field(max_length=50)] = []
    errors: Annotated[list[BrowserError], Field(max_length=50)] = []


@router.post("", status_code=204)
async def report(experience: Experience) -> Response:
    """Takes in a page's measurements."""
    for measurement in experience.measurements:
        metrics.track_experience(measurement.metric, measurement.value)
    for error in experience.errors:
        metrics.user_experience_errors.labels(error.kind).inc()
    return Response(status_code=204)

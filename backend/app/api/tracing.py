"""Looking closer: every request of one id, or of one route, is traced until an end time, whatever the ratio.

An order holds in the process that took it: where several replicas run, send it to each.
"""

from typing import Annotated, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.core.errors import ProblemError
from app.core.trace_orders import TooManyOrders, orders

router = APIRouter(prefix="/internal/tracing", tags=["operations"])


class TraceRequest(BaseModel):
    """What to trace: a request id or a route, and for how long."""

    model_config = ConfigDict(extra="forbid")

    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")] | None = Field(None, examples=["find-me"])
    route: str | None = Field(None, description="As the OpenAPI document has it", examples=["/api/v1/documents"])
    seconds: Annotated[float, Field(gt=0, le=3600, description="It ends by itself after this long")] = 60.0

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.request_id is None) == (self.route is None):
            raise ValueError("name a request_id or a route, and not both")
        return self


class ActiveTraceOrder(BaseModel):
    """What is traced now."""

    request_id: str | None = Field(examples=["find-me"])
    route: str | None = Field(examples=[None])
    until: float = Field(description="Unix seconds", examples=[1767225600.0])


@router.get("")
async def list_orders() -> list[ActiveTraceOrder]:
    """What is traced now, whatever the ratio."""
    return [
        ActiveTraceOrder(
            request_id=order.value if order.kind == "request_id" else None,
            route=order.value if order.kind == "route" else None,
            until=order.until,
        )
        for order in orders.active()
    ]


@router.put("")
async def add_order(request: Request, wanted: TraceRequest) -> list[ActiveTraceOrder]:
    """Traces more for a while; answers with all that is traced."""
    if wanted.route is not None and wanted.route not in request.app.openapi()["paths"]:
        raise ProblemError(422, "There is no such route: GET /openapi.json has each one's template under `paths`.")
    try:
        if wanted.route is not None:
            orders.add("route", wanted.route, wanted.seconds)
        else:
            orders.add("request_id", wanted.request_id or "", wanted.seconds)
    except TooManyOrders as error:
        raise ProblemError(429, str(error)) from None
    return await list_orders()


@router.delete("", status_code=204)
async def end_orders() -> Response:
    """Ends all of them."""
    orders.clear()
    return Response(status_code=204)

"""Faults on purpose. These routes exist only where FAULTS_ENABLED is true."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.api.dependencies import ServicesDep
from app.core.faults import Fault, FaultName

router = APIRouter(prefix="/internal/faults", tags=["drills"])


class FaultOrder(BaseModel):
    """A fault to switch on."""

    fault: FaultName = Field(examples=["ai_down"])
    percent: Annotated[float, Field(gt=0, le=100, description="Share of the calls that it strikes")] = 100.0
    seconds: Annotated[float, Field(gt=0, le=3600, description="It ends by itself after this long")] = 60.0
    delay_seconds: Annotated[float, Field(ge=0, le=60, description="For http_latency and ai_slow")] = 2.0


class ActiveFault(BaseModel):
    """A fault that is on."""

    fault: str = Field(examples=["ai_down"])
    percent: float = Field(examples=[100.0])
    until: float = Field(description="Unix seconds", examples=[1767225600.0])
    delay_seconds: float = Field(examples=[2.0])


def _as_model(fault: Fault) -> ActiveFault:
    return ActiveFault(fault=fault.name, percent=fault.percent, until=fault.until, delay_seconds=fault.delay_seconds)


@router.get("")
async def list_faults(services: ServicesDep) -> list[ActiveFault]:
    """The faults that are on."""
    return [_as_model(fault) for fault in await services.faults.refresh()]


@router.put("")
async def set_fault(services: ServicesDep, order: FaultOrder) -> list[ActiveFault]:
    """Switches a fault on; answers with all that are on."""
    active = await services.faults.set(order.fault, order.percent, order.seconds, order.delay_seconds)
    return [_as_model(fault) for fault in active]


@router.delete("", status_code=204)
async def clear_faults(services: ServicesDep) -> Response:
    """Ends every fault."""
    await services.faults.clear()
    return Response(status_code=204)

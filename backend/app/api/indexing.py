"""The state of indexing jobs."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from app.api.dependencies import ServicesDep
from app.services.extraction import Format

router = APIRouter(prefix="/indexing/jobs", tags=["documents"])

JobStatus = Literal["queued", "running", "completed", "failed"]


class Job(BaseModel):
    """One indexing job. Times are Unix seconds."""

    id: str = Field(examples=["5f1c5b0e-2a57-4a0b-8a44-7f4b8b1f4a11"])
    document_id: str = Field(examples=["0b2d2c3e-8f0e-5d0e-9a53-2f3c1d6a7b10"])
    filename: str = Field(examples=["handbook.md"])
    format: Format
    status: JobStatus
    attempts: int = Field(description="How often a worker began it", examples=[1])
    error: str | None = Field(description="Why it failed", examples=[None])
    chunks: int | None = Field(description="Passages that the document became", examples=[12])
    created_at: float = Field(examples=[1767225600.0])
    started_at: float | None = Field(examples=[1767225600.1])
    finished_at: float | None = Field(examples=[1767225600.4])


class Jobs(BaseModel):
    """The newest first."""

    jobs: list[Job]


@router.get("")
async def list_jobs(
    services: ServicesDep, status: JobStatus | None = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> Jobs:
    """The newest jobs, of one status or of all."""
    return Jobs(jobs=[Job.model_validate(job) for job in await services.indexing.jobs(status, limit)])


@router.get("/{job_id}")
async def get_job(services: ServicesDep, job_id: UUID) -> Job:
    """One job."""
    return Job.model_validate(await services.indexing.job(str(job_id)))

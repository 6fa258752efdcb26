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

    id: str
    document_id: str
    filename: str
    format: Format
    status: JobStatus
    attempts: int = Field(description="How often a worker began it")
    error: str | None = Field(description="Why it failed")
    chunks: int | None = Field(description="Passages that the document became")
    created_at: float
    started_at: float | None
    finished_at: float | None


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

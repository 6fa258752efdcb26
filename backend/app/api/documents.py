"""Uploads."""

from typing import Annotated

from fastapi import APIRouter, File, Response, UploadFile
from pydantic import BaseModel, Field

from app.api.dependencies import ServicesDep, log_content
from app.core.errors import ProblemError
from app.services.extraction import (
    Format,
    ReadersBusy,
    RejectedDocument,
    UnsupportedFormat,
    detect_format,
    validate_safely,
)

router = APIRouter(prefix="/documents", tags=["documents"])
#: As much of a document as LOG_CONTENT puts into a line.
LOGGED_BYTES = 4_000


class UploadAccepted(BaseModel):
    """The upload is kept; its job can be followed."""

    document_id: str = Field(examples=["0b2d2c3e-8f0e-5d0e-9a53-2f3c1d6a7b10"])
    job_id: str = Field(examples=["5f1c5b0e-2a57-4a0b-8a44-7f4b8b1f4a11"])
    status: str = Field(examples=["queued"])
    filename: str = Field(examples=["handbook.md"])
    format: Format = Field(examples=["markdown"])
    bytes: int = Field(description="Size of the upload", examples=[18234])


def too_large(limit: int) -> str:
    """What is said to a larger upload; `limit` in bytes."""
    return f"A file has at most {limit} bytes here (MAX_UPLOAD_BYTES); send it in parts."


@router.post("", status_code=202)
async def upload(
    services: ServicesDep,
    response: Response,
    file: Annotated[UploadFile, File(description="Text, Markdown, HTML, CSV, JSON or PDF")],
) -> UploadAccepted:
    """Accepts a document and indexes it in the background."""
    filename = (file.filename or "unnamed").replace("\\", "/").rsplit("/", 1)[-1][:200] or "unnamed"
    filename = filename.encode("utf-8", "replace").decode(
        "utf-8"
    )  # a form's own charset can give half a surrogate pair
    try:
        file_format = detect_format(filename, file.content_type)
    except UnsupportedFormat as error:
        raise ProblemError(415, str(error)) from None
    limit = services.settings.max_upload_bytes
    if (file.size or 0) > limit:
        raise ProblemError(413, too_large(limit))
    await services.indexing.check_room()
    content = await file.read()
    log_content(services, "document", content[:LOGGED_BYTES].decode("utf-8", "replace"))
    try:
        await validate_safely(content, file_format, services.limits)
    except RejectedDocument as error:
        raise ProblemError(422, str(error)) from None
    except ReadersBusy as error:
        raise ProblemError(429, str(error), retry_after=5) from None
    job = await services.indexing.accept(filename, file_format, content)
    response.headers["Location"] = f"/api/v1/indexing/jobs/{job['id']}"
    return UploadAccepted(
        document_id=job["document_id"],
        job_id=job["id"],
        status=job["status"],
        filename=filename,
        format=file_format,
        bytes=len(content),
    )

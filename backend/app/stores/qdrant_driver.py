"""What has to be known of qdrant-client beyond its calls: how it fails, and how its local mode writes."""

import json
import pickle
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import httpx
import pydantic
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from app.core.outgoing import request_headers

FAILURES: tuple[type[Exception], ...] = (
    ApiException,
    QdrantException,
    json.JSONDecodeError,  # an answer of 200 by something that is no Qdrant
    sqlite3.Error,
    OSError,
)
"""How a call fails, on a server or embedded."""

OPENING_FAILURES = (*FAILURES, RuntimeError, ValueError, LookupError, EOFError, pickle.UnpicklingError)
"""How opening fails: a folder that is in use or damaged says so by these too."""

LOCAL_LIMIT = 20_000
"""Points up to which qdrant-client recommends its local mode (`AsyncQdrantLocal.LARGE_DATA_THRESHOLD`)."""


def hush() -> None:
    """Keeps from users a warning that is meant for programmers; the store says the same in their words."""
    warnings.filterwarnings("ignore", message="Local mode is not recommended", category=UserWarning)


async def name_request(request: httpx.Request) -> None:
    """Tells a server which request it works for."""
    request.headers.update(request_headers())


def use_wal(folder: Path) -> None:
    """Lets the embedded store commit with one flush of the disk in place of about four.

    Local mode commits each point by itself: measured, 64 took 0.1 s to 0.3 s with a write-ahead log and 0.8 s to
    1.0 s without. The mode is a property of the file, so it can be set from here; it is as durable.
    """
    for file in folder.glob("collection/*/storage.sqlite"):
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")


def refuses(error: Exception) -> bool:
    """Whether a server means what it says: a request of its kind will fail again. 408 and 429 are about the moment."""
    return (
        isinstance(error, UnexpectedResponse)
        and 400 <= (error.status_code or 0) < 500
        and (error.status_code not in (408, 429))
    )


def reason_of(error: Exception) -> str:
    """A failure in words that quote no text of a document: a server's answer may."""
    if isinstance(error, UnexpectedResponse):
        why = " (its own log says why; a full disk is answered so)" if (error.status_code or 0) >= 500 else ""
        return f"HTTP {error.status_code} {error.reason_phrase}{why}"
    if isinstance(error, ResponseHandlingException) and isinstance(error.source, pydantic.ValidationError):
        return "an answer that this client does not know; is the server's version its own?"
    if isinstance(error, ResponseHandlingException):
        return f"{type(error.source).__name__} {error.source}".strip()
    return f"{type(error).__name__}: {error}"

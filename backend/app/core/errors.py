"""Errors as `application/problem+json` (RFC 9457), each with the request's id."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from app.core.logging_config import current_request_id


class Problem(BaseModel):
    """What every error answer looks like."""

    type: str = Field("about:blank", description="RFC 9457's type")
    title: str = Field(description="The status in words", examples=["Not Found"])
    status: int = Field(description="The HTTP status", examples=[404])
    detail: str = Field(description="What was wrong, where, and what to do", examples=["No session has this id."])
    request_id: str = Field(description="Find the request's logs and trace by it", examples=["0af7651916cd43dd"])
    errors: list[dict[str, Any]] | None = Field(None, description="One entry a wrong field")


class ProblemError(HTTPException):
    """An error that a handler answers with on purpose. `retry_after` is in seconds."""

    def __init__(self, status: int, detail: str, retry_after: float | None = None) -> None:
        headers = {"Retry-After": str(max(1, round(retry_after)))} if retry_after is not None else None
        super().__init__(status, detail, headers)


def problem_body(status: int, detail: str, errors: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """The body of an error answer."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": current_request_id(),
    }
    if errors:
        body["errors"] = errors
    return body


class ProblemResponse(JSONResponse):
    """A response of type `application/problem+json`."""

    media_type = "application/problem+json"


def problem(
    status: int,
    detail: str,
    errors: Sequence[Mapping[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """An error answer."""
    return ProblemResponse(problem_body(status, detail, errors), status_code=status, headers=headers)


async def _on_http_exception(_: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _on_validation_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    wanted = _media_type(request.scope.get("route"))
    fits = given == wanted or (wanted == "application/json" and given.endswith("+json"))  # as FastAPI reads it
    if given and wanted and not fits and any(item["loc"][0] == "body" for item in error.errors()):
        return problem(415, f"The body is to be {wanted}.")
    known = _names(request.app)
    # Neither the input nor the names that a client made up: they may hold what must not be repeated, and the input what
    # cannot be written as JSON.
    errors = [
        {
            "where": ".".join(str(part) if isinstance(part, int) or part in known else "…" for part in item["loc"]),
            "what": item["msg"],
            "kind": item["type"],
        }
        for item in error.errors()[:20]
    ]
    return problem(422, "The request is not valid: see errors, where each entry names a field.", errors)


def _media_type(route: object) -> str | None:
    """The media type of the body that a route takes."""
    field = getattr(getattr(route, "body_field", None), "field_info", None)
    return getattr(field, "media_type", None)


@lru_cache(maxsize=8)
def _names(app: FastAPI) -> frozenset[str]:
    """Every name of a field or a parameter that the application defines."""
    found = {"body", "query", "path", "header", "cookie"}
    waiting: list[Any] = [app.openapi()]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            found |= set(node.get("properties", ()))
            if "in" in node and isinstance(node.get("name"), str):
                found.add(node["name"])
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return frozenset(found)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: what a route may answer with; all have this shape."""
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {"application/problem+json": {"schema": schema}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


#: What any route may answer with.
PROBLEM_RESPONSES = problem_responses(400, 401, 403, 404, 405, 413, 415, 422, 429, 500, 503)


def install_error_handlers(app: FastAPI) -> None:
    """Answers every expected error as a problem. Unexpected ones are the middleware's."""
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)

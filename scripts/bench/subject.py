"""What is measured: one small FastAPI application, and what a variant has put around it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from opentelemetry import trace
from starlette.types import ASGIApp

#: The route that is asked, and one that tells whether a span surrounds it.
TEMPLATE = "/items/{item_id}"
SPAN_PATH = "/span"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a variant leaves its lines and its spans."""

    folder: Path
    sink: str
    service: str

    @property
    def log_file(self) -> Path:
        """The file of lines of set-ups that want one named."""
        return self.folder / "application.log"


@dataclass(frozen=True, slots=True)
class Subject:
    """An application, and how the spans that it holds back are sent."""

    app: ASGIApp
    flush_spans: Callable[[], object] | None = None


def bare_app() -> FastAPI:
    """The route alone. FastAPI's own telemetry is off in every variant, so that each one's is all there is."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False}, openapi_url=None)

    @app.get(TEMPLATE)
    async def item(item_id: int) -> dict[str, int]:
        return {"item_id": item_id}

    @app.get(SPAN_PATH)
    async def span() -> dict[str, str]:
        context = trace.get_current_span().get_span_context()
        return {"trace_id": f"{context.trace_id:032x}"}

    return app


def bare(_: Place) -> Subject:
    """Nothing but the route."""
    return Subject(bare_app())

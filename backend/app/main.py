"""The service: settings, stores, services, routers and middleware put together, started and stopped."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request

from app import __version__
from app.api import (
    access,
    chat,
    documents,
    experience,
    faults,
    feedback,
    health,
    indexing,
    log_level,
    metrics,
    page,
    profile,
    tracing,
)
from app.api.dependencies import Services
from app.core.background import keep_running
from app.core.body_limit import BodyLimit, BodyLimitMiddleware
from app.core.config import Settings, get_settings
from app.core.errors import PROBLEM_RESPONSES, Problem, ProblemResponse, install_error_handlers, problem
from app.core.faults import FAULT_NAMES, board
from app.core.heartbeat import beat
from app.core.logging_config import logger
from app.core.middleware import ObservabilityMiddleware
from app.core.outgoing import request_headers
from app.core.routing import EndpointNames
from app.core.server import serve
from app.services import extraction
from app.services.access import ApiKeys
from app.services.ai.base import AIError
from app.services.ai.factory import build_ai
from app.services.chat import ChatService
from app.services.extraction import ExtractionUnavailable, Limits
from app.services.faults import FaultService
from app.services.health_service import CHECK_NAMES, HealthCheckService
from app.services.indexing import IndexingService
from app.services.metrics_service import metrics as service_metrics
from app.services.rag import RagService
from app.services.retention import RetentionService
from app.services.sampler import Sampler
from app.services.satisfaction import SatisfactionService
from app.stores.documents import StoreUnavailable
from app.stores.factory import build_document_store, build_vector_store

#: A form's own bytes, which come on top of the file's.
FORM_BYTES = 10_000
#: What the code asks of the document store: (operation, collection). Their metrics exist from the start.
DATABASE_OPERATIONS = (
    ("ping", "none"),
    ("insert", "sessions"), ("update", "sessions"), ("count", "sessions"),
    ("insert", "messages"), ("find", "messages"), ("get", "messages"),
    ("insert", "uploads"), ("get", "uploads"), ("delete", "uploads"),
    ("insert", "jobs"), ("get", "jobs"), ("find", "jobs"), ("update", "jobs"), ("claim", "jobs"), ("count", "jobs"),
    ("put", "documents"), ("put", "feedback"), ("count", "feedback"),
    ("put", "faults"), ("find", "faults"), ("delete", "faults"), ("find", "api_keys"),
    ("delete", "jobs"), ("delete", "messages"), ("find", "feedback"), ("delete", "feedback"),
    ("find", "sessions"), ("delete", "sessions"), ("find", "uploads"), ("update", "uploads"),
)  # fmt: skip


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application. Its stores open when it starts and close when it ends."""
    settings = settings or get_settings()
    app = FastAPI(
        title="Specola reference backend",
        version=__version__,
        description="A small RAG chat service, instrumented throughout.",
        lifespan=lambda app: _lifespan(app, settings),
        responses=PROBLEM_RESPONSES,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # the middleware does all three
    )
    api = APIRouter(prefix="/api/v1")
    for module in (documents, indexing, chat, feedback, experience):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(page.router)
    app.include_router(tracing.router)
    app.include_router(profile.router)
    app.include_router(log_level.router)
    app.mount("/static", page.static_files, name="static")
    if settings.faults_enabled:
        app.include_router(faults.router)
    install_error_handlers(app)
    for error in (StoreUnavailable, AIError, ExtractionUnavailable):
        app.add_exception_handler(error, _on_unavailable)
    body = BodyLimit(settings.max_json_bytes, f"A body has at most {settings.max_json_bytes} bytes (MAX_JSON_BYTES).")
    form = BodyLimit(settings.max_upload_bytes + FORM_BYTES, documents.too_large(settings.max_upload_bytes))
    app.add_middleware(BodyLimitMiddleware, default=body, by_path={"/api/v1/documents": form})
    token, with_keys = access.read_token(settings.internal_token_file), settings.api_keys_required
    if token or with_keys:
        app.add_middleware(access.AccessMiddleware, token=token, with_keys=with_keys)
    app.state.names = EndpointNames(app)
    app.add_middleware(ObservabilityMiddleware, names=app.state.names, settings=settings)
    _describe_problems(app)
    return app


async def _on_unavailable(_: Request, error: Exception) -> ProblemResponse:
    """A part is away: the client is told which, and to come back."""
    wait = getattr(error, "retry_after", None) or 2
    logger.error("request could not be served", reason=str(error))
    return problem(503, str(error), headers={"Retry-After": str(max(1, round(wait)))})


def _describe_problems(app: FastAPI) -> None:
    """Adds the shape of error answers to the OpenAPI document, which no route returns by its model."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        document["components"]["schemas"].setdefault("Problem", Problem.model_json_schema())
        return document

    app.openapi = openapi  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    ai = build_ai(settings, extra_headers=request_headers)
    store = build_document_store(settings)
    vectors = build_vector_store(settings, ai.dimensions)
    limits = Limits(
        max_text_chars=settings.max_text_chars,
        max_pdf_pages=settings.max_pdf_pages,
        max_json_depth=settings.max_json_depth,
        seconds=settings.extraction_seconds,
    )
    chat_service = ChatService(
        settings, store, RagService(ai, vectors, settings.rag_top_k, settings.rag_minimum_score), ai
    )
    indexing_service = IndexingService(settings, store, vectors, ai, limits)
    satisfaction = SatisfactionService(store)
    health_service = HealthCheckService(settings, store, vectors, ai)
    fault_service = FaultService(store, board)
    keys = ApiKeys(store)
    app.state.services = Services(
        settings, limits, chat_service, indexing_service, satisfaction, health_service, fault_service, keys
    )
    service_metrics.prepare_ai(ai.chat_model, ai.embedding_model)
    service_metrics.prepare_database(DATABASE_OPERATIONS)
    service_metrics.prepare_endpoints(app.state.names.known())
    service_metrics.prepare_names(CHECK_NAMES, FAULT_NAMES)
    service_metrics.app_info.labels(__version__, settings.environment, settings.service_name).set(1)

    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(ai.close)
        stack.callback(extraction.close)
        stack.push_async_callback(store.close)
        await store.start()
        stack.push_async_callback(vectors.close)
        await vectors.start()
        sampler = Sampler(settings.sample_seconds, chat_service, indexing_service, satisfaction, health_service)
        await sampler.sample()  # so that the first scrape is a true one
        retention = RetentionService(settings, store)
        work = [("heartbeat", beat), ("gauges", sampler.run), ("lag", sampler.watch_lag), ("retention", retention.run)]
        work += [("indexing", indexing_service.run)] * settings.indexing_workers
        if settings.faults_enabled:
            work.append(("faults", fault_service.run))
        if settings.api_keys_required:
            await keys.refresh()
            work.append(("API keys", keys.run))
        stack.push_async_callback(_end, [asyncio.create_task(keep_running(name, run)) for name, run in work])
        logger.info("started", document_store=store.kind, vector_store=settings.vector_store, ai_provider=ai.name)
        yield
    logger.info("stopped")


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Ends the background work before the stores that it uses."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    """Serves until told to stop; what is in flight then has `shutdown_seconds` to finish."""
    settings = get_settings()
    serve(create_app(settings), settings.port, settings)


if __name__ == "__main__":
    main()

"""Specola's own instrumentation around the same route: the backend's middleware, logging and tracing, unchanged."""

import time

from app.api import metrics as metrics_api
from app.core.config import Settings
from app.core.logging_config import configure_logging
from app.core.middleware import ObservabilityMiddleware
from app.core.routing import EndpointNames
from app.core.spans import active
from app.core.tracing import configure_tracing
from scripts.bench.subject import Place, Subject, bare_app

#: No line is rotated away before it was counted (bytes).
FILE_BYTES = 10_000_000_000
POLL_SECONDS = 0.02


def specola(place: Place, sampled: float | None) -> Subject:
    """Metrics, the access line, and this share of the requests traced; None: tracing is switched off."""
    settings = Settings(
        service_name=place.service,
        log_dir=place.folder,
        log_file=place.log_file.name,
        log_max_bytes=FILE_BYTES,
        otel_exporter_otlp_endpoint=place.sink,
        otel_sdk_disabled=sampled is None,
        otel_traces_sampler_arg=sampled or 0.0,
    )
    app = bare_app()
    app.include_router(metrics_api.router)
    configure_logging(settings)
    configure_tracing(settings)
    app.add_middleware(ObservabilityMiddleware, names=EndpointNames(app), settings=settings)
    return Subject(app, _wait_for_spans)


def _wait_for_spans() -> None:
    """Its own thread sends them, twice a second; there is nothing that would hurry it."""
    while active.queue is not None and active.queue._spans:
        time.sleep(POLL_SECONDS)

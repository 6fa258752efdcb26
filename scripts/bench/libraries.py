"""The libraries that others use, set up as their own documentation says, around the same route as ours."""

from collections.abc import Callable

from fastapi import FastAPI
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from prometheus_fastapi_instrumentator import Instrumentator
from starlette_exporter import PrometheusMiddleware, handle_metrics

from scripts.bench import specification
from scripts.bench.subject import Place, Subject, bare_app

#: Eight times the default: a round's spans fit, none is dropped, and so each one's cost is in the figure.
QUEUE_SPANS = 16_384


def instrumentator(_: Place) -> Subject:
    """prometheus-fastapi-instrumentator."""
    app = bare_app()
    Instrumentator().instrument(app).expose(app)
    return Subject(app)


def starlette_exporter(_: Place) -> Subject:
    """starlette_exporter."""
    app = bare_app()
    app.add_middleware(PrometheusMiddleware)
    app.add_route("/metrics", handle_metrics)
    return Subject(app)


def specification_logging(place: Place) -> Subject:
    """The specification's logging, one line a request."""
    app = bare_app()
    specification.configure_logging(place.log_file)
    app.add_middleware(specification.RequestLineMiddleware)
    return Subject(app)


def opentelemetry(place: Place, sampled: bool, lean: bool = False) -> Subject:
    """opentelemetry-instrumentation-fastapi; `lean` leaves out its spans for each receive and send."""
    app = bare_app()
    return Subject(app, _trace(app, place, sampled, lean))


def usual_three(place: Place, lean: bool = False) -> Subject:
    """prometheus-fastapi-instrumentator, the specification's logging and OpenTelemetry with all sampled, in one app."""
    app = bare_app()
    Instrumentator().instrument(app).expose(app)
    specification.configure_logging(place.log_file)
    app.add_middleware(specification.RequestLineMiddleware)
    return Subject(app, _trace(app, place, True, lean))


def _trace(app: FastAPI, place: Place, sampled: bool, lean: bool) -> Callable[[], object]:
    provider = TracerProvider(
        resource=Resource.create({"service.name": place.service}),
        sampler=ParentBased(ALWAYS_ON if sampled else ALWAYS_OFF),
    )
    exporter = OTLPSpanExporter(endpoint=f"{place.sink}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUE_SPANS))
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, exclude_spans=["receive", "send"] if lean else None
    )
    return provider.force_flush

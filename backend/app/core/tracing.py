"""Traces: a server span a request, spans for what it asks of others, and which requests are traced at all.

Whether a request is traced is decided here before anything is built, so that one that is not costs next to nothing: it
has a trace id for its lines and for its outgoing calls, and no span.
"""

import socket
from collections.abc import Mapping
from contextvars import Token

from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    get_current_span,
)
from opentelemetry.util.types import AttributeValue
from starlette.types import Scope

from app import __version__
from app.core.config import Settings
from app.core.light_span import Tracer
from app.core.log_writer import LogFiles
from app.core.routing import UNMATCHED
from app.core.span_export import Destination, SpanFiles, SpanQueue, Tempo
from app.core.spans import NOWHERE, active, alone, chosen, fail, unsampled, w3c
from app.core.trace_orders import orders

#: What waits at the end has this long to be sent (seconds).
FLUSH_SECONDS = 1.0

Started = tuple[Span, Token[Context]]


def configure_tracing(settings: Settings, processor: SpanProcessor | None = None) -> None:
    """Begins to trace: to Tempo, to a file where the settings name no endpoint, or to `processor`.

    Where OTEL_SDK_DISABLED is true nothing is traced, and lines have no trace id.
    """
    close_tracing()
    if settings.otel_sdk_disabled:
        return
    if processor is None:
        processor = active.queue = SpanQueue(_destination(settings))
    resource = Resource.create(
        {
            "service.name": settings.service_name,
            "service.version": __version__,
            "service.instance.id": socket.gethostname(),
            "deployment.environment.name": settings.environment,
        }
    )
    active.tracer = Tracer(resource, InstrumentationScope("specola", __version__), processor)
    active.ratio = settings.otel_traces_sampler_arg


def close_tracing() -> None:
    """Sends what waits, for `FLUSH_SECONDS` at most, and ends tracing. Safe to repeat."""
    queue, active.queue, active.tracer = active.queue, None, None
    if queue is not None:
        queue.close(FLUSH_SECONDS)


def _destination(settings: Settings) -> Destination:
    if settings.otel_exporter_otlp_endpoint:
        return Tempo(settings.otel_exporter_otlp_endpoint, settings.authority_file)
    folder = settings.log_dir / socket.gethostname() if settings.log_per_host else settings.log_dir
    return SpanFiles(LogFiles(folder, settings.trace_file, settings.log_max_bytes, settings.log_files))


def start_request(scope: Scope, headers: Mapping[bytes, bytes], request_id: str) -> Started | None:
    """Makes the server span of a request the current one; None where nothing is traced. `end_request` ends it.

    A caller's sampling decision holds; without a caller the ratio decides, and an order of `trace_orders` over both.
    """
    tracer = active.tracer
    if tracer is None:
        return None
    parent = _caller(scope) if b"traceparent" in headers else None
    sampled = chosen() if parent is None else parent.trace_flags.sampled
    if sampled or orders.include(request_id, scope["path"]):
        span: Span = tracer.start("HTTP", SpanKind.SERVER, parent)
    else:
        span = NonRecordingSpan(unsampled(parent))
    return span, attach(alone(span))


def _caller(scope: Scope) -> SpanContext | None:
    """The caller's span, by the headers of W3C Trace Context; None when they are not valid. Baggage is not read."""
    given: dict[str, list[str]] = {"traceparent": [], "tracestate": []}
    for name, value in scope["headers"]:
        if name in (b"traceparent", b"tracestate"):
            given[name.decode()].append(value.decode("latin-1"))
    if len(given["traceparent"]) != 1:
        return None
    context = get_current_span(w3c.extract(given, NOWHERE)).get_span_context()
    return context if context.is_valid else None


def end_request(
    started: Started,
    scope: Scope,
    request_id: str,
    method: str,
    endpoint: str,
    status: int,
    error: Exception | None,
) -> None:
    """Ends a request's span, by OpenTelemetry's conventions for HTTP; the path is the route's template there too."""
    span, token = started
    if span.is_recording():
        attributes: dict[str, AttributeValue] = {
            "request.id": request_id,
            "http.request.method": method,
            "http.response.status_code": status,
            "url.path": endpoint,
            "url.scheme": scope["scheme"],
        }
        name = method if method != "_OTHER" else "HTTP"
        if endpoint != UNMATCHED:
            attributes["http.route"] = endpoint
            name = f"{name} {endpoint}"
        server = scope.get("server")
        if server is not None and server[1] is not None:
            attributes["server.address"], attributes["server.port"] = server
        if status >= 500 and error is not None:
            fail(span, error)
        elif status >= 500:
            attributes["error.type"] = str(status)
            span.set_status(StatusCode.ERROR)
        span.update_name(name)
        span.set_attributes(attributes)
        span.end()
    detach(token)


def current_traceparent() -> str:
    """W3C's name of the current span, or "" outside of any: what a job keeps of the request that caused it."""
    return outgoing_headers().get("traceparent", "")


def outgoing_headers() -> dict[str, str]:
    """`traceparent`, and the caller's `tracestate` if it sent one, for a call to another service. No baggage."""
    headers: dict[str, str] = {}
    w3c.inject(headers)
    return headers

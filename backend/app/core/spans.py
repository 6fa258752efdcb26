"""Spans inside a request or a job, where that is traced; where it is not, each costs one look at the context."""

import random
from collections.abc import AsyncGenerator, Mapping
from contextvars import Token
from types import TracebackType
from typing import TypeVar

from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation import _SPAN_KEY
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from app.core.light_span import Tracer, is_own, message_of
from app.core.span_export import SpanQueue
from app.core.trace_orders import orders

T = TypeVar("T")

NOWHERE = Context()  # no parent, and no baggage

#: What `in_span` takes: a name from a bounded set, a kind, and attributes.
SpanOrder = tuple[str, SpanKind, Mapping[str, AttributeValue]]

w3c = TraceContextTextMapPropagator()
_ids = RandomIdGenerator()


class _Tracing:
    """What `configure_tracing` set up. Without it there are no spans and no trace ids."""

    tracer: Tracer | None = None
    queue: SpanQueue | None = None
    ratio: float = 1.0


active = _Tracing()


def chosen() -> bool:
    """Whether the ratio chooses a request that nobody else decided on."""
    return random.random() < active.ratio  # noqa: S311 - no secret depends on it


def alone(span: Span) -> Context:
    """A context of this span and nothing else: what `set_span_in_context(span, NOWHERE)` makes by way of two copies."""
    return Context({_SPAN_KEY: span})


def unsampled(parent: SpanContext | None) -> SpanContext:
    if parent is None:
        return SpanContext(_ids.generate_trace_id(), _ids.generate_span_id(), False)
    flags = TraceFlags(parent.trace_flags & ~TraceFlags.SAMPLED)
    return SpanContext(parent.trace_id, _ids.generate_span_id(), False, flags, parent.trace_state)


class in_span:  # noqa: N801 - used as a statement, like the functions of contextlib
    """A span inside the current one where that is traced, else nothing. An exception that passes makes it an error."""

    __slots__ = ("_attributes", "_kind", "_name", "_span", "_token")
    _current = True

    def __init__(
        self, name: str, kind: SpanKind = SpanKind.INTERNAL, attributes: Mapping[str, AttributeValue] | None = None
    ) -> None:
        self._name, self._kind, self._attributes = name, kind, attributes
        self._span: Span = INVALID_SPAN
        self._token: Token[Context] | None = None

    def __enter__(self) -> Span:
        parent = get_current_span()
        if active.tracer is not None and parent.is_recording():
            self._span = active.tracer.start(self._name, self._kind, parent.get_span_context(), self._attributes)
            if self._current:
                self._token = attach(set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if isinstance(exc, Exception):
            fail(self._span, exc)
        self._span.end()
        if self._token is not None:
            detach(self._token)


class apart(in_span):  # noqa: N801
    """A span that is not made the current one: for a generator, whose reader would find it current between two pieces,
    and which may be closed in another context than it began in. `within` has its source find it."""

    __slots__ = ()
    _current = False


async def within(span: Span, pieces: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same pieces, each made while `span` is the current one, so that what is asked of others carries its id."""
    while True:
        token = attach(set_span_in_context(span)) if span.is_recording() else None
        try:
            piece = await anext(pieces)
        except StopAsyncIteration:
            return
        finally:
            if token is not None:
                detach(token)
        yield piece


class in_job(in_span):  # noqa: N801
    """A trace of its own for work that a request left behind: linked to that request's span, and traced when it was.

    `traceparent` is the request's, as `current_traceparent` gave it; "" when it is not known.
    """

    __slots__ = ("_request_id", "_traceparent")

    def __init__(self, name: str, request_id: str, traceparent: str) -> None:
        super().__init__(name, SpanKind.INTERNAL, {"request.id": request_id})
        self._request_id, self._traceparent = request_id, traceparent

    def __enter__(self) -> Span:
        if active.tracer is None:
            return self._span
        cause = get_current_span(w3c.extract({"traceparent": self._traceparent}, NOWHERE)).get_span_context()
        sampled = cause.trace_flags.sampled if cause.is_valid else chosen()
        if sampled or orders.include(self._request_id, ""):
            links = [Link(cause)] if cause.is_valid else []
            self._span = active.tracer.start(self._name, self._kind, None, self._attributes, links)
        else:
            self._span = NonRecordingSpan(unsampled(None))
        self._token = attach(alone(self._span))
        return self._span


def fail(span: Span, error: Exception) -> None:
    """Marks a span as failed, with the exception as an event."""
    if not span.is_recording():
        return
    span.record_exception(error)
    reason = getattr(error, "reason", None) if is_own(error) else None
    span.set_attribute("error.type", reason if isinstance(reason, str) else type(error).__name__)
    span.set_status(StatusCode.ERROR, message_of(error))

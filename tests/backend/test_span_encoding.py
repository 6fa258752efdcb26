"""Spans are encoded to the same meaning as by OpenTelemetry's own encoder, in a fraction of its time."""

import time
from collections.abc import Callable

import pytest
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from opentelemetry.util.types import AttributeValue

from app.core.light_span import Tracer
from app.core.span_encoding import encode

INTERNAL = SpanKind.INTERNAL
CALLER = SpanContext(1, 2, True, TraceFlags(1), TraceState([("vendor", "own text")]))
ATTRIBUTES: dict[str, AttributeValue] = {
    "text": "/items/{id}",
    "è": "ünï",
    "number": 2**40,
    "negative": -1,
    "yes": True,
    "no": False,
    "empty": "",
}


class Kept(SpanProcessor):
    """Keeps what ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def spans(make: Callable[[Tracer], None]) -> list[ReadableSpan]:
    """The ended spans of what `make` does with a tracer."""
    kept = Kept()
    make(Tracer(Resource.create({"service.name": "x"}), InstrumentationScope("specola", "1.0"), kept))
    return kept.spans


def expected(ended: list[ReadableSpan]) -> ExportTraceServiceRequest:
    """OpenTelemetry's own, without trace states."""
    request = encode_spans(ended)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                span.trace_state = ""
    return request


def plain(tracer: Tracer) -> None:
    tracer.start("GET /items/{id}", SpanKind.SERVER, None, ATTRIBUTES).end()


def of_every_kind(tracer: Tracer) -> None:
    for kind in SpanKind:
        tracer.start("né" * 100, kind).end()


def with_parents(tracer: Tracer) -> None:
    for remote in (True, False):
        parent = SpanContext(CALLER.trace_id, 7, remote, CALLER.trace_flags, CALLER.trace_state)
        tracer.start("child", INTERNAL, parent).end()


def with_statuses(tracer: Tracer) -> None:
    for code, text in ((StatusCode.OK, None), (StatusCode.ERROR, None), (StatusCode.ERROR, "why")):
        span = tracer.start("s", INTERNAL)
        span.set_status(code, text)
        span.end()


def with_events(tracer: Tracer) -> None:
    span = tracer.start("s", INTERNAL, None, ATTRIBUTES)
    span.add_event("exception", {"exception.type": "ValueError"})
    span.end()


def with_links(tracer: Tracer) -> None:
    tracer.start("job", INTERNAL, links=[Link(CALLER, {"a": 1})]).end()


def with_rare_values(tracer: Tracer) -> None:
    tracer.start("s", INTERNAL, None, {"list": ["a", "b"], "float": 0.25, "one": 1, "true": True}).end()
    tracer.start("s", INTERNAL, None, {"one": True, "true": 1}).end()


def with_values_that_do_not_fit(tracer: Tracer) -> None:
    tracer.start("s", INTERNAL, None, {"vast": 2**70, "half": "\ud800", "whole": 1}).end()


def without_anything(tracer: Tracer) -> None:
    tracer.start("", INTERNAL).end()


@pytest.mark.parametrize(
    "make",
    [
        plain,
        of_every_kind,
        with_parents,
        with_statuses,
        with_events,
        with_links,
        with_rare_values,
        with_values_that_do_not_fit,
        without_anything,
    ],
)
def test_every_span_means_the_same(make: Callable[[Tracer], None]) -> None:
    ended = spans(make)
    encoded = encode(ended)
    assert ExportTraceServiceRequest.FromString(encoded) == expected(ended)
    assert b"own text" not in encoded


def test_spans_of_the_sdk_are_encoded_too() -> None:
    kept = Kept()
    provider = TracerProvider(shutdown_on_exit=False, span_limits=SpanLimits(max_attributes=3))
    provider.add_span_processor(kept)
    provider.get_tracer("other").start_span("GET /items/{id}", Context(), SpanKind.SERVER, attributes=ATTRIBUTES).end()
    request = ExportTraceServiceRequest.FromString(encode(kept.spans))
    assert request == expected(kept.spans)
    assert request.resource_spans[0].scope_spans[0].spans[0].dropped_attributes_count == len(ATTRIBUTES) - 3


def test_services_and_tracers_are_kept_apart() -> None:
    mixed = [*spans(plain), *spans(with_events), *spans(plain)]
    parts = ExportTraceServiceRequest.FromString(encode(mixed)).resource_spans
    assert [len(part.scope_spans[0].spans) for part in parts] == [1, 1, 1]
    assert encode([]) == b""


def test_it_takes_less_than_half_the_time() -> None:
    def many(tracer: Tracer) -> None:
        for number in range(300):
            span = tracer.start("GET /items/{id}", SpanKind.SERVER, None, ATTRIBUTES)
            span.set_attribute("request.id", f"{number:032x}")
            span.end()

    ended = spans(many)

    def seconds(act: Callable[[], object]) -> float:
        times = []
        for _ in range(5):
            start = time.thread_time()
            act()
            times.append(time.thread_time() - start)
        return min(times)

    assert seconds(lambda: encode(ended)) < seconds(lambda: encode_spans(ended).SerializeToString()) / 2

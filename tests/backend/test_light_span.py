"""Our spans are the SDK's in all that is exported of them."""

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace import set_span_in_context as within

from app.core.light_span import Tracer

RESOURCE, SCOPE = Resource({"service.name": "test"}), InstrumentationScope("specola", "1")
PARENT = SpanContext(2**127, 2**63, True, TraceFlags(TraceFlags.SAMPLED))
ATTRIBUTES = {"text": "a", "number": 7, "share": 0.5, "yes": True, "several": ("a", "b")}


@pytest.fixture
def ended() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(ended: InMemorySpanExporter) -> Tracer:
    return Tracer(RESOURCE, SCOPE, SimpleSpanProcessor(ended))


def lived(span: Span) -> None:
    """All that can happen to a span."""
    span.update_name("renamed")
    span.set_attribute("text", "b")
    span.set_attributes({"more": 1})
    span.add_event("retry", {"wait": 1.5}, timestamp=5)
    span.set_status(StatusCode.ERROR, "it failed")
    span.end(end_time=10)


def encoded(exporter: InMemorySpanExporter) -> dict[str, Any]:
    """What is exported, without what differs by chance."""
    exported: dict[str, Any] = MessageToDict(encode_spans(exporter.get_finished_spans()))
    (span,) = exported["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for name in ("spanId", "startTimeUnixNano"):
        assert span.pop(name)
    span["attributes"].sort(key=lambda attribute: attribute["key"])
    return exported


def test_it_is_exported_as_the_sdks_own_is(tracer: Tracer, ended: InMemorySpanExporter) -> None:
    theirs = InMemorySpanExporter()
    provider = TracerProvider(ALWAYS_ON, RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(theirs))
    parent = within(NonRecordingSpan(PARENT))
    lived(provider.get_tracer("specola", "1").start_span("x", parent, SpanKind.CLIENT, ATTRIBUTES, [Link(PARENT)]))
    lived(tracer.start("x", SpanKind.CLIENT, PARENT, ATTRIBUTES, [Link(PARENT)]))
    assert encoded(ended) == encoded(theirs)


def test_a_span_without_a_parent_begins_a_trace(tracer: Tracer) -> None:
    first, second = (tracer.start("x", SpanKind.SERVER) for _ in range(2))
    assert first.parent is None
    assert first.get_span_context().is_valid
    assert first.get_span_context().trace_flags.sampled
    assert first.get_span_context().trace_id != second.get_span_context().trace_id


def test_spans_share_no_attributes(tracer: Tracer) -> None:
    first, second = (tracer.start("x", SpanKind.CLIENT, None, ATTRIBUTES) for _ in range(2))
    first.set_attribute("error.type", "only here")
    assert "error.type" not in (second.attributes or {})
    assert "error.type" not in ATTRIBUTES


def test_a_span_ends_once(tracer: Tracer, ended: InMemorySpanExporter) -> None:
    span = tracer.start("x", SpanKind.CLIENT)
    assert span.is_recording()
    span.end()
    span.end()
    assert not span.is_recording()
    assert len(ended.get_finished_spans()) == 1

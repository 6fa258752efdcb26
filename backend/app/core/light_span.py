"""A span at a third of what the SDK's own costs.

The SDK's tracer asks a sampler, locks, copies and checks each attribute, and copies the whole span when it ends, for
users of whom it knows nothing. Here the decision to trace has been taken, one task writes a span, and its attributes
are of known types. What comes out is the SDK's `ReadableSpan`, so that its encoder, processors and exporters take it.
"""

import re
import traceback
from collections.abc import Mapping, Sequence
from time import time_ns

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import Attributes, AttributeValue

from app.core.redaction import redact_text

#: Of an exception's message in a span (characters).
MESSAGE_CHARS = 300
#: Of an exception's stack in a span: the innermost ones.
FRAMES = 15

_UNSET, _SAMPLED = Status(StatusCode.UNSET), TraceFlags(TraceFlags.SAMPLED)
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")
_ids = RandomIdGenerator()


class Tracer:
    """Makes spans of one service, and hands them on when they end."""

    def __init__(self, resource: Resource, scope: InstrumentationScope, processor: SpanProcessor) -> None:
        self.resource, self.scope, self.processor = resource, scope, processor

    def start(
        self,
        name: str,
        kind: SpanKind,
        parent: SpanContext | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
        links: Sequence[Link] = (),
    ) -> "LightSpan":
        """A span that is traced: in its parent's trace, or in one of its own."""
        if parent is None:
            context = SpanContext(_ids.generate_trace_id(), _ids.generate_span_id(), False, _SAMPLED)
        else:
            context = SpanContext(parent.trace_id, _ids.generate_span_id(), False, _SAMPLED, parent.trace_state)
        return LightSpan(self, name, kind, context, parent, dict(attributes or ()), links)


class LightSpan(ReadableSpan, Span):
    """One span. It is written by one task, and by nobody once it has ended."""

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        kind: SpanKind,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: dict[str, AttributeValue],
        links: Sequence[Link],
    ) -> None:
        super().__init__(
            name, context, parent, tracer.resource, attributes, (), links, kind, None, _UNSET, time_ns(), None,
            tracer.scope,
        )  # fmt: skip
        self._processor, self._written, self._noted = tracer.processor, attributes, list[Event]()

    def end(self, end_time: int | None = None) -> None:
        """Hands the span on. A second time changes nothing."""
        if self._end_time is None:
            self._end_time = end_time or time_ns()
            self._events = self._noted
            self._processor.on_end(self)

    def get_span_context(self) -> SpanContext:
        """Its ids."""
        assert self._context is not None
        return self._context

    def is_recording(self) -> bool:
        """Whether it has not ended."""
        return self._end_time is None

    def update_name(self, name: str) -> None:
        """Renames it."""
        self._name = name

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Sets one attribute."""
        self._written[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Sets several attributes."""
        self._written.update(attributes)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Notes what happened meanwhile."""
        self._noted.append(Event(name, attributes, timestamp))

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """How it went."""
        self._status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Notes an exception: its type, its message without anything private, no local variables."""
        kind = type(exception)
        event: dict[str, AttributeValue] = {
            "exception.type": f"{kind.__module__}.{kind.__qualname__}",
            "exception.message": message_of(exception),
            **(attributes or {}),
        }
        if not is_own(exception):
            event["exception.stacktrace"] = "".join(traceback.format_tb(exception.__traceback__, -FRAMES))
        self.add_event("exception", event, timestamp)


def is_own(error: BaseException) -> bool:
    """Whether an exception is of this application, which expects it and words it."""
    return type(error).__module__.startswith("app.")


def message_of(error: BaseException) -> str:
    """An exception's message without what it may hold of a request or a document.

    Our own hold none, unless their class says so. Others quote what they choke on, which may be a user's text.
    """
    if getattr(error, "quotes_content", False):
        return ""
    return redact_text(str(error) if is_own(error) else _QUOTED.sub("'…'", str(error)))[:MESSAGE_CHARS]

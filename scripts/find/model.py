"""What a story is made of: lines, spans and exemplars, whichever store they come from."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: A line or span that failed, recognised before anything is parsed: by level, or by an HTTP status of 500 and more.
FAILED_PATTERN = r'"level": ?"(error|critical)"|"status": ?5[0-9][0-9]'
#: Fields that stand in a line's own columns or in the story's head.
_APART = {"timestamp", "level", "logger", "event", "service", "version", "environment", "exception"}
_APART |= {"request_id", "trace_id", "span_id", "user_id"}
_TRACE_ID = re.compile(r"[0-9a-f]{32}")


class SourceError(Exception):
    """A store does not answer, or not with what was asked; the message says which store and why."""


@dataclass(frozen=True)
class Line:
    """One log line. `time` is in Unix seconds; `values` is the line as it was written."""

    time: float
    level: str
    logger: str
    event: str
    service: str
    request_id: str
    trace_id: str
    values: Mapping[str, Any] = field(repr=False)

    @property
    def is_access(self) -> bool:
        """Whether this is the line that sums a request up."""
        return self.logger == "access"

    @property
    def failed(self) -> bool:
        """Whether it tells of a failure: level error or worse, or a status of 500 and more."""
        status = self.values.get("status")
        return self.level in ("error", "critical") or (isinstance(status, int) and status >= 500)

    @property
    def fields(self) -> dict[str, Any]:
        """The event's own fields."""
        return {name: value for name, value in self.values.items() if name not in _APART}

    @property
    def exceptions(self) -> list[dict[str, Any]]:
        """The exception with its causes, each with its frames."""
        found = self.values.get("exception")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def parse_line(text: bytes | str) -> Line | None:
    """A line of ours; None for what is not one (half-written, or no JSON object with a time)."""
    try:
        values = json.loads(text)
        time = datetime.fromisoformat(values["timestamp"]).timestamp()
    except (ValueError, TypeError, KeyError):
        return None
    named = {name: str(values.get(name, "")) for name in ("level", "logger", "event", "service")}
    return Line(
        time=time,
        request_id=str(values.get("request_id", "")),
        trace_id=str(values.get("trace_id", "")),
        values=values,
        **named,
    )


@dataclass(frozen=True)
class Span:
    """One span. Times are in Unix seconds; `error` is "" for one that did not fail."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    kind: str
    start: float
    end: float
    error: str
    attributes: Mapping[str, Any]
    links: tuple[str, ...]  # trace ids

    @property
    def request_id(self) -> str:
        """The request that it serves or follows from; "" in spans inside of one."""
        return str(self.attributes.get("request.id", ""))


@dataclass(frozen=True)
class Exemplar:
    """A measurement that names a trace: `value` is in the metric's unit, `time` in Unix seconds."""

    metric: str
    labels: Mapping[str, str]
    trace_id: str
    value: float
    time: float


def parse_spans(export: Mapping[str, Any]) -> list[Span]:
    """The spans of one OTLP-JSON message: a file's line, or Tempo's answer.

    Raises ValueError, KeyError, TypeError or AttributeError for what is not one.
    """
    spans = []
    for resource in export.get("resourceSpans", ()):
        service = str(_attributes(resource.get("resource", {})).get("service.name", ""))
        for scope in resource.get("scopeSpans", ()):
            spans += [_span(span, service) for span in scope.get("spans", ())]
    return spans


def _span(span: Mapping[str, Any], service: str) -> Span:
    start = int(span["startTimeUnixNano"]) / 1e9
    return Span(
        trace_id=_identity(span["traceId"]),
        span_id=_identity(span["spanId"]),
        parent_id=_identity(span.get("parentSpanId", "")),
        name=str(span["name"]),
        service=service,
        kind=_kind(span.get("kind", 0)),
        start=start,
        end=int(span.get("endTimeUnixNano") or span["startTimeUnixNano"]) / 1e9,
        error=_error(span),
        attributes=_attributes(span),
        links=tuple(_identity(link["traceId"]) for link in span.get("links", ())),
    )


def _identity(text: str) -> str:
    """An id in hexadecimal: files have it so, Tempo writes base64."""
    if re.fullmatch(r"([0-9a-f]{16}|[0-9a-f]{32})?", text):
        return text
    return base64.b64decode(text).hex()


_KINDS = ("", "internal", "server", "client", "producer", "consumer")


def _kind(kind: int | str) -> str:
    if isinstance(kind, int):
        return _KINDS[kind] if kind < len(_KINDS) else ""
    return kind.removeprefix("SPAN_KIND_").lower()


def _error(span: Mapping[str, Any]) -> str:
    """What failed, in the words of the exception if there was one."""
    status = span.get("status", {})
    if status.get("code") not in (2, "STATUS_CODE_ERROR"):
        return ""
    for event in span.get("events", ()):
        if event.get("name") == "exception":
            told = _attributes(event)
            return f"{told.get('exception.type', 'exception')}: {told.get('exception.message', '')}".rstrip(": ")
    return str(status.get("message") or _attributes(span).get("error.type") or "failed")


def _attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {one["key"]: _value(one["value"]) for one in holder.get("attributes", ())}


def _value(value: Mapping[str, Any]) -> Any:
    if "intValue" in value:
        return int(value["intValue"])
    if "arrayValue" in value:
        return [_value(one) for one in value["arrayValue"].get("values", ())]
    return next(iter(value.values()), "")


def is_trace_id(text: str) -> bool:
    """Whether it has the form of a trace id. A request id may have it too."""
    return _TRACE_ID.fullmatch(text.lower()) is not None


def unique(spans: Iterable[Span]) -> list[Span]:
    """Each span once, by its start: an export that was tried again may have brought it twice."""
    return sorted({(span.trace_id, span.span_id): span for span in spans}.values(), key=lambda span: span.start)

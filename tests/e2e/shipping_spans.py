"""Spans as the backend sends them, in OTLP's JSON."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

INTERNAL, SERVER, CLIENT = 1, 2, 3
MILLISECOND = 1_000_000


@dataclass(frozen=True)
class Span:
    """One span; ids in hex, the duration in milliseconds."""

    name: str
    kind: int = INTERNAL
    service: str = "backend"
    trace: str = field(default_factory=lambda: secrets.token_hex(16))
    parent: str = ""
    duration: int = 20
    attributes: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: secrets.token_hex(8))


def send(url: str, *spans: Span) -> None:
    """Sends spans that end now to an OTLP/HTTP receiver."""
    request = {"resourceSpans": [_resource(service, spans) for service in sorted({span.service for span in spans})]}
    httpx.post(f"{url}/v1/traces", json=request, timeout=10).raise_for_status()


def _resource(service: str, spans: tuple[Span, ...]) -> dict[str, Any]:
    attributes = {"service.name": service, "service.instance.id": "host-1", "deployment.environment.name": "test"}
    own = [_span(span) for span in spans if span.service == service]
    return {"resource": {"attributes": _attributes(attributes)}, "scopeSpans": [{"scope": {}, "spans": own}]}


def _span(span: Span) -> dict[str, Any]:
    end = time.time_ns()
    return {
        "traceId": span.trace,
        "spanId": span.id,
        **({"parentSpanId": span.parent} if span.parent else {}),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(end - span.duration * MILLISECOND),
        "endTimeUnixNano": str(end),
        "attributes": _attributes(span.attributes),
        "status": {},
    }


def _attributes(values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]

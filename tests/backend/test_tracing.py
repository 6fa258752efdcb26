"""The server span of a request, and which requests are traced, under a real server."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import Message, Scope

from app.core.config import Settings
from app.core.spans import in_job
from app.core.tracing import close_tracing, configure_tracing, current_traceparent, outgoing_headers
from app.services.extraction import RejectedDocument
from tests.backend.conftest import make_settings, served, until
from tests.backend.test_middleware import hang_up, instrumented

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    app = instrumented(make_settings(tmp_path_factory.mktemp("app")))

    @app.get("/outgoing")
    async def outgoing() -> dict[str, str]:
        return outgoing_headers()

    @app.get("/health/live")
    async def live() -> str:
        return current_traceparent()

    with served(app) as address:
        yield address


def scope_of(path: str) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [],
    }


def the_only(spans: InMemorySpanExporter) -> ReadableSpan:
    """The one span that ended, once it has."""
    (span,) = until(spans.get_finished_spans, "the span ends")
    return span


def trace_with(ratio: float) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    configure_tracing(Settings(otel_traces_sampler_arg=ratio), SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    close_tracing()


def test_switched_off_nothing_is_traced_and_no_trace_is_passed_on(address: str) -> None:
    exporter = InMemorySpanExporter()
    configure_tracing(Settings(otel_sdk_disabled=True), SimpleSpanProcessor(exporter))
    assert httpx.get(f"{address}/outgoing").json() == {}
    assert exporter.get_finished_spans() == ()


def test_a_request_is_one_server_span_by_the_conventions_for_http(address: str, spans: InMemorySpanExporter) -> None:
    httpx.get(f"{address}/api/v1/items/alice?mail=alice@example.org", headers={"X-Request-ID": "find-me"})
    span = the_only(spans)
    assert (span.name, span.kind, span.parent) == ("GET /api/v1/items/{item}", SpanKind.SERVER, None)
    assert span.attributes == {
        "request.id": "find-me",
        "http.request.method": "GET",
        "http.route": "/api/v1/items/{item}",
        "http.response.status_code": 200,
        "url.path": "/api/v1/items/{item}",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": int(address.rpartition(":")[2]),
    }
    assert span.status.status_code is StatusCode.UNSET
    assert span.events == ()
    assert "alice" not in span.to_json()


def test_the_resource_says_who_made_the_span(address: str) -> None:
    exporter = InMemorySpanExporter()
    configure_tracing(Settings(service_name="alert-inbox", environment="staging"), SimpleSpanProcessor(exporter))
    httpx.get(address + "/api/v1/items/1")
    resource = the_only(exporter).resource.attributes
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("alert-inbox", "staging")
    assert resource["service.version"]
    assert resource["service.instance.id"]


@pytest.mark.parametrize(
    ("method", "path", "name", "route"),
    [
        ("GET", "/nothing/alice", "GET", None),  # no route, and so none in the name
        ("PROPFIND", "/api/v1/items/7", "HTTP /api/v1/items/{item}", "/api/v1/items/{item}"),
        ("GET", "/mounted/inside/7", "GET /mounted/inside/{part}", "/mounted/inside/{part}"),
    ],
)
def test_nothing_of_a_path_or_of_a_strange_method_is_in_a_span(
    address: str, spans: InMemorySpanExporter, method: str, path: str, name: str, route: str | None
) -> None:
    httpx.request(method, address + path)
    span = the_only(spans)
    attributes = span.attributes or {}
    assert (span.name, attributes.get("http.route")) == (name, route)
    assert attributes["url.path"] == (route or "unmatched")
    assert not re.search("alice|PROPFIND", span.to_json())
    assert span.status.status_code is StatusCode.UNSET, "what the client did wrong is no error of the server"


def test_an_unexpected_error_is_an_event_without_what_it_quotes(address: str, spans: InMemorySpanExporter) -> None:
    httpx.get(address + "/broken")
    span = the_only(spans)
    (event,) = span.events
    attributes = event.attributes or {}
    assert event.name == "exception"
    assert attributes["exception.type"] == "builtins.RuntimeError"
    assert "in broken" in str(attributes["exception.stacktrace"]), "the innermost frame is there"
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "RuntimeError"
    assert (span.attributes or {})["http.response.status_code"] == 500


@pytest.mark.parametrize(
    ("message", "stored"),
    [
        ("invalid literal: 'my private question'", "invalid literal: '…'"),
        ('no "Alice" in `the document`', "no '…' in '…'"),
        ("mail alice@example.org", "mail [redacted:email]"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_a_message_is_redacted_unquoted_and_short(spans: InMemorySpanExporter, message: str, stored: str) -> None:
    with contextlib.suppress(ValueError), in_job("work", "id", ""):
        raise ValueError(message)
    span = the_only(spans)
    assert (span.events[0].attributes or {})["exception.message"] == stored
    assert span.status.description == stored


def test_a_place_in_a_document_is_not_repeated(spans: InMemorySpanExporter) -> None:
    with contextlib.suppress(RejectedDocument), in_job("work", "id", ""):
        raise RejectedDocument("too_long", 'more than 6,000 pieces (reached under "My diagnosis")')
    span = the_only(spans)
    assert "diagnosis" not in span.to_json()
    assert (span.attributes or {})["error.type"] == "too_long"


async def test_a_connection_that_breaks_while_it_is_written_to_is_no_error_of_the_server(
    spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        raise OSError("the client is gone")

    await instrumented(make_settings(tmp_path))(scope_of("/stream"), receive, send)
    span = the_only(spans)
    assert (span.attributes or {})["http.response.status_code"] == 499
    assert (span.status.status_code, span.events) == (StatusCode.UNSET, ())


async def test_nothing_is_current_once_a_request_is_over(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    transport = httpx.ASGITransport(app=instrumented(make_settings(tmp_path)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await client.get("/api/v1/items/1")
        assert current_traceparent() == ""
        await client.get("/api/v1/items/1")
    assert [span.parent for span in spans.get_finished_spans()] == [None, None]


def test_a_client_that_went_away_is_a_499_and_no_error(address: str, spans: InMemorySpanExporter) -> None:
    hang_up(address, "/stream", after_bytes=True)
    span = the_only(spans)
    assert (span.attributes or {})["http.response.status_code"] == 499
    assert span.status.status_code is StatusCode.UNSET


def test_a_stream_is_one_span_as_long_as_the_stream(address: str, spans: InMemorySpanExporter) -> None:
    assert httpx.get(address + "/stream").text == "firstlast"
    span = the_only(spans)
    assert ((span.end_time or 0) - (span.start_time or 0)) / 1e9 >= 0.3


@pytest.mark.parametrize("headers", [{}, {"traceparent": f"{CALLER}-01"}])
@pytest.mark.parametrize("path", ["/health/live", "/metrics", "/health"])
def test_probes_are_not_traced_even_when_the_caller_is(
    address: str, spans: InMemorySpanExporter, path: str, headers: dict[str, str]
) -> None:
    answer = httpx.get(address + path, headers=headers)
    assert CALLER[3:35] not in answer.text
    httpx.get(address + "/api/v1/items/1")
    assert the_only(spans).name == "GET /api/v1/items/{item}"


def test_the_callers_trace_is_continued_and_its_state_passed_on(address: str, spans: InMemorySpanExporter) -> None:
    given = {"traceparent": f"{CALLER}-01", "tracestate": "vendor=opaque,other=1", "baggage": "user=alice"}
    sent = httpx.get(address + "/outgoing", headers=given).json()
    span = the_only(spans)
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == CALLER[36:]
    assert span.parent.is_remote
    assert span.context is not None
    assert format(span.context.trace_id, "032x") == CALLER[3:35]
    # Exactly this: baggage from outside is neither trusted nor forwarded.
    assert sent == {
        "traceparent": f"{CALLER[:35]}-{span.context.span_id:016x}-01",
        "tracestate": "vendor=opaque,other=1",
    }


@pytest.mark.parametrize(
    "given",
    [
        [f"{CALLER}"],
        ["00-00000000000000000000000000000000-b7ad6b7169203331-01"],
        ["00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"],
        ["ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        [f"{CALLER}-01-extra"],
        ["x" * 600],
        [f"{CALLER}-01", f"{CALLER}-01"],  # two of them: whom to believe?
    ],
)
def test_a_traceparent_that_is_not_valid_is_ignored(
    address: str, spans: InMemorySpanExporter, given: list[str]
) -> None:
    httpx.get(address + "/outgoing", headers=[("traceparent", one) for one in given] + [("tracestate", "a=b")])
    span = the_only(spans)
    assert span.parent is None
    assert span.context is not None
    assert not span.context.trace_state


@pytest.mark.parametrize(
    ("ratio", "flags", "traced"),
    [(1.0, "01", True), (0.0, "01", True), (1.0, "00", False), (0.0, "00", False), (1.0, "03", True)],
)
def test_the_callers_decision_holds_whatever_the_ratio(address: str, ratio: float, flags: str, traced: bool) -> None:
    spans = trace_with(ratio)
    sent = httpx.get(address + "/outgoing", headers={"traceparent": f"{CALLER}-{flags}"}).json()["traceparent"]
    assert sent.startswith(CALLER[:35])
    assert int(sent[-2:], 16) & 1 == traced, "and it is passed on"
    assert sent[36:52] != CALLER[36:], "as of our own span, traced or not"
    httpx.get(address + "/outgoing", headers={"traceparent": f"{CALLER}-01"})
    until(lambda: len(spans.get_finished_spans()) == 1 + traced, "as many spans as were to be traced")


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.0, 0, 0), (1.0, 100, 100), (0.3, 10, 55)])
async def test_the_ratio_decides_where_no_caller_did(address: str, ratio: float, least: int, most: int) -> None:
    spans = trace_with(ratio)
    async with httpx.AsyncClient(base_url=address) as client:
        sent = [(await client.get("/outgoing")).json()["traceparent"] for _ in range(100)]
    assert len({one[3:35] for one in sent}) == 100, "each has a trace of its own, traced or not"
    flagged = [one for one in sent if int(one[-2:], 16) & 1]
    assert least <= len(flagged) <= most
    until(lambda: len(spans.get_finished_spans()) == len(flagged), "what is flagged is traced")


def test_a_request_id_with_the_form_of_personal_data_is_replaced(address: str, spans: InMemorySpanExporter) -> None:
    answer = httpx.get(address + "/api/v1/items/1", headers={"X-Request-ID": "4111111111111111"})
    made = answer.headers["x-request-id"]
    assert made != "4111111111111111"
    assert (the_only(spans).attributes or {})["request.id"] == made


def test_without_tracing_a_request_is_served_and_has_no_trace(address: str) -> None:
    close_tracing()
    assert json.loads(httpx.get(address + "/outgoing").text) == {}

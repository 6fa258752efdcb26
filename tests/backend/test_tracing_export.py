"""Where spans go: to Tempo, or to a file. Neither's absence makes a request wait, and what is lost is counted."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider

from app.core import span_export
from app.core.config import Settings
from app.core.span_export import SpanQueue, Tempo
from app.core.tracing import FLUSH_SECONDS, close_tracing, configure_tracing
from app.services.metrics_service import metrics
from tests.backend.conftest import make_settings, until
from tests.backend.test_middleware import instrumented

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(span_export, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(span_export, "MAX_PAUSE_SECONDS", 0.05)
    yield
    close_tracing()


class FakeTempo(HTTPServer):
    """Answers OTLP over HTTP with the next of `answers`, then always with 200; keeps what it took."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[ExportTraceServiceRequest] = []
        self.taken: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeTempo

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = self.server.answers.pop(0) if self.server.answers else (200, b"")
        request = ExportTraceServiceRequest.FromString(body)
        if (self.path, self.headers["Content-Type"]) != ("/v1/traces", "application/x-protobuf"):
            status = 404
        self.server.asked.append(request)
        if status == 200:
            self.server.taken += [s.name for r in request.resource_spans for c in r.scope_spans for s in c.spans]
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def tempo() -> Iterator[FakeTempo]:
    server = FakeTempo()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def nobody() -> str:
    """An address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def count(name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def make_spans(queue: SpanQueue, *names: str) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    for name in names:
        provider.get_tracer("test").start_span(name).end()


def events(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    return [str(line["event"]) for line in lines if "spans" in line["event"]]


async def requests(settings: Settings, number: int, **headers: str) -> float:
    """Seconds that so many traced requests take, to the app that these settings make."""
    transport = httpx.ASGITransport(app=instrumented(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        start = time.perf_counter()
        for _ in range(number):
            assert (await client.get("/api/v1/items/1", headers=headers)).status_code == 200
        return time.perf_counter() - start


def test_the_counters_are_there_before_anything_happens() -> None:
    text = [line for family in metrics.registry.collect() for line in family.samples]
    reasons = {one.labels["reason"] for one in text if one.name == "trace_spans_dropped_total"}
    assert reasons == {"queue_full", "refused", "shutdown"}
    assert any(one.name == "trace_spans_exported_total" for one in text)


async def test_without_an_endpoint_spans_are_lines_of_otlp_json(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, service_name="backend")
    configure_tracing(settings)
    await requests(settings, 1, traceparent=f"{CALLER}-01", tracestate="vendor=alice@example.org")
    close_tracing()
    link = settings.log_dir / "traces.jsonl"
    assert link.is_symlink()
    (line,) = link.read_text().splitlines()
    (resource,) = json.loads(line)["resourceSpans"]
    names = {one["key"]: one["value"] for one in resource["resource"]["attributes"]}
    assert names["service.name"] == {"stringValue": "backend"}
    (span,) = resource["scopeSpans"][0]["spans"]
    assert (span["traceId"], span["parentSpanId"]) == (CALLER[3:35], CALLER[36:])
    assert len(bytes.fromhex(span["spanId"])) == 8
    assert (span["name"], span["kind"]) == ("GET /api/v1/items/{item}", 2)
    assert int(span["endTimeUnixNano"]) > int(span["startTimeUnixNano"]) > 1.7e18
    assert "alice" not in line, "a caller's tracestate is passed on, and stored nowhere"


async def test_files_are_rotated_and_the_newest_is_linked(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, log_max_bytes=1, log_files=2)
    configure_tracing(settings)
    for _ in range(4):
        before = count("trace_spans_exported_total")
        await requests(settings, 1)
        until(lambda before=before: count("trace_spans_exported_total") > before, "the span is written")
    files = sorted(settings.log_dir.glob("traces.2*.jsonl"))
    assert len(files) == 2
    assert (settings.log_dir / "traces.jsonl").resolve() == files[-1].resolve()


async def test_spans_wait_for_a_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = make_settings(tmp_path)
    settings.log_dir.write_text("a file in the folder's place")
    configure_tracing(settings)
    await requests(settings, 3)
    await asyncio.sleep(0.3)
    settings.log_dir.unlink()
    link = settings.log_dir / "traces.jsonl"
    until(link.exists, "the file is written")
    close_tracing()
    assert link.read_text().count('"name":"GET /api/v1/items/{item}"') == 3, "none lost, none twice"
    assert events(capsys) == ["spans cannot be sent", "spans can be sent again"]


async def test_with_an_endpoint_spans_go_to_tempo_and_no_file_is_made(tmp_path: Path, tempo: FakeTempo) -> None:
    settings = make_settings(tmp_path, otel_exporter_otlp_endpoint=f"{tempo.url}/")
    before = count("trace_spans_exported_total")
    configure_tracing(settings)
    await requests(settings, 3, traceparent=f"{CALLER}-01", tracestate="vendor=alice")
    until(lambda: len(tempo.taken) == 3, "the spans arrive")
    until(lambda: count("trace_spans_exported_total") == before + 3, "they are counted")
    assert not settings.log_dir.exists()
    (span, *_) = tempo.asked[0].resource_spans[0].scope_spans[0].spans
    assert (span.trace_id.hex(), span.trace_state) == (CALLER[3:35], "")


def test_what_waits_at_the_end_is_sent(tempo: FakeTempo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_export, "PAUSE_SECONDS", 60)
    queue = SpanQueue(Tempo(tempo.url))
    make_spans(queue, *("one" for _ in range(span_export.BATCH_SPANS + 1)))
    queue.close(FLUSH_SECONDS)
    assert len(tempo.taken) == span_export.BATCH_SPANS + 1
    assert len(tempo.asked) == 2, "in batches"


@pytest.mark.quiet
def test_spans_survive_an_outage_that_is_told_of_once(tempo: FakeTempo, capsys: pytest.CaptureFixture[str]) -> None:
    tempo.answers = [(503, b""), (429, b""), (503, b"")]
    queue = SpanQueue(Tempo(tempo.url))
    make_spans(queue, "first", "second")
    until(lambda: tempo.taken, "the spans arrive")
    queue.close(FLUSH_SECONDS)
    assert tempo.taken == ["first", "second"]
    assert events(capsys) == ["spans cannot be sent", "spans can be sent again"]


def test_spans_that_tempo_refuses_are_counted_and_not_sent_again(tempo: FakeTempo) -> None:
    some_refused = ExportTraceServiceResponse()
    some_refused.partial_success.rejected_spans = 1
    tempo.answers = [(400, b""), (200, some_refused.SerializeToString())]
    refused, exported = count("trace_spans_dropped_total", reason="refused"), count("trace_spans_exported_total")
    queue = SpanQueue(Tempo(tempo.url))
    make_spans(queue, "refused")
    until(lambda: tempo.asked, "Tempo is asked")
    make_spans(queue, "refused", "taken")
    until(lambda: len(tempo.asked) == 2, "Tempo is asked again")
    queue.close(FLUSH_SECONDS)
    assert count("trace_spans_dropped_total", reason="refused") == refused + 2
    assert count("trace_spans_exported_total") == exported + 1


@pytest.mark.quiet
@pytest.mark.parametrize("place", ["nobody", "black_hole"])
async def test_tempo_out_of_reach_costs_neither_time_nor_memory(
    tmp_path: Path,
    place: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(span_export, "BATCH_SPANS", 10)
    monkeypatch.setattr(span_export, "SEND_SECONDS", 2.0)
    settings = make_settings(tmp_path, otel_exporter_otlp_endpoint=request.getfixturevalue(place))
    queue = SpanQueue(Tempo(settings.otel_exporter_otlp_endpoint), limit=50)
    configure_tracing(settings, queue)
    full, lost = (count("trace_spans_dropped_total", reason=reason) for reason in ("queue_full", "shutdown"))
    assert await requests(settings, 200) < span_export.SEND_SECONDS / 2
    assert len(queue._spans) <= 50 + span_export.BATCH_SPANS
    dropped = count("trace_spans_dropped_total", reason="queue_full") - full
    assert 200 - 50 - 2 * span_export.BATCH_SPANS <= dropped <= 150
    start = time.perf_counter()
    queue.close(0.3)
    assert time.perf_counter() - start < 1
    kept = count("trace_spans_dropped_total", reason="shutdown") - lost
    assert dropped + kept >= 200 - span_export.BATCH_SPANS, "all but those that were being sent are accounted for"
    queue._thread.join()
    said = [event for event in events(capsys) if event != "spans were lost at the end"]
    assert said == ["spans cannot be sent"], "once, however many batches"


@pytest.mark.quiet
def test_a_destination_that_breaks_does_not_end_the_export(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        sent = 0

        def send(self, spans: Any) -> int:
            self.sent += 1
            if self.sent == 1:
                raise RuntimeError("broken")
            return 0

        def close(self) -> None:
            pass

    destination = Broken()
    queue = SpanQueue(destination)
    make_spans(queue, "lost")
    until(lambda: destination.sent == 1, "the first is tried")
    make_spans(queue, "sent")
    until(lambda: destination.sent == 2, "the export goes on")
    queue.close(FLUSH_SECONDS)
    assert events(capsys) == ["spans cannot be sent", "spans can be sent again"]


def test_a_span_that_ends_after_the_end_is_counted(tempo: FakeTempo) -> None:
    lost = count("trace_spans_dropped_total", reason="shutdown")
    queue = SpanQueue(Tempo(tempo.url))
    queue.close(FLUSH_SECONDS)
    make_spans(queue, "late")
    assert count("trace_spans_dropped_total", reason="shutdown") == lost + 1

"""The real program: its last spans are not lost when it ends, and an absent Tempo does not keep it."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.backend_process import BackendProcess
from tests.backend.conftest import sample


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[list[BackendProcess]]:
    programs: list[BackendProcess] = []
    yield programs
    for program in programs:
        program.stop()


def start(programs: list[BackendProcess], folder: Path, **environment: str) -> BackendProcess:
    program = BackendProcess(folder, **environment)
    programs.append(program)
    program.start()
    return program


def test_the_spans_of_the_last_request_are_written_before_the_process_ends(
    programs: list[BackendProcess], tmp_path: Path
) -> None:
    program = start(programs, tmp_path)
    httpx.post(program.address + "/api/v1/chat/sessions", headers={"X-Request-ID": "the-last"})
    program.stop(signal.SIGTERM)
    (link,) = tmp_path.rglob("traces.jsonl")
    spans = [
        span
        for line in link.read_text().splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for span in resource["scopeSpans"][0]["spans"]
    ]
    assert {"insert sessions", "POST /api/v1/chat/sessions"} <= {span["name"] for span in spans}
    assert '"the-last"' in json.dumps(spans)


def test_a_tempo_out_of_reach_is_seen_in_the_metrics_and_delays_no_end(
    programs: list[BackendProcess], tmp_path: Path
) -> None:
    program = start(programs, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    for _ in range(20):
        httpx.post(program.address + "/api/v1/chat/sessions")
    text = httpx.get(program.address + "/metrics").text
    assert sample(text, "trace_spans_exported_total") == 0
    begun = time.monotonic()
    program.stop(signal.SIGTERM)
    assert time.monotonic() - begun < 10
    lines = [json.loads(line) for link in tmp_path.rglob("application.log") for line in link.read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert events.count("spans cannot be sent") == 1
    (lost,) = [line["spans"] for line in lines if line["event"] == "spans were lost at the end"]
    assert lost == 40, "20 requests, each with one operation of the database"

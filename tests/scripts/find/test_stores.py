"""Where Loki, Tempo and Prometheus run, the story comes from them."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.find.model import SourceError
from scripts.find.search import Story, add_exemplars, failures, search
from scripts.find.sources import MAX_LINES
from scripts.find.sources.files import LogFiles, TraceFiles
from scripts.find.sources.loki import Loki
from scripts.find.sources.prometheus import Prometheus
from scripts.find.sources.tempo import Tempo
from tests.scripts.find.conftest import (
    JOB_TRACE,
    NOON,
    REQUEST,
    TRACE,
    Store,
    access,
    encoded,
    line,
    loki_answer,
    span,
    tempo_answer,
)

Start = Callable[[], Store]
ROOT = span("POST /api/v1/documents", 0.0, 0.2, kind="SPAN_KIND_SERVER", attributes={"request.id": REQUEST}, identity=1)
FAILED = span(
    "insert jobs", 0.1, 0.15, identity=2, parent=1,
    status={"code": "STATUS_CODE_ERROR", "message": "locked"},
    events=[{"name": "exception", "attributes": [
        {"key": "exception.type", "value": {"stringValue": "StoreUnavailable"}},
        {"key": "exception.message", "value": {"stringValue": "locked"}},
    ]}],
)  # fmt: skip
JOB = span(
    "index document", 1.0, 3.0, trace=JOB_TRACE, identity=3, attributes={"request.id": REQUEST},
    links=[{"traceId": encoded(TRACE), "spanId": encoded(f"{1:016x}")}],
)  # fmt: skip


@pytest.fixture
def loki(serve: Start) -> Store:
    store = serve()
    lines = [access(0.2), line("indexing finished", 3.0, trace_id=JOB_TRACE)]
    store.answers["/loki/api/v1/query_range"] = loki_answer(*reversed(lines))
    return store


@pytest.fixture
def tempo(serve: Start) -> Store:
    store = serve()
    store.answers |= {
        "/api/search": {"traces": [{"traceID": JOB_TRACE}, {"traceID": TRACE.lstrip("0")}]},
        f"/api/v2/traces/{TRACE}": tempo_answer(FAILED, ROOT),
        f"/api/v2/traces/{JOB_TRACE}": tempo_answer(JOB),
    }
    return store


def story(identity: str, loki: Store, tempo: Store) -> Story:
    found = search(identity, [Loki(loki.address)], [Tempo(tempo.address)], 0.0)
    assert found is not None
    return found


def test_a_request_id_leads_to_its_lines_its_trace_and_its_job_s(loki: Store, tempo: Store) -> None:
    found = story(REQUEST, loki, tempo)
    assert [one.event for one in found.lines] == ["request", "indexing finished"]
    assert {trace: [one.name for one in spans] for trace, spans in found.traces.items()} == {
        TRACE: ["POST /api/v1/documents", "insert jobs"],
        JOB_TRACE: ["index document"],
    }
    assert found.requests == {REQUEST}
    assert (found.start, found.end) == (NOON, NOON + 3)


def test_loki_is_asked_by_structured_metadata_and_tempo_by_attribute(loki: Store, tempo: Store) -> None:
    story(REQUEST, loki, tempo)
    assert f'{{service=~".+"}} | request_id="{REQUEST}" or trace_id="{REQUEST}"' in loki.asked[0][1]["query"]
    queries = [parameters["q"] for path, parameters in tempo.asked if path == "/api/search"]
    assert queries == [f'{{ span.request.id = "{REQUEST}" }}']


def test_tempo_is_never_asked_for_less_than_its_search_takes(tempo: Store) -> None:
    Tempo(tempo.address).spans({REQUEST}, set(), time.time() - 5)
    (asked,) = (parameters for path, parameters in tempo.asked if path == "/api/search")
    assert int(asked["end"]) - int(asked["start"]) >= 120


def test_the_lines_trace_id_is_enough_where_tempo_s_search_does_not_know_it_yet(loki: Store, tempo: Store) -> None:
    tempo.answers["/api/search"] = {"traces": []}
    assert set(story(REQUEST, loki, tempo).traces) == {TRACE, JOB_TRACE}


@pytest.mark.parametrize("identity", [TRACE, TRACE.upper(), JOB_TRACE])
def test_a_trace_id_leads_to_the_same_story(loki: Store, tempo: Store, identity: str) -> None:
    loki.answers["/loki/api/v1/query_range"] = lambda parameters: (
        loki_answer(access(0.2)) if REQUEST in parameters["query"] else loki_answer()
    )
    found = story(identity, loki, tempo)
    assert found.requests == {REQUEST}
    assert set(found.traces) == {TRACE, JOB_TRACE}
    assert [one.event for one in found.lines] == ["request"]


def test_another_request_of_the_same_trace_is_left_out_of_a_request_s_lines(loki: Store, tempo: Store) -> None:
    lines = [access(0.2), access(0.3, request_id="another"), line("a library's", 0.1, request_id="")]
    loki.answers["/loki/api/v1/query_range"] = loki_answer(*lines)
    assert [one.request_id for one in story(REQUEST, loki, tempo).lines] == ["", REQUEST]


def test_a_job_s_link_leads_back_to_its_request(tempo: Store) -> None:
    tempo.answers["/api/search"] = {"traces": []}
    found = Tempo(tempo.address).spans(set(), {JOB_TRACE}, 0.0)
    assert [one.name for one in found] == ["POST /api/v1/documents", "insert jobs", "index document"]


def test_a_failed_span_says_what_failed(loki: Store, tempo: Store) -> None:
    errors = {one.name: one.error for one in story(REQUEST, loki, tempo).spans}
    assert errors == {"POST /api/v1/documents": "", "insert jobs": "StoreUnavailable: locked", "index document": ""}


def test_what_loki_keeps_that_is_no_json_is_shown_as_it_stands(loki: Store, tempo: Store) -> None:
    loki.answers["/loki/api/v1/query_range"] = loki_answer("Traceback: it fell over")
    assert [one.event for one in story(REQUEST, loki, tempo).lines] == ["Traceback: it fell over"]


def test_the_files_are_read_where_the_stores_do_not_run_or_fail(serve: Start, written: Path) -> None:
    failing = serve()
    failing.answers["/loki/api/v1/query_range"] = (500, "out of memory")
    found = search(
        "upload-1",
        [Loki(failing.address), LogFiles(written)],
        [Tempo("http://127.0.0.1:1"), TraceFiles(written)],
        0.0,
    )
    assert found is not None
    assert "log files" in found.lines_from
    assert "trace files" in found.spans_from
    assert any("answers 500: out of memory" in remark for remark in found.remarks)
    assert any("Tempo at http://127.0.0.1:1 does not run" in remark for remark in found.remarks)


def test_something_else_on_the_port_is_an_error_with_its_name(serve: Start) -> None:
    other = serve()
    other.answers["/loki/api/v1/query_range"] = "<html>"
    with pytest.raises(SourceError, match=r"Loki at .* not JSON"):
        Loki(other.address).lines({"x"}, 0.0)
    other.answers["/loki/api/v1/query_range"] = {"hello": 1}
    with pytest.raises(SourceError, match="not Loki's"):
        Loki(other.address).lines({"x"}, 0.0)


def test_lines_that_did_not_fit_are_spoken_of(loki: Store, tempo: Store) -> None:
    loki.answers["/loki/api/v1/query_range"] = loki_answer(*[line("one", 0.1)] * MAX_LINES)
    assert any("more than 5000 lines" in remark for remark in story(REQUEST, loki, tempo).remarks)


def test_the_exemplars_are_those_of_its_traces(loki: Store, tempo: Store, serve: Start) -> None:
    prometheus = serve()
    labels = {"__name__": "http_request_duration_seconds_bucket", "method": "POST", "le": "0.25"}
    exemplars = [
        {"labels": {"trace_id": trace}, "value": "0.2", "timestamp": NOON + 0.2} for trace in (TRACE, "f" * 32)
    ]
    prometheus.answers["/api/v1/query_exemplars"] = {"data": [{"seriesLabels": labels, "exemplars": exemplars}]}
    found = story(REQUEST, loki, tempo)
    add_exemplars(found, Prometheus(prometheus.address))
    assert [(one.metric, one.trace_id, one.value) for one in found.exemplars] == [
        ("http_request_duration_seconds", TRACE, 0.2)
    ]
    (asked,) = (parameters for _, parameters in prometheus.asked)
    assert float(asked["start"]) < NOON < NOON + 3 < float(asked["end"])


def test_without_prometheus_there_is_a_word_instead(loki: Store, tempo: Store) -> None:
    found = story(REQUEST, loki, tempo)
    add_exemplars(found, Prometheus("http://127.0.0.1:1"))
    assert found.remarks[-1] == "Prometheus at http://127.0.0.1:1 does not run: no exemplars"


def test_failed_requests_are_listed_once_each_the_newest_first(loki: Store) -> None:
    loki.answers["/loki/api/v1/query_range"] = loki_answer(
        access(5.0, 503, request_id="b"),
        line("request could not be served", 4.9, level="error", request_id="b", reason="away"),
        line("indexing failed", 9.0, level="critical", request_id="c"),
        access(1.0, 500, request_id="a"),
        access(2.0, 200, request_id="d"),
        line("no request at all", 9.5, level="error", request_id=""),
    )
    found = failures(Loki(loki.address).failures(0.0))
    assert [(one.request_id, one.access and one.access.fields["status"]) for one in found] == [
        ("c", None),
        ("b", 503),
        ("a", 500),
    ]
    assert found[1].error is not None
    assert found[1].error.fields["reason"] == "away"

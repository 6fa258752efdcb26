"""Without Loki and Tempo the story comes from the files, whatever else is in them."""

import json
import tracemalloc
from pathlib import Path

from scripts.find.search import Story, search
from scripts.find.sources.files import LogFiles, TraceFiles
from tests.scripts.find.conftest import JOB_TRACE, NOON, REQUEST, TRACE, encoded, line, span, tempo_answer


def story(folder: Path, identity: str) -> Story:
    found = search(identity, [LogFiles(folder)], [TraceFiles(folder)], 0.0)
    assert found is not None
    return found


def test_a_request_is_found_in_what_the_backend_wrote(written: Path) -> None:
    found = story(written, "upload-1")
    assert found.access is not None
    assert (found.access.fields["endpoint"], found.access.fields["status"]) == ("/api/v1/documents", 202)
    assert "indexing finished" in {one.event for one in found.lines}
    assert {one.request_id for one in found.lines} == {"upload-1"}
    names = [span.name for span in found.spans]
    assert "POST /api/v1/documents" in names


def test_the_job_that_follows_from_it_is_part_of_the_story(written: Path) -> None:
    found = story(written, "upload-1")
    request, job = found.traces.values()
    assert request[0].request_id == job[0].request_id == "upload-1"
    assert request[0].trace_id in job[0].links
    assert job[0].name == "index document"


def test_its_trace_id_leads_to_the_same_story_and_so_does_its_job_s(written: Path) -> None:
    whole = story(written, "upload-1")
    assert len(whole.traces) == 2
    for trace in whole.traces:
        again = story(written, trace)
        assert [(one.time, one.event) for one in again.lines] == [(one.time, one.event) for one in whole.lines]
        assert [one.span_id for one in again.spans] == [one.span_id for one in whole.spans]


def test_an_exception_comes_with_its_frames(written: Path) -> None:
    (broken,) = (one for one in story(written, "broken-1").lines if one.exceptions)
    assert broken.failed
    assert broken.exceptions[0]["exc_type"] == "InjectedFault"
    assert broken.exceptions[0]["frames"][-1]["name"] == "fail"


def test_broken_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    good = json.dumps(line("here"))
    (tmp_path / "application.1.log").write_bytes(
        good[:60].encode() + b"\n" + b'{"request_id":"req-1"}\n["req-1"]\nreq-1 \xff\xfe\n' + good.encode() + b"\n"
        + b'{"timestamp":"2026-11-24T22:00:01Z","event":"half","request_id":"req-1'
    )  # fmt: skip
    (tmp_path / "traces.1.jsonl").write_text(
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"req-1"}]}]}]}\n[\n'
    )
    logs, traces = LogFiles(tmp_path), TraceFiles(tmp_path)
    found = search("req-1", [logs], [traces], 0.0)
    assert found is not None
    assert [one.event for one in found.lines] == ["here"]
    assert logs.remarks() == ["4 broken or half-written lines were skipped"]
    assert traces.remarks() == ["1 broken or half-written lines were skipped"]


def test_rotated_files_and_the_folders_of_replicas_are_read_once_each(tmp_path: Path) -> None:
    for number, name in enumerate(("application.1.log", "a-host/application.2.log", "a-host/application.log.1")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(line(f"line {number}", number)) + "\n")
    (tmp_path / "a-host/application.log").symlink_to("application.2.log")
    assert [one.event for one in story(tmp_path, "req-1").lines] == ["line 0", "line 1", "line 2"]


def test_only_the_whole_id_counts(tmp_path: Path) -> None:
    lines = [line("mine", request_id="req-1"), line("not mine", request_id="req-10"), line("req-1", request_id="x")]
    (tmp_path / "application.1.log").write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert [one.event for one in LogFiles(tmp_path).lines({"req-1"}, 0.0)] == ["mine"]


def test_links_are_followed_from_the_request_to_what_it_left_behind(tmp_path: Path) -> None:
    root = span("POST", 0.0, 0.1, kind=2, attributes={"request.id": REQUEST})
    job = span("job", 1.0, 2.0, trace=JOB_TRACE, identity=2, links=[{"traceId": TRACE, "spanId": f"{1:016x}"}])
    inside = span("inside", 1.5, 1.6, trace=JOB_TRACE, identity=3, parent=2)
    other = span("another's", 0.0, 0.1, trace="f" * 32, identity=4)
    exports = [tempo_answer(root, other)["trace"], tempo_answer(job)["trace"], tempo_answer(inside)["trace"]]
    text = "".join(json.dumps(export) + "\n" for export in exports)
    for identity in (TRACE, JOB_TRACE):  # a file has them in hexadecimal
        text = text.replace(encoded(identity), identity)
    (tmp_path / "traces.1.jsonl").write_text(text)
    found = TraceFiles(tmp_path).spans({REQUEST}, set(), 0.0)
    assert [one.name for one in found] == ["POST", "job", "inside"]


def test_since_leaves_older_lines_out(tmp_path: Path) -> None:
    (tmp_path / "application.1.log").write_text("".join(json.dumps(line(f"at {at}", at)) + "\n" for at in (1, 5)))
    assert [one.event for one in LogFiles(tmp_path).lines({"req-1"}, NOON + 3)] == ["at 5"]


def test_a_large_file_is_not_read_into_memory(tmp_path: Path) -> None:
    other = (json.dumps(line("other", request_id="else", text="x" * 900)) + "\n").encode() * 1000
    with (tmp_path / "application.1.log").open("wb") as file:
        for _ in range(60):
            file.write(other)
        file.write(json.dumps(line("mine")).encode() + b"\n")
        file.write(b"x" * 40_000_000 + b"\n")  # a line without an end
    tracemalloc.start()
    try:
        assert [one.event for one in LogFiles(tmp_path).lines({"req-1"}, 0.0)] == ["mine"]
        assert tracemalloc.get_traced_memory()[1] < 70_000_000, "one piece of the longest line, twice, and no more"
    finally:
        tracemalloc.stop()


def test_the_reach_is_that_of_the_first_and_the_last_line(written: Path, tmp_path: Path) -> None:
    for source in (LogFiles(written), TraceFiles(written)):
        reach = source.reach()
        assert reach.oldest is not None
        assert reach.newest is not None
        assert 0 < reach.newest - reach.oldest < 60
    assert LogFiles(tmp_path).reach().newest is None

"""Reading in a process of its own: the service stays responsive, small and alive, whatever it is sent."""

import asyncio
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from app.services.extraction import (
    ExtractionUnavailable,
    Format,
    Limits,
    RejectedDocument,
    close,
    extract,
    extract_safely,
    isolation,
    validate_safely,
    worker,
)
from scripts import broken_pdfs
from scripts.pdf import assemble, pdf, stream

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")


@pytest.fixture
def fresh() -> Iterator[None]:
    """Readers that no other test has used, and that are used by no other."""
    close()
    yield
    close()


async def reading_process(other: int = 0) -> int:
    """The process that reads for `extract_safely`, once it is at work and is not `other`."""
    for _ in range(3_000):
        process = isolation._readings._process
        if isolation._readings._current and process and process.pid != other:
            return process.pid
        await asyncio.sleep(0.01)
    raise TimeoutError("no reader started within 30 s")


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def pretend_reader(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Start `program` instead of Python."""
    python = folder / "python"
    python.write_text(program)
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))


def environment_and_limits(process: int) -> tuple[str, dict[str, list[str]]]:
    limits = Path(f"/proc/{process}/limits").read_text().splitlines()
    return (
        Path(f"/proc/{process}/environ").read_text(),
        {line[:26].strip(): line[26:].split()[:2] for line in limits},
    )


def slow_pdf() -> bytes:
    return broken_pdfs.many_operators()


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (b"Plain text.", "text"),
        (b"# Heading\ntext", "markdown"),
        ("<title>T</title><p>caffè".encode(), "html"),
        (b"a,b\n1,2\n", "csv"),
        (b'{"title": "T", "s": "\\ud800"}', "json"),
        (pdf("page\n" * 100, "T"), "pdf"),
    ],
)
async def test_the_result_is_that_of_reading_here(content: bytes, format: Format, limits: Limits) -> None:
    await validate_safely(content, format, limits)
    assert await extract_safely(content, format, limits) == extract(content, format, limits)


async def test_refusals_come_back_as_they_are(limits: Limits) -> None:
    with pytest.raises(RejectedDocument, match="line 1, column 2") as caught:
        await validate_safely(b"{", "json", limits)
    assert caught.value.reason == "unreadable"
    with pytest.raises(RejectedDocument, match="encrypted") as caught:
        await extract_safely(broken_pdfs.encrypted_pdf("x", "password"), "pdf", limits)
    assert caught.value.reason == "encrypted"


async def test_one_process_reads_one_file_after_another(limits: Limits) -> None:
    await extract_safely(b"first", "text", limits)
    process = isolation._readings._process
    await asyncio.gather(*(extract_safely(b"next", "text", limits) for _ in range(20)))
    assert isolation._readings._process is process


async def test_uploads_are_checked_while_a_slow_file_is_read(limits: Limits) -> None:
    await validate_safely(b"warm", "text", limits)
    reading = asyncio.create_task(extract_safely(slow_pdf(), "pdf", Limits(seconds=1)))
    await reading_process()
    await validate_safely(b"quick", "text", limits)
    assert not reading.done()
    with pytest.raises(RejectedDocument):
        await reading


async def test_the_event_loop_goes_on_and_the_reading_ends_at_its_deadline() -> None:
    gaps = []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - before)

    ticking = asyncio.create_task(tick())
    started = time.monotonic()
    with pytest.raises(RejectedDocument, match="stopped after 1 s") as caught:
        await extract_safely(slow_pdf(), "pdf", Limits(seconds=1))
    ticking.cancel()
    assert caught.value.reason == "bomb"
    assert time.monotonic() - started < 10
    # Code that keeps the interpreter's lock would show as one gap of a second and a half.
    assert max(gaps) < 1


async def test_a_check_has_less_time_than_a_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "VALIDATION_SECONDS", 0.01)
    with pytest.raises(RejectedDocument, match=r"after 0\.01 s"):
        await validate_safely(b"[" + b"[1]," * 120_000 + b"1]", "json", Limits(seconds=60))


@linux
async def test_memory_is_refused_to_the_reader_and_not_taken_from_the_service() -> None:
    content = assemble(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
            # Its decoding takes a hundred times its size.
            stream(b"z" * 3_000_000 + b"~>", b"/Filter /ASCII85Decode"),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        ]
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RejectedDocument, match="more memory than is allowed") as caught:
        await extract_safely(content, "pdf", Limits(memory_bytes=48 * 2**20))
    assert caught.value.reason == "bomb"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
    # The limit was for that file.
    assert (await extract_safely(b"text" * 10, "text", Limits())).text == "text" * 10


async def test_a_process_that_has_grown_is_replaced(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: Limits
) -> None:
    answer = '{"title": "", "sections": [["", "text"]], "last": true}'
    pretend_reader(tmp_path, monkeypatch, f"#!/bin/sh\necho ready; read line; echo '{answer}'; cat > /dev/null\n")
    await extract_safely(b"", "text", limits)
    assert isolation._readings._process is None


async def test_a_reader_that_was_killed_while_idle_is_replaced(limits: Limits) -> None:
    await extract_safely(b"first", "text", limits)
    process = isolation._readings._process
    assert process
    process.send_signal(signal.SIGKILL)
    assert (await extract_safely(b"second", "text", limits)).text == "second"


async def test_a_file_whose_reader_is_killed_gets_a_second_try(limits: Limits) -> None:
    content = broken_pdfs.busy_pages(2)
    reading = asyncio.create_task(extract_safely(content, "pdf", Limits(seconds=60)))
    os.kill(await reading_process(), signal.SIGKILL)
    assert (await reading).sections


async def test_a_file_that_kills_its_reader_twice_is_a_bomb() -> None:
    reading = asyncio.create_task(extract_safely(slow_pdf(), "pdf", Limits(seconds=60)))
    first = await reading_process()
    os.kill(first, signal.SIGKILL)
    os.kill(await reading_process(other=first), signal.SIGKILL)
    with pytest.raises(RejectedDocument, match="died of it, twice") as caught:
        await reading
    assert caught.value.reason == "bomb"


async def test_who_no_longer_waits_ends_the_reading(limits: Limits) -> None:
    reading = asyncio.create_task(extract_safely(slow_pdf(), "pdf", Limits(seconds=60)))
    process = await reading_process()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    started = time.monotonic()
    assert (await extract_safely(b"next", "text", limits)).text == "next"
    assert time.monotonic() - started < 30
    assert not alive(process)


async def test_the_end_of_the_service_is_not_held_against_the_file(limits: Limits) -> None:
    reading = asyncio.create_task(extract_safely(slow_pdf(), "pdf", Limits(seconds=60)))
    await reading_process()
    close()
    with pytest.raises(ExtractionUnavailable, match="service is ending"):
        await reading
    assert (await extract_safely(b"again", "text", limits)).text == "again"


async def test_closing_leaves_no_process(limits: Limits) -> None:
    await extract_safely(b"text", "text", limits)
    await validate_safely(b"text", "text", limits)
    processes = [isolation._readings._process, isolation._checks._process]
    close()
    assert all(process and process.poll() is not None for process in processes)
    close()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("#!/nowhere/python\n", "No process could be started"),
        ("#!/bin/sh\necho 'first' >&2; echo 'no module named pypdf' >&2; exit 1\n", "no module named pypdf"),
        ("#!/bin/sh\nexit 1\n", "without a word"),
    ],
)
async def test_a_reader_that_does_not_start_is_the_server_s_fault(
    program: str, message: str, fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: Limits
) -> None:
    pretend_reader(tmp_path, monkeypatch, program)
    with pytest.raises(ExtractionUnavailable, match=message):
        await extract_safely(b"text", "text", limits)


async def test_nonsense_from_a_reader_is_no_answer(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: Limits
) -> None:
    pretend_reader(tmp_path, monkeypatch, "#!/bin/sh\necho ready; read line; echo '[1]'; cat > /dev/null\n")
    with pytest.raises(RejectedDocument, match="twice"):
        await extract_safely(b"text", "text", limits)


@linux
async def test_the_reader_gets_no_secret_and_no_file_to_write(
    fresh: None, monkeypatch: pytest.MonkeyPatch, limits: Limits
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret")
    await extract_safely(b"text", "text", limits)
    process = isolation._readings._process
    assert process
    environment, allowed = await asyncio.to_thread(environment_and_limits, process.pid)
    assert "very-secret" not in environment
    assert allowed["Max file size"] == ["0", "0"]
    assert allowed["Max core file size"] == ["0", "0"]


def test_the_worker_answers_each_request_until_the_pipe_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = (
        b'{"task": "validate", "format": "text", "bytes": 2, "limits": {}}\nhi'
        b'{"task": "extract", "format": "markdown", "bytes": 8, "limits": {"seconds": 3}}\n# T\ntext'
        b'{"task": "extract", "format": "text", "bytes": 0, "limits": {}}\n'
    )
    answers = BytesIO()
    monkeypatch.setattr(worker, "RETIRE_BYTES", 2**40)
    worker.serve(BytesIO(requests), answers)
    assert answers.getvalue().splitlines() == [
        b'{"last": false}',
        b'{"title": "T", "sections": [["T", "text"]], "last": false}',
        b'{"rejected": "empty", "message": "The file is empty (0 bytes); upload one with content.", "last": false}',
    ]


def test_a_worker_that_has_grown_says_that_this_was_its_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    request = b'{"task": "validate", "format": "text", "bytes": 2, "limits": {}}\nhi'
    answers = BytesIO()
    monkeypatch.setattr(worker, "RETIRE_BYTES", -(2**40))
    worker.serve(BytesIO(request * 2), answers)
    assert answers.getvalue() == b'{"last": true}\n'

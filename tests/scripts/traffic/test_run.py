"""Whole runs, as they are started, against a real server."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from scripts.local import ports
from scripts.traffic.__main__ import main
from scripts.traffic.display import Plain
from scripts.traffic.options import Options
from scripts.traffic.plan import visit
from scripts.traffic.questions import load
from scripts.traffic.run import run

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def free_port() -> int:
    return ports.free_port()


def arguments(root: Path, url: str, **more: str) -> list[str]:
    given = {"root": str(root), "questions": str(root / "questions.json"), "url": url, "wait": "0"} | more
    return [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]


def start(root: Path, url: str, monkeypatch: pytest.MonkeyPatch, **more: str) -> int:
    monkeypatch.setattr(sys, "argv", ["traffic", *arguments(root, url, **more)])
    return main()


def test_a_run_uploads_asks_rates_and_sums_up(
    root: Path, backend: Any, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(root, backend.url, monkeypatch, rate="120", seconds="3") == 0
    said = capsys.readouterr().out
    first_question = next(n for n, seen in enumerate(backend.seen) if seen[1].endswith("/messages"))
    before = [seen[1] for seen in backend.seen[:first_question]]
    assert before.count("/api/v1/documents") == 12
    assert {name.rpartition(".")[2] for name in backend.files} == {"md", "txt", "html", "csv", "json", "pdf"}
    assert "12 documents uploaded; 120 requests/s to http" in said
    assert "Right source first: " in said
    assert "12 indexed, 0 failed, 0 not seen to the end" in said
    assert "Errors: 0 of " in said
    assert "look closer" not in said
    # 360 on average, and those before and after; a busy machine skips some.
    assert 150 < len(backend.seen) < 500
    assert len({seen[2]["x-user-id"] for seen in backend.seen if "x-user-id" in seen[2]}) > 10


async def test_the_users_of_a_run_are_those_of_its_seed(root: Path, backend: Any) -> None:
    questions = load(root / "questions.json")
    options = Options(rate=40, seconds=0.5, url=backend.url, root=root, questions=root / "questions.json")
    for seed in (3, 4):
        backend.seen.clear()
        await run(replace(options, seed=seed), Plain(sys.stdout))
        users = [headers["x-user-id"] for _, path, headers, _ in backend.seen if path.endswith("/sessions")]
        planned = [visit(seed, number, questions).user for number in range(1, len(users) + 1)]
        assert len(users) > 3
        # Those who come at the same time may arrive in another order.
        assert sorted(users) == sorted(planned)


def test_load_is_bounded_and_what_is_skipped_is_said(
    root: Path, backend: Any, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.delay = 0.2
    assert start(root, backend.url, monkeypatch, rate="100", seconds="1.5", max_in_flight="4", prepare="0") == 0
    assert backend.most_in_flight <= 5
    assert "because too many were under way" in capsys.readouterr().out


def test_failures_are_named_with_their_ids(
    root: Path, backend: Any, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.instead["POST", "/api/v1/chat/sessions"] = [
        JSONResponse({"detail": "the database is down"}, 503, {"Retry-After": "1"}) for _ in range(1000)
    ]
    assert start(root, backend.url, monkeypatch, rate="20", seconds="1") == 0
    said = capsys.readouterr().out
    assert "look closer: make find ID=...):" in said
    assert "open session: 503 in place of 201: the database is down" in said
    assert backend.seen[-1][2]["x-request-id"] in said


def test_a_backend_that_is_not_there_is_named_with_what_to_do(
    root: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{free_port}"
    assert start(root, url, monkeypatch, wait="1") == 1
    written = capsys.readouterr()
    assert f"traffic: {url} did not answer within 1 s (no answer (ConnectError)" in written.err
    assert "make up" in written.err
    assert "BACKEND_URL" in written.err
    assert f"Waiting for {url} to answer" in written.out


def test_a_backend_that_is_not_ready_gets_its_traffic_all_the_same(
    root: Path, backend: Any, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.instead["GET", "/health/ready"] = [JSONResponse({"detail": "no vectors"}, 503)]
    assert start(root, backend.url, monkeypatch, rate="20", seconds="0.3") == 0
    assert "is not ready (503 in place of 200: no vectors)" in capsys.readouterr().out


def test_slow_indexing_does_not_keep_the_questions_for_ever(
    root: Path, backend: Any, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.instead["GET", "/api/v1/indexing/jobs/"] = [JSONResponse({"status": "running"})] * 10_000
    assert start(root, backend.url, monkeypatch, rate="20", seconds="0.3", prepare="0.5") == 0
    assert "Indexing took longer than 0.5 s; the questions begin all the same" in capsys.readouterr().out
    assert backend.requests("POST", "/api/v1/chat/sessions")


def test_questions_about_documents_that_are_not_there_are_left_out(
    root: Path, backend: Any, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "docs" / "cats.md").unlink()
    assert start(root, backend.url, monkeypatch, rate="20", seconds="0.3") == 0
    assert "4 questions are left out" in capsys.readouterr().out


def test_without_anything_to_ask_a_run_says_what_is_missing(
    root: Path, backend: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "questions.json").write_text("[]")
    assert start(root, backend.url, monkeypatch) == 2
    assert "none of the 0 questions" in capsys.readouterr().err


async def test_an_interrupt_ends_the_run_with_its_summary_and_closed_sessions(
    root: Path, backend: Any, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scripts.traffic.plan.CLOSED_SHARE", 1.0)

    async def interrupt() -> None:
        while not backend.sessions:  # noqa: ASYNC110 - the server runs in another thread
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    options = Options(rate=50, seconds=0, url=backend.url, root=root, questions=root / "questions.json")
    interrupting = asyncio.create_task(interrupt())
    tally = await asyncio.wait_for(run(options, Plain(sys.stdout)), 20)
    await interrupting
    said = capsys.readouterr().out
    assert "until interrupted (Ctrl-C)" in said
    assert "Interrupted" in said
    assert "Right source first: " in said
    # Of those that were being closed just then it is not known whether they are.
    unknown = tally.labels["close session"]["cut off at the end"]
    assert tally.sessions_opened == tally.sessions_closed + unknown > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_ends_cleanly_on_signals(root: Path, backend: Any, number: signal.Signals) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "scripts.traffic", *arguments(root, backend.url, seconds="0")],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    for line in program.stdout:
        if "documents uploaded" in line:
            break
    program.send_signal(number)
    said, complaints = program.communicate(timeout=20)
    assert (program.returncode, complaints) == (0, "")
    assert "Errors: 0 of " in said


def test_only_httpx_and_the_standard_library_are_needed(root: Path, backend: Any) -> None:
    """As in the backend's image: no rich, no YAML, and nothing of the backend's own."""
    program = (
        "import sys, runpy\n"
        "for name in ('rich', 'yaml', 'app'): sys.modules[name] = None\n"
        "runpy.run_module('scripts.traffic', run_name='__main__', alter_sys=True)\n"
    )
    end = subprocess.run(
        [sys.executable, "-c", program, *arguments(root, backend.url, rate="20", seconds="0.5")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (end.returncode, end.stderr) == (0, "")
    assert "Right source first" in end.stdout

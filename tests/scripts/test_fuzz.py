"""The command that sends malformed requests and broken uploads: a short run of it, and what it takes for wrong."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import scripts.fuzz.__main__ as command
from scripts.fuzz.run import SLACK_BYTES, verdict
from scripts.fuzz.senders import Outcome

MB = 1_000_000
REPOSITORY = Path(__file__).resolve().parents[2]


def test_400_requests_end_in_no_5xx_no_new_series_and_no_growth() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "scripts.fuzz", "--count", "400", "--seed", "3"],
        cwd=REPOSITORY, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    text = run.stdout
    assert run.returncode == 0, text + run.stderr
    assert text.endswith("nothing was wrong\n")
    answers = re.search(r"(\d+) answers: (.*)", text)
    assert answers, text
    assert int(answers[1]) >= 400
    # It reaches every depth, or it has stopped to be what it was made for.
    for status in (200, 202, 400, 404, 405, 415, 422):
        assert f"{status}: " in answers[2], text
    assert re.search(r"memory after each quarter: \d+, \d+, \d+, \d+ MB", text)
    # Four lines of progress.
    assert len(re.findall(r"answers, \d+/s, memory \d+ MB, failures 0", text)) == 4


def test_whatever_was_wrong_is_told_and_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", "--count", "7"])
    monkeypatch.setattr(command, "fuzz", lambda count, seed, console: [f"500 for one of {count}"])
    assert command.main() == 1
    said = capsys.readouterr().out
    assert "wrong 500 for one of 7" in said
    assert "the backend's lines under a request id tell more" in said


def test_an_interrupted_run_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> list[str]:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        return []

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "argv", ["fuzz"])
    monkeypatch.setattr(command, "fuzz", interrupted)
    try:
        assert command.main() == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "ended before it was done" in capsys.readouterr().out


def answer(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_5xx_is_a_failure_that_names_its_request() -> None:
    outcome = Outcome()
    outcome.take(answer(500, X_Request_ID="abc"), "POST /api/v1/documents, negative")
    outcome.take(answer(503), "GET /health, positive")
    outcome.take(answer(422), "an upload: no text")
    assert outcome.failures == [
        "500 for POST /api/v1/documents, negative (request id abc)",
        "503 for GET /health, positive (request id None)",
    ]
    assert outcome.count == 3


def test_shed_load_is_none() -> None:
    outcome = Outcome()
    outcome.take(answer(503, Retry_After="1"), "GET /, positive")
    assert outcome.failures == []


def test_memory_may_grow_in_the_first_half_and_not_in_the_second() -> None:
    assert verdict([], set(), [100 * MB, 300 * MB, 310 * MB, 300 * MB + SLACK_BYTES]) == []
    wrong = verdict([], set(), [300 * MB, 300 * MB, 300 * MB, 301 * MB + SLACK_BYTES])
    assert wrong == ["memory grew by 35 MB in the second half; 34 MB are allowed"]


def test_a_new_series_is_named() -> None:
    new = ("http_requests_total", 'endpoint="/etc/passwd"')
    assert verdict([], {new}, [1, 1, 1, 1]) == [f"1 new series: [{new}]"]

"""What survives: a killed process, a stopped one, a restart. The real program, as a process of its own."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.backend_process import BackendProcess
from tests.backend.conftest import until


@pytest.fixture
def program(tmp_path: Path) -> Iterator[BackendProcess]:
    program = BackendProcess(tmp_path, FAULTS_ENABLED="true", INDEXING_LEASE_SECONDS="1")
    yield program
    program.stop()


def upload(address: str, name: str, text: str) -> httpx.Response:
    return httpx.post(address + "/api/v1/documents", files={"file": (name, text.encode(), "text/plain")}, timeout=20)


def finished(address: str, job: str) -> str | None:
    status = httpx.get(f"{address}/api/v1/indexing/jobs/{job}", timeout=10).json()["status"]
    return str(status) if status in ("completed", "failed") else None


def ask(address: str, question: str) -> httpx.Response:
    session = httpx.post(address + "/api/v1/chat/sessions").json()["session_id"]
    return httpx.post(f"{address}/api/v1/chat/sessions/{session}/messages", json={"content": question}, timeout=20)


def test_an_accepted_upload_survives_a_kill_right_after(program: BackendProcess) -> None:
    program.start()
    # So many that the last ones cannot have been indexed when the process dies.
    jobs = [upload(program.address, f"{n}.txt", f"Tale {n}. " + f"The gull number {n} sings. " * 200) for n in range(8)]
    program.stop(signal.SIGKILL)
    assert all(job.status_code == 202 for job in jobs)
    program.start()
    for job in jobs:
        job_id = job.json()["job_id"]
        assert until(lambda job_id=job_id: finished(program.address, job_id), "the job ends", seconds=40) == "completed"
    assert ask(program.address, "What does the gull number 7 do?").json()["sources"]


def test_a_job_that_kills_its_worker_each_time_is_failed_with_its_reason(program: BackendProcess) -> None:
    program.start()
    fault = {"fault": "ai_slow", "delay_seconds": 20, "seconds": 600}
    assert httpx.put(program.address + "/internal/faults", json=fault).status_code == 200
    job = upload(program.address, "poison.txt", "A text that never gets done.").json()["job_id"]

    def attempts() -> int:
        return int(httpx.get(f"{program.address}/api/v1/indexing/jobs/{job}").json()["attempts"])

    for attempt in (1, 2, 3):
        until(lambda attempt=attempt: attempts() == attempt, "a worker takes the job", seconds=20)
        program.stop(signal.SIGKILL)
        program.start()
    assert until(lambda: finished(program.address, job), "the job is given up", seconds=20) == "failed"
    error = httpx.get(f"{program.address}/api/v1/indexing/jobs/{job}").json()["error"]
    assert "interrupted 3 times" in error


@pytest.mark.quiet
def test_a_stop_finishes_what_is_in_flight_within_five_seconds(program: BackendProcess) -> None:
    program.start()
    fault = {"fault": "http_latency", "delay_seconds": 1.5, "seconds": 3}
    httpx.put(program.address + "/internal/faults", json=fault)
    answers: list[httpx.Response] = []
    asking = [
        threading.Thread(target=lambda n=n: answers.append(upload(program.address, f"{n}.txt", "In flight.")))
        for n in range(5)
    ]
    for thread in asking:
        thread.start()
    time.sleep(0.7)
    seconds = program.stop()
    for thread in asking:
        thread.join(timeout=20)
    assert [answer.status_code for answer in answers] == [202] * 5
    assert seconds < 5
    program.start()
    for answer in answers:
        job = answer.json()["job_id"]
        assert until(lambda job=job: finished(program.address, job), "the job ends", seconds=20) == "completed"


def test_a_fault_outlives_a_killed_process_and_still_ends_at_its_time(program: BackendProcess) -> None:
    program.start()
    url = program.address + "/internal/faults"
    until_then = httpx.put(url, json={"fault": "ai_down", "seconds": 8}, timeout=10).json()[0]["until"]
    program.stop(signal.SIGKILL)
    program.start()
    found = [(fault["fault"], fault["until"]) for fault in httpx.get(url, timeout=10).json()]
    if time.time() < until_then:  # a start takes a second, or longer than the fault on a machine with no time
        assert found == [("ai_down", until_then)], "nobody but the clock ends it"
    time.sleep(max(0.0, until_then - time.time()))
    assert httpx.get(url, timeout=10).json() == []


def test_a_store_that_cannot_be_reached_ends_the_start_with_a_reason(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        url = f"mongodb://who:secret@127.0.0.1:{port}/"
        program = BackendProcess(tmp_path, DOCUMENT_STORE="mongodb", MONGODB_URL=url)
        program.launch()
        assert program.wait() != 0
    assert f"127.0.0.1:{port}" in program.said()
    assert "secret" not in program.said()

"""What survives: a killed process, a stopped one, a restart. The real program, as a process of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.backend.conftest import until

BACKEND = Path(__file__).resolve().parents[2] / "backend"


class Program:
    """`python -m app.main` with its files in a folder."""

    def __init__(self, folder: Path, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._environment = {
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "LOG_DIR": str(folder / "logs"),
            "SQLITE_PATH": str(folder / "specola.sqlite"),
            "QDRANT_PATH": str(folder / "qdrant"),
            "FAULTS_ENABLED": "true",
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Starts it; returns the seconds until it was ready."""
        begun = time.monotonic()
        command = [sys.executable, "-m", "app.main"]
        self.process = subprocess.Popen(command, cwd=BACKEND, env=self._environment, stdout=subprocess.DEVNULL)
        until(self.ready, "the backend is ready", seconds=60)
        return time.monotonic() - begun

    def ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.address + "/health/ready", timeout=5).status_code == 200
        return False

    def kill(self, how: signal.Signals = signal.SIGKILL) -> float:
        """Ends it; returns the seconds that it took."""
        assert self.process
        begun = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(timeout=30)
        return time.monotonic() - begun


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path, INDEXING_LEASE_SECONDS="1")
    yield program
    if program.process and program.process.poll() is None:
        program.process.kill()
        program.process.wait()


def upload(address: str, name: str, text: str) -> httpx.Response:
    return httpx.post(address + "/api/v1/documents", files={"file": (name, text.encode(), "text/plain")}, timeout=20)


def finished(address: str, job: str) -> str | None:
    status = httpx.get(f"{address}/api/v1/indexing/jobs/{job}", timeout=10).json()["status"]
    return str(status) if status in ("completed", "failed") else None


def ask(address: str, question: str) -> httpx.Response:
    session = httpx.post(address + "/api/v1/chat/sessions").json()["session_id"]
    return httpx.post(f"{address}/api/v1/chat/sessions/{session}/messages", json={"content": question}, timeout=20)


def test_an_accepted_upload_survives_a_kill_right_after(program: Program) -> None:
    program.start()
    # So many that the last ones cannot have been indexed when the process dies.
    jobs = [upload(program.address, f"{n}.txt", f"Tale {n}. " + f"The gull number {n} sings. " * 200) for n in range(8)]
    program.kill()
    assert all(job.status_code == 202 for job in jobs)
    program.start()
    for job in jobs:
        job_id = job.json()["job_id"]
        assert until(lambda job_id=job_id: finished(program.address, job_id), "the job ends", seconds=40) == "completed"
    assert ask(program.address, "What does the gull number 7 do?").json()["sources"]


def test_a_job_that_kills_its_worker_each_time_is_failed_with_its_reason(program: Program) -> None:
    program.start()
    fault = {"fault": "ai_slow", "delay_seconds": 20, "seconds": 600}
    assert httpx.put(program.address + "/internal/faults", json=fault).status_code == 200
    job = upload(program.address, "poison.txt", "A text that never gets done.").json()["job_id"]

    def attempts() -> int:
        return int(httpx.get(f"{program.address}/api/v1/indexing/jobs/{job}").json()["attempts"])

    for attempt in (1, 2, 3):
        until(lambda attempt=attempt: attempts() == attempt, "a worker takes the job", seconds=20)
        program.kill()
        program.start()
    assert until(lambda: finished(program.address, job), "the job is given up", seconds=20) == "failed"
    error = httpx.get(f"{program.address}/api/v1/indexing/jobs/{job}").json()["error"]
    assert "interrupted 3 times" in error


def test_a_stop_finishes_what_is_in_flight_within_five_seconds(program: Program) -> None:
    program.start()
    fault = {"fault": "http_latency", "delay_seconds": 1.5, "seconds": 60}
    httpx.put(program.address + "/internal/faults", json=fault)
    answers: list[httpx.Response] = []
    asking = [
        threading.Thread(target=lambda n=n: answers.append(upload(program.address, f"{n}.txt", "In flight.")))
        for n in range(5)
    ]
    for thread in asking:
        thread.start()
    time.sleep(0.7)
    seconds = program.kill(signal.SIGTERM)
    for thread in asking:
        thread.join(timeout=20)
    assert [answer.status_code for answer in answers] == [202] * 5
    assert seconds < 5
    program.start()
    for answer in answers:
        job = answer.json()["job_id"]
        assert until(lambda job=job: finished(program.address, job), "the job ends", seconds=20) == "completed"


def test_a_store_that_cannot_be_reached_ends_the_start_with_a_reason(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        program = Program(tmp_path, DOCUMENT_STORE="mongodb", MONGODB_URL=f"mongodb://who:secret@127.0.0.1:{port}/")
        command = [sys.executable, "-m", "app.main"]
        answer = subprocess.run(
            command, cwd=BACKEND, env=program._environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert answer.returncode != 0
    assert f"127.0.0.1:{port}" in answer.stdout
    assert "secret" not in answer.stdout + answer.stderr

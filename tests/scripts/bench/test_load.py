"""What the load generators say is read, and what they could not do is an error."""

import shutil
import socket
import sys
from pathlib import Path

import pytest

from scripts.bench import load, server
from scripts.bench.load import LoadFailed, read_hey, read_wrk

WRK = """  1 threads and 16 connections
  9295 requests in 2.03s, 1.22MB read
Requests/sec:   4581.73
"""
HEADING = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset\n"


def hey(*times: float, status: int = 200) -> str:
    """A table with these response times (seconds)."""
    return HEADING + "".join(f"{time:.4f},0,0,0,0,0,{status},0\n" for time in times)


def test_wrk_is_read() -> None:
    assert read_wrk(WRK) == (4581.73, 9295)


@pytest.mark.parametrize("trouble", ["  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 3\n"])
def test_answers_that_wrk_calls_errors_are_not_throughput(trouble: str) -> None:
    with pytest.raises(LoadFailed, match=trouble.strip()[:8]):
        read_wrk(WRK + trouble)
    with pytest.raises(LoadFailed):
        read_wrk("unable to connect")


def test_hey_is_read() -> None:
    found = read_hey(hey(*[0.001] * 195, *[0.050] * 5), seconds=2)
    assert (found.requests, found.rate, found.p50, found.p99) == (200, 100.0, 0.001, 0.050)


@pytest.mark.parametrize("text", [hey(*[0.001] * 200, status=503), hey(0.001), HEADING])
def test_answers_that_failed_or_are_too_few_are_no_latency(text: str) -> None:
    with pytest.raises(LoadFailed, match="hey sent"):
        read_hey(text, seconds=2)


def test_a_rate_that_was_not_kept_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_run", lambda *command: hey(*[0.001] * 200))
    assert load.latency("http://x", rate=105, seconds=2).rate == 100
    with pytest.raises(LoadFailed, match="100 requests a second were sent where 120 were wanted"):
        load.latency("http://x", rate=120, seconds=2)


def test_a_program_that_fails_says_how() -> None:
    with pytest.raises(LoadFailed, match="ended with 3: no such thing"):
        load._run(sys.executable, "-c", "import sys; sys.stderr.write('no such thing'); sys.exit(3)")


def test_without_the_generators_it_is_said_which_are_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "hey" else "/bin/" + name)
    assert load.missing() == "hey not found: apt-get install hey"
    with pytest.raises(server.Skipped, match="hey not found"):
        server.main(None, tmp_path)  # type: ignore[arg-type]


def test_a_port_in_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "START_SECONDS", 0.5)
    with (
        socket.create_server(("127.0.0.1", 0)) as another,
        pytest.raises(LoadFailed, match="no server at"),
        server.served("bare", another.getsockname()[1], tmp_path / "bare", ""),
    ):
        pass

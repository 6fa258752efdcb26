"""Ports that somebody else holds are named before anything is started."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from scripts.local.apart import free_ports
from scripts.local.compose import Local, Port, Service
from scripts.local.plan import MARK
from scripts.local.ports import conflicts, free_port, ours

HOLD = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(flush=True); input()"


def service(name: str, port: int, variable: str | None = "PORT_WEB") -> Service:
    return Service(name, "1", (), {}, (), (Port(port, 80, variable),), Local(name))


@contextmanager
def holder(port: int, run: Path | None) -> Iterator[int]:
    """A process that listens on a port, as one of the stack in `run` or as a stranger; its id."""
    environment = {MARK: str(run)} if run else {}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(port)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.readline()
    try:
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_free_ports_are_no_conflict(tmp_path: Path) -> None:
    assert conflicts([service("web", free_port())], tmp_path) == []


def test_a_strangers_port_is_named_with_the_service_the_variable_and_the_stranger(tmp_path: Path) -> None:
    port = free_port()
    with holder(port, None) as pid:
        (conflict,) = conflicts([service("web", port)], tmp_path)
    name = f"{Path(sys.executable).resolve().name}"
    assert str(conflict).startswith(f"port {port}, which web needs, is in use by ")
    assert str(conflict).endswith(f"(process {pid}): set PORT_WEB to another port")
    assert name[:6] in str(conflict)


def test_a_port_of_our_own_process_is_no_conflict(tmp_path: Path) -> None:
    port = free_port()
    with holder(port, tmp_path):
        assert conflicts([service("web", port)], tmp_path) == []
        assert len(conflicts([service("web", port)], tmp_path / "another")) == 1


def test_a_port_that_is_bound_but_not_served_is_in_use_too(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        assert len(conflicts([service("web", held.getsockname()[1])], tmp_path)) == 1


def test_two_services_that_want_one_port_are_told(tmp_path: Path) -> None:
    port = free_port()
    (conflict,) = conflicts([service("a", port), service("b", port, "PORT_B")], tmp_path)
    assert str(conflict) == (f"port {port}, which b needs, is in use by a, another service: set PORT_B to another port")


def test_a_port_that_no_variable_moves_can_only_be_freed(tmp_path: Path) -> None:
    port = free_port()
    with holder(port, None):
        (conflict,) = conflicts([service("web", port, None)], tmp_path)
    assert str(conflict).endswith(": end that program")


def test_a_system_that_tells_nothing_about_strangers_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(kind: str) -> list[object]:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)
    port, own = free_port(), free_port()
    with holder(port, None), holder(own, tmp_path):
        (conflict,) = conflicts([service("web", port), service("own", own)], tmp_path)
    assert conflict.holder == "a program that this user may not look at"


def test_our_processes_are_known_by_their_mark(tmp_path: Path) -> None:
    with holder(free_port(), tmp_path) as pid, holder(free_port(), None):
        assert [process.pid for process in ours(tmp_path)] == [pid]


def test_two_stacks_of_one_process_are_given_ports_of_their_own_before_either_runs() -> None:
    one, other = free_ports(), free_ports()
    assert len(one) > 10
    assert not set(one.values()) & set(other.values())

"""Ports that are taken: by whom, and which variable moves the service that wants them."""

import contextlib
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts.local.compose import Service
from scripts.local.plan import MARK
from scripts.local.substitute import LOOPBACK


@dataclass(frozen=True)
class Conflict:
    """A port that a service wants and cannot have."""

    service: str
    port: int
    variable: str | None
    holder: str

    def __str__(self) -> str:
        move = f"set {self.variable} to another port" if self.variable else "end that program"
        return f"port {self.port}, which {self.service} needs, is in use by {self.holder}: {move}"


def conflicts(services: Iterable[Service], run: Path) -> list[Conflict]:
    """The ports of `services` that are held by something else than this project's own processes.

    `run` is the project's .run folder, by which its processes are known.
    """
    found: list[Conflict] = []
    taken: dict[int, str] = {}
    own = _listening(run)
    for service in services:
        for port in service.local_ports:
            if other := taken.get(port.host):
                found.append(Conflict(service.name, port.host, port.variable, f"{other}, another service"))
            elif port.host not in own and not _is_free(port.host):
                found.append(Conflict(service.name, port.host, port.variable, _holder(port.host)))
            taken[port.host] = service.name
    return found


def _listening(run: Path) -> set[int]:
    """The ports of this project's own processes, which every system lets their owner see."""
    listening: set[int] = set()
    for process in ours(run):
        with contextlib.suppress(psutil.Error):
            listening |= {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    return listening


def is_ours(process: psutil.Process, run: Path) -> bool:
    """Whether a process was started by this project's local stack."""
    try:
        environment: Mapping[str, str] = process.environ()
    except (psutil.Error, OSError):
        return False
    return environment.get(MARK) == str(run)


def ours(run: Path) -> list[psutil.Process]:
    """Every living process of this project's local stack, supervised or not."""
    mine = os.getpid()
    return [process for process in psutil.process_iter() if process.pid != mine and is_ours(process, run)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        if probe.connect_ex((LOOPBACK, port)) == 0:
            return False
    return can_be_bound(port)


def free_port() -> int:
    """A port of loopback that nobody listens on, by the system's choice."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def can_be_bound(port: int) -> bool:
    """Whether a server could listen on a port of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else what just ended would still count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    """Who listens on a port, as far as the system tells."""
    with contextlib.suppress(psutil.Error):  # another user's process, or a system that asks for more rights
        for connection in psutil.net_connections("tcp"):
            port_there = getattr(connection.laddr, "port", None)  # an address of a closed socket is empty
            if connection.status == psutil.CONN_LISTEN and port_there == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "a program that this user may not look at"

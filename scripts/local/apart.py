"""Some of the stack's services as processes of their own, in a folder and on ports of their own.

For tests and measurements that have to start, kill and restart a part: programs, arguments and config files are the
ones that the local runner would use, and nothing that runs already is touched.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from random import randrange
from types import TracebackType

import httpx

from scripts.addresses import PROJECT
from scripts.local import plan as planning
from scripts.local.compose import load, settings
from scripts.local.debian import Debian
from scripts.local.download import Downloader
from scripts.local.plan import Process
from scripts.local.ports import can_be_bound
from scripts.local.programs import Finder, Found, Missing
from scripts.local.report import Report
from scripts.local.substitute import Folders

#: Below the ports that the system gives to outgoing connections: else a client of a killed server could be given, and
#: keep, the very port that it tries to reach.
PORTS = range(25_000, 26_000)
#: Where the next stack of this process looks: what another was given may not be in use yet. Random: for other programs.
_next = count(randrange(len(PORTS)))  # noqa: S311 (no secret)
#: Seconds that a service may take to answer, and to end when it is asked to.
READY_SECONDS, END_SECONDS = 30.0, 20.0


class NotHere(Exception):
    """A program that this machine lacks, or that does not start; the message says which, and what would help."""


@dataclass(frozen=True)
class Elsewhere(Folders):
    """The project's folders, with whatever is written in `place` instead."""

    place: Path

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def run(self) -> Path:
        return self.place / "run"

    @property
    def logs(self) -> Path:
        return self.place / "logs"


class Apart:
    """A context in which the named services run; they are ended with it."""

    def __init__(
        self,
        place: Path,
        names: Iterable[str],
        settings: Mapping[str, str] | None = None,
        project: Path = PROJECT,
    ) -> None:
        """Renders the config files of `names`, which stand in `project`, below `place`.

        Raises NotHere if a program is missing.
        """
        self._environment = {**os.environ, **free_ports(), **(settings or {})}
        self.folders = Elsewhere(project, place)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        wanted = set(names)
        services = load(project, self._environment)
        for name, service in services.items():
            if service.local and name not in wanted:
                services[name] = replace(service, local=replace(service.local, enabled=False))
            elif service.local:  # what is not on this machine is not fetched
                services[name] = replace(service, local=replace(service.local, archive=None, debian=""))
        self.services = services
        plan = planning.make(services, self.folders, finder(self._environment), self._environment)
        if plan.missing:
            raise NotHere("; ".join(f"{name}: {lacking(missing)}" for name, missing in plan.missing.items()))
        self.processes: dict[str, Process] = plan.processes

    def __enter__(self) -> "Apart":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for name in list(self._running):
            self.kill(name)

    def url(self, name: str) -> str:
        """Where a service answers."""
        return self.services[name].url

    def port(self, name: str, container: int) -> int:
        """Where a port of a service's container is on this machine."""
        return self.services[name].host_port(container)

    def log(self, name: str) -> Path:
        """What a service said, over all its starts."""
        return self.folders.place / f"{name}.out"

    def start(self, name: str) -> float:
        """Starts a service and waits until it is ready; the seconds that this took. Raises NotHere."""
        self.launch(name)
        return self.ready(name)

    def launch(self, name: str) -> None:
        """Starts a service without waiting."""
        process = self.processes[name]
        with self.log(name).open("ab") as output:
            self._running[name] = subprocess.Popen(
                process.arguments, env=process.environment, cwd=process.folder, stdout=output, stderr=output
            )

    def ready(self, name: str) -> float:
        """Waits until a service answers; the seconds waited. Raises NotHere."""
        beginning = time.monotonic()
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            while time.monotonic() - beginning < READY_SECONDS:
                if self._running[name].poll() is not None:
                    break
                try:
                    if not self.processes[name].ready or client.get(self.processes[name].ready).is_success:
                        return time.monotonic() - beginning
                except httpx.TransportError:
                    pass
                time.sleep(0.02)
        end = self.log(name).read_text(errors="replace")[-2000:]
        raise NotHere(f"{name} did not answer within {READY_SECONDS:g} s; the end of what it said:\n{end}")

    def stop(self, name: str) -> None:
        """Asks a service to end, and waits until it has."""
        process = self._running.pop(name)
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self, name: str) -> None:
        """Ends a service at once (SIGKILL)."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def pid(self, name: str) -> int:
        """The process id of a running service."""
        return self._running[name].pid


def finder(environment: Mapping[str, str]) -> Finder:
    """Looks for programs where the local runner does."""
    tools, report = PROJECT / ".tools", Report()
    return Finder(tools, settings(PROJECT, environment), Downloader(tools, report), Debian(tools, report))


def lacking(found: Found | Missing) -> str:
    """Why a program cannot be had, in a line; empty if it can."""
    return "" if isinstance(found, Found) else f"{'; '.join(found.reasons)} ({found.remedy})"


def free_ports() -> dict[str, str]:
    """A free port for each variable of the compose files that sets one."""
    text = "".join(path.read_text() for path in sorted(PROJECT.glob("docker-compose*.yml")))
    names = sorted(set(re.findall(r"\$\{(PORT_[A-Z_]+):-", text)))
    free = (port for _ in PORTS if can_be_bound(port := PORTS[next(_next) % len(PORTS)]))
    return {name: str(next(free)) for name in names}

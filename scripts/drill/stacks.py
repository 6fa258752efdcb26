"""The stack that a drill runs on: the one in use, or one of its own with shortened timings."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import httpx

from scripts import addresses
from scripts.containers import compose_command
from scripts.drill import load, shorten
from scripts.local import compose
from scripts.local.apart import Apart, NotHere, finder, lacking
from scripts.local.supervise import Supervisor

#: The parts of a stack of its own, in the order of their start. Without the first four there is no drill at all.
NEEDED = ("alert-inbox", "alertmanager", "prometheus", "backend")
#: No part, but missing like one: a disk that a drill may fill.
SMALL_DISK = "small disk"
SMALL_DISK_BYTES = 256_000_000
FURTHER = ("loki", "promtail", "tempo", "node-exporter")


class Stack(Protocol):
    """What a fault may do to a stack. `project` is where its rules and timings stand; `own`: nobody else uses it."""

    project: Path
    own: bool

    def address(self, part: str) -> str:
        """Where a part answers."""

    def missing(self, part: str) -> str:
        """Why a part does not run; empty if it does."""

    def stop(self, part: str) -> None:
        """Ends a part."""

    def start(self, part: str) -> None:
        """Starts a part again."""


class InUse:
    """The stack that `make up` started, in containers or as processes."""

    project = addresses.PROJECT
    own = False

    def __init__(self) -> None:
        supervisor = Supervisor(addresses.PROJECT / ".run")
        self._supervisor = supervisor if supervisor.is_running() else None

    def address(self, part: str) -> str:
        """See Stack."""
        return addresses.address(part)

    def missing(self, part: str) -> str:
        """See Stack: what does not answer does not run."""
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(self.address(part), timeout=5)
            return ""
        return f"{part} does not answer at {self.address(part)}: `make up` starts the stack"

    def stop(self, part: str) -> None:
        """See Stack."""
        self._act("stop", part)

    def start(self, part: str) -> None:
        """See Stack."""
        self._act("start", part)

    def _act(self, action: str, part: str) -> None:
        if self._supervisor:
            (self._supervisor.stop_one if action == "stop" else self._supervisor.start_one)(part)
        else:
            subprocess.run([*compose_command(), action, part], cwd=self.project, check=True, capture_output=True)


class Own:
    """Local processes on a shortened copy of the project, in a folder and on ports of their own."""

    own = True

    def __init__(self, place: Path, factor: float) -> None:
        """Raises NotHere where a program is missing without which there is no drill."""
        self.project = shorten.copy(place / "project", factor)
        environment = {**os.environ, "AI_PROVIDER": "local", "ALERTMANAGER_CONFIG": "alertmanager.yml"}
        # A burst of lines is more than this queue holds, and a reader of documents that stands still may do so.
        settings = shorten.settings(factor) | {"LOG_QUEUE_LINES": "100", "EXTRACTION_SECONDS": "600"}
        settings |= {"LOG_LEVEL": "INFO", "FAULTS_ENABLED": "true"}
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self.project / ".env").write_text(lines, encoding="utf-8")  # where the compose file has the backend look
        search, services = finder(environment), compose.load(self.project, environment)
        self._missing = {name: lacking(search.find(services[name])) for name in (*NEEDED, *FURTHER)}
        for name in NEEDED:
            if self._missing[name]:
                raise NotHere(f"{name}: {self._missing[name]}")
        self._missing[SMALL_DISK] = "only an administrator can mount one for the logs"
        self.parts = [name for name in (*NEEDED, *FURTHER) if not self._missing[name]]
        self.processes = Apart(place, self.parts, environment, self.project)

    def address(self, part: str) -> str:
        """See Stack."""
        return self.processes.url(part)

    def missing(self, part: str) -> str:
        """See Stack."""
        reason = self._missing.get(part, "no drill needs it")
        return reason and f"{part} does not run here: {reason}"

    def stop(self, part: str) -> None:
        """See Stack."""
        self.processes.stop(part)

    def start(self, part: str) -> None:
        """See Stack."""
        self.processes.start(part)

    @contextlib.contextmanager
    def small_disk(self) -> Iterator[None]:
        """The logs on a small disk of their own, in memory, where that is allowed."""
        folder = self.processes.folders.logs
        folder.mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(folder)]
        mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        if mounted:
            self._missing[SMALL_DISK] = ""
        try:
            yield
        finally:
            if mounted:
                subprocess.run(["umount", str(folder)], check=True)

    def rendered(self, part: str, path: str) -> Path:
        """A config file that a part reads, by its path in the container."""
        return self.processes.folders.rendered(part, path)


def _wait_until_scraped(stack: Own, patience: float = 30.0) -> None:
    """Waits for Prometheus' first scrape of the backend: targets that it discovers wait for 5 s, whatever the timings,
    which is BackendDown where a minute is three seconds. Raises NotHere when there is none.
    """
    until = time.monotonic() + patience
    while time.monotonic() < until:
        answer = httpx.get(f"{stack.address('prometheus')}/api/v1/query", params={"query": 'up{job="backend"} == 1'})
        if answer.is_success and answer.json()["data"]["result"]:
            return
        time.sleep(0.2)
    raise NotHere(f"Prometheus has not scraped the backend within {patience:g} s; its targets page says why")


@contextlib.contextmanager
def own(place: Path, factor: float) -> Iterator[Own]:
    """A stack of its own, which serves and knows this project's README. Raises NotHere."""
    stack = Own(place, factor)
    with stack.small_disk(), stack.processes:
        others = [part for part in stack.parts if part != "prometheus"]  # which would say that these are down
        for part in others:
            stack.processes.launch(part)
        for part in others:
            stack.processes.ready(part)
        stack.start("prometheus")
        _wait_until_scraped(stack)
        file = {"file": ("README.md", (addresses.PROJECT / "README.md").read_bytes(), "text/markdown")}
        httpx.post(f"{stack.address('backend')}/api/v1/documents", files=file, timeout=30).raise_for_status()
        time.sleep(2)  # two evaluations: what the start itself set off is known by now, and waited for
        # Somebody is always there: the heartbeat of a minute alone is silence where a minute is three seconds.
        with load.running(stack.address("backend"), (load.Load("list", 1),)):
            yield stack

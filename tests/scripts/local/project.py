"""A small project: programs of a few lines stand as the services of a small compose file."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from scripts.local.cli import main
from scripts.local.ports import free_port, ours
from scripts.local.supervise import Supervisor
from tests.scripts.local.helpers import IDLE_PROGRAM, WEB_PROGRAM, program

COMPOSE = """
services:
  web:
    image: web:2.5.1
    command: [--config=/etc/web/web.yml]
    environment: {{SECRET: "s3cret"}}
    volumes: ["./web.yml:/etc/web/web.yml:ro", "web-data:/data"]
    ports: ["127.0.0.1:${{PORT_WEB:-{port}}}:80"]
    x-local: {{program: web, port: 80, ready: /ready, arguments: ["--port=${{PORT_WEB:-{port}}}"]}}
  idle:
    image: idle:1
    x-local: {{program: idle-program}}
  store:
    x-local: {{instead: "a file"}}
  gone:
    x-local: {{program: not-to-be-had}}
  spare:
    x-local: {{program: idle-program, enabled: "${{SPARE:-0}}"}}
  containers-only:
    image: x
"""


class Project:
    """A small project in a folder of its own."""

    said = ""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "docker-compose.yml").write_text(COMPOSE.format(port=port))
        (folder / "web.yml").write_text("data: /data\n")

    def __call__(self, *arguments: str) -> int:
        return main(arguments, self.folder)

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.folder / ".run")

    def pids(self) -> dict[str, int]:
        return {name: state.pid for name, state in self.supervisor.states().items()}

    def answer(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.port}/", trust_env=False).text


@contextmanager
def made_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with its programs, ended afterwards."""
    monkeypatch.setattr("scripts.local.ready._POLL_SECONDS", 0.05)
    program(folder / "tools" / "web", WEB_PROGRAM)
    program(folder / "tools" / "idle-program", IDLE_PROGRAM)
    monkeypatch.setenv("TOOLS_PATH", str(folder / "tools"))
    for name in ("YES", "SPARE", "PORT_WEB"):
        monkeypatch.delenv(name, raising=False)
    made = Project(folder / "project", free_port())
    yield made
    for process in ours(made.folder / ".run"):  # faster than a `down`, which tests of its own look at
        process.kill()


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether a condition comes to hold."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(Exception):
            if condition():
                return True
        time.sleep(0.05)
    return False

"""The whole way: small programs stand as services of a small compose file, under a real supervisord."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from pathlib import Path

import httpx
import psutil
import pytest

from scripts.local.cli import main
from scripts.local.ports import ours
from scripts.local.supervise import Supervisor
from tests.scripts.local.helpers import IDLE_PROGRAM, WEB_PROGRAM, free_port, program

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


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with made_at(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project that runs, for tests that change nothing of it; `said` is what `up` printed."""
    with pytest.MonkeyPatch.context() as patch, made_at(tmp_path_factory.mktemp("running"), patch) as made:
        said = StringIO()
        with redirect_stdout(said):
            assert made("up") == 0
        made.said = said.getvalue()
        yield made


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether a condition comes to hold."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(Exception):
            if condition():
                return True
        time.sleep(0.05)
    return False


def test_up_starts_what_can_be_started_and_says_what_cannot(running: Project) -> None:
    rendered = f"{running.folder}/.run/config/web/etc/web/web.yml"
    assert f"--config={rendered} --port={running.port}" in running.answer()
    assert "web is ready after" in running.said
    assert [line.split()[:3] for line in running.said.splitlines() if " ready  " in line] == [
        ["web", "ready", f"http://127.0.0.1:{running.port}"],
        ["idle", "ready", "from"],
    ]
    assert "2.5.1 from TOOLS_PATH" in running.said
    assert "gone              missing" in running.said
    assert "no `not-to-be-had` on PATH, in TOOLS_PATH or in .tools/" in running.said
    assert "store             instead                          a file" in running.said
    assert "spare             off" in running.said
    assert "containers-only" not in running.said


def test_nothing_listens_on_anything_but_loopback(running: Project) -> None:
    connections = [c for process in ours(running.folder / ".run") for c in process.net_connections("inet")]
    assert {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_status_says_what_runs(running: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert running("status") == 0
    assert f"web               ready     http://127.0.0.1:{running.port}" in capsys.readouterr().out


def test_what_is_killed_comes_back(project: Project) -> None:
    project("up")
    before = project.pids()["web"]
    os.kill(before, signal.SIGKILL)
    assert eventually(lambda: project.pids()["web"] not in (0, before) and bool(project.answer()))
    assert project("status") in (0, 1)  # it may take a second until supervisord calls it running


def test_up_twice_leaves_alone_what_has_not_changed(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project("up")
    first = project.pids()
    assert project("up") == 0
    assert project.pids() == first
    assert "Everything runs already" in capsys.readouterr().out

    (project.folder / "web.yml").write_text("data: /data/other\n")
    monkeypatch.setenv("SPARE", "1")
    os.kill(first["idle"], signal.SIGSTOP)  # it is not touched, so it does not matter that it cannot end
    assert project("up") == 0
    second = project.pids()
    assert second["web"] != first["web"]
    assert second["idle"] == first["idle"]
    assert "spare" in second

    monkeypatch.delenv("SPARE")
    assert project("up") == 0
    assert set(project.pids()) == {"web", "idle"}
    os.kill(first["idle"], signal.SIGCONT)


def test_down_ends_all_of_it_and_nothing_else_and_keeps_data(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = subprocess.Popen([str(tmp_path / "tools" / "idle-program")])
    try:
        project("up")
        (project.folder / ".data" / "web-data" / "kept").write_text("")
        mine = [psutil.Process(pid) for pid in project.pids().values()]
        capsys.readouterr()
        assert project("down") == 0
        assert capsys.readouterr().out == "Ended 3 processes; data is kept\n"
        assert not any(process.is_running() for process in mine)
        assert ours(project.folder / ".run") == []
        assert stranger.poll() is None
        assert (project.folder / ".data" / "web-data" / "kept").exists()
        assert project("down") == 0
        assert capsys.readouterr().out == "Nothing ran\n"
        assert project("status") == 1
    finally:
        stranger.kill()
        stranger.wait()


def test_what_a_killed_supervisord_leaves_behind_is_taken_over(project: Project) -> None:
    project("up")
    left = project.pids()
    supervisord = int((project.folder / ".run" / "supervisord.pid").read_text())
    os.kill(supervisord, signal.SIGKILL)
    assert eventually(lambda: not project.supervisor.is_running())
    assert psutil.pid_exists(left["web"])
    assert project("up") == 0
    assert project.pids()["web"] != left["web"]
    assert len(ours(project.folder / ".run")) == 3


def test_a_program_that_ends_at_once_is_a_failure_with_its_last_words(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.local.ready._STARTS", 2)
    program(
        tmp_path / "tools" / "web", "print('error: no such thing')\nfor n in range(20): print(n)\nraise SystemExit(1)"
    )
    assert project("up") == 1
    said = capsys.readouterr().out
    assert "web               failed" in said
    assert "was started 2 times and ended each time" in said
    assert "web failed. From .run/log/web.log:\n  error: no such thing" in said
    assert said.endswith("  18\n  19\n")
    assert "idle              ready" in said
    assert project("status") == 1


def test_a_program_that_never_answers_is_waited_for_no_longer_than_told(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(tmp_path / "tools" / "web", IDLE_PROGRAM)
    assert project("up", "--seconds", "1.5") == 1
    said = capsys.readouterr().out
    assert "does not answer within 2 s (running)" in said
    assert "(it wrote nothing)" in said


def test_a_port_in_use_stops_everything_before_it_starts(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = subprocess.Popen([str(tmp_path / "tools" / "web"), f"--port={project.port}"])
    try:
        assert eventually(lambda: bool(project.answer()))
        assert project("up") == 1
        said = capsys.readouterr().out
        assert f"port {project.port}, which web needs, is in use by" in said
        assert "set PORT_WEB to another port" in said
        assert not project.supervisor.is_running()
        project.port = free_port()
        monkeypatch.setenv("PORT_WEB", str(project.port))
        assert project("up") == 0
        assert project.answer()
    finally:
        stranger.kill()
        stranger.wait()


def test_secrets_stay_out_of_the_command_line_and_of_others_sight(running: Project) -> None:
    web = psutil.Process(running.pids()["web"])
    assert web.environ()["SECRET"] == "s3cret"
    assert not any("s3cret" in word for word in web.cmdline())
    run = running.folder / ".run"
    assert "s3cret" not in (run / "supervisord.conf").read_text()
    assert [path.stat().st_mode & 0o077 for path in (run, run / "programs" / "web")] == [0, 0]


def test_a_project_deep_down_has_its_socket_elsewhere(tmp_path: Path, project: Project) -> None:
    deep = Project(tmp_path / ("a folder: #1; %(x)s " * 4), project.port)
    assert not deep.supervisor.socket.is_relative_to(deep.folder)
    try:
        assert deep("up") == 0
        assert deep.answer()
        assert not project.supervisor.is_running()
    finally:
        assert deep("down") == 0
    assert not deep.supervisor.socket.exists()


def test_logs_are_shown_by_service(running: Project, capfd: pytest.CaptureFixture[str]) -> None:
    eventually(lambda: "listening" in running.supervisor.log("web").read_text())
    assert running("logs", "web") == 0
    assert "listening" in capfd.readouterr().out
    assert running("logs", "nobody") == 1
    assert "There is no output of nobody; there is of idle, " in capfd.readouterr().out


def test_before_the_first_up_there_are_no_logs(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project("logs") == 1
    assert "There is no output yet" in capsys.readouterr().out


def test_config_files_are_rendered_anew_without_a_restart(running: Project) -> None:
    before = running.pids()
    (running.folder / "web.yml").write_text("data: /data/changed\n")
    assert running("render") == 0
    rendered = running.folder / ".run" / "config" / "web" / "etc" / "web" / "web.yml"
    assert rendered.read_text() == f"data: {running.folder}/.data/web-data/changed\n"
    assert running.pids() == before


def test_clean_removes_data_only_when_told(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project("up")
    (project.folder / "logs").mkdir()
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert project("clean") == 1
    assert "This would remove .data/, .run/, logs/: say YES=1" in capsys.readouterr().out
    assert project.answer()
    for answer, removed in (("n", False), ("y", True)):
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        assert project("clean") == (0 if removed else 1)
        assert (project.folder / ".data").exists() != removed
    assert ours(project.folder / ".run") == []
    monkeypatch.setenv("YES", "1")
    assert project("clean") == 0
    assert project("clean") == 0
    assert "There is nothing to remove." in capsys.readouterr().out


def test_an_error_in_the_compose_file_is_one_line(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.folder / "docker-compose.yml").write_text("services: [")
    assert project("up") == 1
    assert "docker-compose.yml is not valid YAML" in capsys.readouterr().out


def test_what_runs_can_be_ended_whatever_the_compose_file_says(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project("up")
    (project.folder / "docker-compose.yml").write_text("services: [")
    assert project("status") == 0
    assert project("down") == 0
    assert ours(project.folder / ".run") == []


def test_render_without_a_running_stack_says_so(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project("render") == 1
    assert "supervisord does not answer on" in capsys.readouterr().out

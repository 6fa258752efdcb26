"""`up`, the whole way, under a real supervisord."""

import fcntl
import os
import signal
import subprocess
import threading
from pathlib import Path

import psutil
import pytest

from scripts.local.ports import free_port, ours
from tests.scripts.local.helpers import IDLE_PROGRAM, program
from tests.scripts.local.project import Project, eventually


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


def test_programs_are_looked_for_in_the_folders_that_the_env_file_names_too(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = os.environ["TOOLS_PATH"]
    monkeypatch.delenv("TOOLS_PATH")
    (project.folder / ".env").write_text(f"TOOLS_PATH={folders} # mine\n")
    assert project("up") == 0
    assert "2.5.1 from TOOLS_PATH" in capsys.readouterr().out


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


def test_up_only_starts_one_part_anew_and_leaves_all_others_as_they_are(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project("up")
    first = project.pids()
    compose = project.folder / "docker-compose.yml"
    before = compose.read_text()
    compose.write_text(before.replace("s3cret", "other").replace("{program: idle-program}", "{instead: nothing}"))
    monkeypatch.setenv("SPARE", "1")
    assert project("up", "--only", "web") == 0
    second = project.pids()
    assert second["web"] != first["web"]
    assert {name: pid for name, pid in second.items() if name != "web"} == {"idle": first["idle"]}
    assert project("up", "--only", "idle") == 0, "what is not described any more is ended"
    assert project.pids() == {"web": second["web"]}


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


def test_a_program_that_ends_at_once_is_a_failure_with_its_last_words(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.local.ready.STARTS", 2)
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


def test_an_error_in_the_compose_file_is_one_line(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.folder / "docker-compose.yml").write_text("services: [")
    assert project("up") == 1
    assert "docker-compose.yml is not valid YAML" in capsys.readouterr().out


def test_up_starts_again_what_was_stopped_by_hand(project: Project) -> None:
    project("up")
    before = project.pids()
    project.supervisor._call("stopProcess", "web")
    assert project("status") == 1
    assert project("up") == 0
    assert project.answer()
    assert project.pids()["idle"] == before["idle"]


def test_two_commands_at_once_wait_for_each_other(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    said = ""

    def waits() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "Waiting for another command of this stack to end" in said

    (project.folder / ".run").mkdir()
    codes: list[int] = []
    second = threading.Thread(target=lambda: codes.append(project("down")))
    with (project.folder / ".run" / "lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second.start()
        assert eventually(waits)
        assert codes == []
    second.join(timeout=10)
    assert codes == [0]

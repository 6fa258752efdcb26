"""What runs under a real supervisord, and the commands that look at it."""

import os
import signal

import psutil
import pytest

from scripts.local.ports import ours
from tests.scripts.local.project import Project, eventually


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
    assert eventually(lambda: project("status") == 0)  # it may take a second until supervisord calls it running


def test_secrets_stay_out_of_the_command_line_and_of_others_sight(running: Project) -> None:
    web = psutil.Process(running.pids()["web"])
    assert web.environ()["SECRET"] == "s3cret"
    assert not any("s3cret" in word for word in web.cmdline())
    run = running.folder / ".run"
    assert "s3cret" not in (run / "supervisord.conf").read_text()
    assert [path.stat().st_mode & 0o077 for path in (run, run / "programs" / "web")] == [0, 0]


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


def test_render_without_a_running_stack_says_so(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project("render") == 1
    assert "supervisord does not answer on" in capsys.readouterr().out

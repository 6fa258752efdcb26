"""`down` and `clean`, under a real supervisord."""

import subprocess
from pathlib import Path

import psutil
import pytest

from scripts.local.ports import ours
from tests.scripts.local.project import Project


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


def test_what_runs_can_be_ended_whatever_the_compose_file_says(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project("up")
    (project.folder / "docker-compose.yml").write_text("services: [")
    assert project("status") == 0
    assert project("down") == 0
    assert ours(project.folder / ".run") == []


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

"""What an idle stack uses is read from the engine's accounts or from the processes themselves."""

import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from scripts.bench import Skipped
from scripts.bench.containers import Containers, moment, read_stats, run
from scripts.bench.processes import Processes
from scripts.bench.stack import main, report
from scripts.bench.usage import Restart, StackFailed, Usage, environment, shares, until_ready
from scripts.up import EngineRefused, engine_problem
from tests.scripts.local.helpers import WEB_PROGRAM, program

COMPOSE = """
services:
  backend:
    image: web:2.5.1
    ports: ["127.0.0.1:${PORT_BACKEND:-8000}:8000"]
    volumes: ["data:/data"]
    x-local: {program: web, port: 8000, ready: /health/ready, arguments: ["--port=${PORT_BACKEND:-8000}"]}
  grafana:
    x-local: {instead: "nothing"}
"""


@pytest.fixture
def small_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one service, called backend."""
    monkeypatch.setenv("TOOLS_PATH", str(program(tmp_path / "tools" / "web", WEB_PROGRAM).parent))
    monkeypatch.setenv("LOCAL", "1")
    project = tmp_path / "project"
    project.mkdir()
    (project / "docker-compose.yml").write_text(COMPOSE)
    return project


def test_a_stack_of_processes_is_measured_and_leaves_nothing(
    small_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Processes(small_project)
    monkeypatch.setattr("scripts.bench.stack.Processes", lambda: made)
    assert main(Console(), tmp_path, settle=0.1, seconds=0.5)
    written = json.loads((tmp_path / "stack.json").read_text())
    assert written["kind"] == "processes"
    assert 1 < written["services"]["backend"]["memory_mib"] < 200
    assert len(written["backend_restarts"]) == 3
    assert all(0 < one["start_seconds"] < 10 for one in written["backend_restarts"])
    assert sorted(path.name for path in small_project.iterdir()) == [".tools", "docker-compose.yml"]
    assert not made._folder.exists()
    with pytest.raises(StackFailed, match="was not ready"):
        until_ready(f"http://127.0.0.1:{environment(small_project)['PORT_BACKEND']}/", 0.1)


@pytest.mark.parametrize("cache", ["inactive_file", "total_inactive_file"])
def test_the_engines_account_is_read_less_the_file_cache(cache: str) -> None:
    memory = {"usage": 100, "stats": {cache: 30, "cache": 50}}
    assert read_stats({"memory_stats": memory, "cpu_stats": {"cpu_usage": {"total_usage": 2.5e9}}}) == Usage(70, 2.5)


def test_the_engines_times_have_nanoseconds() -> None:
    assert moment("1970-01-01T00:01:00.123456789Z") == pytest.approx(60.123456789)
    assert moment("1970-01-01T00:01:00Z") == 60


def test_processor_time_is_a_share_of_one_core_and_a_service_that_ends_is_noticed() -> None:
    before, after = {"a": Usage(10, 1.0), "b": Usage(20, 5.0)}, {"a": Usage(30, 2.0), "b": Usage(20, 5.5)}
    assert shares(before, after, 10) == {"a": (30, 0.1), "b": (20, 0.05)}
    with pytest.raises(StackFailed, match="b ended or began"):
        shares(before, {"a": after["a"]}, 10)


def test_every_port_of_the_stack_is_one_of_the_benchs_own() -> None:
    ports = {name: value for name, value in environment().items() if name.startswith("PORT_")}
    assert {"PORT_BACKEND", "PORT_GRAFANA", "PORT_OTLP"} <= set(ports)
    assert len(set(ports.values())) == len(ports)
    assert all(27_100 <= int(value) < 27_200 for value in ports.values())


@pytest.mark.parametrize(
    ("took", "memory", "share", "start", "own", "met"),
    [
        (29, 1200, 0.09, 1.9, 124, True),
        (31, 1200, 0.09, 1.9, 124, False),
        (29, 1300, 0.09, 1.9, 124, False),
        (29, 1200, 0.11, 1.9, 124, False),
        (29, 1200, 0.09, 2.1, 124, False),
        (29, 1200, 0.09, 1.9, 126, False),
    ],
)
def test_each_target_of_the_stack_can_be_missed(
    took: float, memory: float, share: float, start: float, own: float, met: bool, tmp_path: Path
) -> None:
    services = {"loki": (memory / 2 * 2**20, share / 2), "tempo": (memory / 2 * 2**20, share / 2)}
    sizes = (int((own + 190) * 1e6), 190_000_000)
    restarts = [Restart(0.5, start)] * 3
    assert report(Console(), tmp_path, "containers", took, services, restarts, sizes) is met
    written = json.loads((tmp_path / "stack.json").read_text())
    assert written["services"]["tempo"] == {
        "memory_mib": memory / 2,
        "percent_of_a_core": pytest.approx(share * 50, abs=0.01),
    }


def test_a_command_that_fails_says_what_it_said() -> None:
    with pytest.raises(StackFailed, match=r"ended with 3:\nno room"):
        run([sys.executable, "-c", "print('no room'); raise SystemExit(3)"], {})
    assert run([sys.executable, "-c", "print('well')"], {}) == "well\n"


def test_an_engine_that_is_elsewhere_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    with pytest.raises(Skipped, match=r"tcp://192\.0\.2\.1"):
        Containers()


def test_an_engine_that_refuses_this_user_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse() -> None:
        raise EngineRefused("join its group")

    monkeypatch.setattr("scripts.bench.stack.engine_problem", refuse)
    with pytest.raises(Skipped, match="join its group"):
        main(Console(), tmp_path)


def test_images_that_are_not_here_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if problem := engine_problem():
        pytest.skip(problem)
    monkeypatch.setattr(Containers, "_images", lambda self: ["specola/backend:0.1.0", "nobody/nothing:1"])
    with pytest.raises(Skipped, match="nobody/nothing:1"):
        Containers().prepare()

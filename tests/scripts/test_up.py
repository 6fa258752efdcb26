"""`make up` and its companions, as processes. The engines' and make's programs only write down how they are called."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripts.machine import Maker

NO_ENGINE = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
NO_PERMISSION = "permission denied while trying to connect to the Docker daemon socket"
LOCAL_UP = ["make --no-print-directory .venv/run", "python -m scripts.local up"]
COMPOSE_UP = "docker compose --profile demo up -d --build --wait"


def test_with_an_engine_the_stack_and_its_load_come_up_in_containers(machine: Maker) -> None:
    here = machine("docker")
    answer = here("up")
    assert answer.returncode == 0
    assert here.calls == [COMPOSE_UP]
    assert f"compose ran in {here.project}" in answer.stdout
    assert "Specola is up after" in answer.stdout
    for line in ("Grafana       http://localhost:3000", "Backend       http://localhost:8000"):
        assert line in answer.stdout


def test_up_is_what_is_done_when_nothing_is_named(machine: Maker) -> None:
    here = machine("docker")
    here()
    assert here.calls == [COMPOSE_UP]


def test_traffic_0_leaves_the_load_out(machine: Maker) -> None:
    here = machine("docker")
    assert here("up", TRAFFIC="0").returncode == 0
    assert here.calls == ["docker compose up -d --build --wait"]


def test_a_nightly_backup_is_a_service_of_the_stack_when_it_is_asked_for(machine: Maker) -> None:
    here = machine("docker")
    assert here("up", TRAFFIC="0", BACKUP_NIGHTLY="1").returncode == 0
    assert here.calls == ["docker compose --profile backup up -d --build --wait"]


def test_moved_ports_are_told_from_the_environment_before_the_file(machine: Maker) -> None:
    here = machine("docker")
    (here.project / ".env").write_text("# moved\nPORT_GRAFANA=3999\nPORT_PROMETHEUS='9999'\n")
    said = here("up", PORT_GRAFANA="3777").stdout
    assert "http://localhost:3777" in said
    assert "http://localhost:9999" in said


def test_a_start_that_fails_shows_the_services_and_says_where_to_look(machine: Maker) -> None:
    here = machine("docker")
    answer = here("up", COMPOSE_CODE="3")
    assert answer.returncode == 3
    assert here.calls[1].startswith("docker compose ps --all")
    assert "`docker compose logs SERVICE`" in answer.stderr
    assert "A port in use is moved by its PORT_… variable" in answer.stderr
    assert "Specola is up" not in answer.stdout


@pytest.mark.parametrize(
    ("programs", "environment", "reason"),
    [
        ((), {}, "no program docker here"),
        (("docker",), {"DOCKER_INFO": NO_ENGINE}, "no docker engine answers"),
        (("docker",), {"LOCAL": "1"}, "LOCAL=1 chooses processes"),
        (("docker",), {"COMPOSE": "podman compose"}, "no program podman here"),
        (("docker",), {"COMPOSE": "docker-compose"}, "no program docker-compose here"),
        (
            ("docker",),
            {"VERSION_CODE": "1"},
            "docker runs, and `docker compose` does not: install Compose 2.24 or newer as its plugin",
        ),
    ],
)
def test_without_an_engine_processes_run_and_the_reason_is_told(
    machine: Maker, programs: tuple[str, ...], environment: dict[str, str], reason: str
) -> None:
    here = machine(*programs)
    answer = here("up", **environment)
    assert answer.returncode == 0
    assert f"Local processes instead of containers: {reason}." in answer.stdout
    assert here.calls == LOCAL_UP


def test_local_1_does_not_even_ask_the_engine(machine: Maker, tmp_path: Path) -> None:
    machine("docker")("up", LOCAL="1")
    assert "info" not in (tmp_path / "calls").read_text()


def test_the_exit_code_is_the_one_of_what_ran(machine: Maker) -> None:
    here = machine()
    assert here("up", LOCAL_CODE="4").returncode == 4
    assert here("up", MAKE_CODE="2").returncode == 2
    assert here.calls == [*LOCAL_UP, LOCAL_UP[0]]


def test_an_engine_that_refuses_is_explained_and_nothing_is_started(machine: Maker) -> None:
    here = machine("docker")
    answer = here("up", DOCKER_INFO=NO_PERMISSION)
    assert answer.returncode == 1
    assert "sudo usermod -aG docker $USER" in answer.stderr
    assert "LOCAL=1 make up" in answer.stderr
    assert here.calls == []


@pytest.mark.parametrize(
    ("command", "called"),
    [
        ("podman compose", "podman compose --profile demo up -d --build --wait"),
        ("env docker compose", "docker compose --profile demo up -d --build --wait"),
        ("docker-compose", "docker-compose --profile demo up -d --build --wait"),
    ],
)
def test_another_compose_command_is_used_when_it_is_named(machine: Maker, command: str, called: str) -> None:
    here = machine("docker", "docker-compose", "podman")
    assert here("up", COMPOSE=command).returncode == 0
    assert here.calls == [called]


def test_down_ends_containers_and_processes_alike(machine: Maker) -> None:
    here = machine("docker")
    assert here("down").returncode == 0
    assert here.calls == ["docker compose --profile * down"]
    here.ran_processes()
    assert here("down", LOCAL_CODE="5").returncode == 5
    assert here.calls[1:] == [LOCAL_UP[0], "python -m scripts.local down", "docker compose --profile * down"]


def test_down_minds_an_engine_that_refuses_only_when_no_processes_ran(machine: Maker) -> None:
    here = machine("docker")
    refused = here("down", DOCKER_INFO=NO_PERMISSION)
    assert refused.returncode == 1
    assert "may not use it" in refused.stderr
    here.ran_processes()
    assert here("down", DOCKER_INFO=NO_PERMISSION).returncode == 0
    assert here.calls == [LOCAL_UP[0], "python -m scripts.local down"]


def test_status_is_the_one_of_whatever_runs(machine: Maker) -> None:
    here = machine("docker")
    here("status")
    assert here.calls[-1].startswith("docker compose --profile * ps --all")
    here("status", DOCKER_INFO=NO_ENGINE)
    assert here.calls[-1] == "python -m scripts.local status"
    here.ran_processes(now=True)
    here("status")
    assert here.calls[-1] == "python -m scripts.local status"


@pytest.mark.parametrize("said", ["", "no\n", "y\n"])
def test_clean_removes_nothing_unless_told_yes(machine: Maker, said: str) -> None:
    here = machine("docker")
    answer = here("clean", said=said)
    assert answer.returncode == 1
    assert "Nothing was removed." in answer.stdout
    assert here.calls == []


@pytest.mark.parametrize(("said", "environment"), [("yes\n", {}), ("", {"YES": "1"})])
def test_clean_removes_the_data_of_containers_and_processes(
    machine: Maker, said: str, environment: dict[str, str]
) -> None:
    here = machine("docker")
    here.ran_processes()
    answer = here("clean", said=said, **environment)
    assert answer.returncode == 0
    assert "YES=1" in answer.stdout  # the runner does not ask again
    assert here.calls[1:] == ["python -m scripts.local clean", "docker compose --profile * down --volumes"]


def test_clean_is_done_though_the_engine_refuses_where_processes_ran(machine: Maker) -> None:
    here = machine("docker")
    here.ran_processes()
    (here.project / ".tour").mkdir()
    assert here("clean", YES="1", DOCKER_INFO=NO_PERMISSION).returncode == 0
    assert here.calls == [LOCAL_UP[0], "python -m scripts.local clean"]
    assert not (here.project / ".tour").exists()


def test_an_unknown_command_is_refused_with_those_that_there_are(machine: Maker) -> None:
    answer = machine()("upp")
    assert answer.returncode == 2
    assert "unknown command 'upp': one of up, down, clean, status, reload" in answer.stderr


@pytest.mark.parametrize(
    ("command", "environment", "told"),
    [
        ("up", {"COMPOSE": 'docker "compose'}, 'COMPOSE=docker "compose cannot be read'),
        ("reload", {"PORT_PROMETHEUS": "http"}, "PORT_PROMETHEUS=http is not a port"),
        ("reload", {"PORT_PROMETHEUS": "70000"}, "give a number from 1 to 65535"),
    ],
)
def test_a_bad_value_is_named(machine: Maker, command: str, environment: dict[str, str], told: str) -> None:
    answer = machine("docker")(command, **environment)
    assert answer.returncode == 1
    assert told in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.fixture
def reloadable() -> Iterator[str]:
    """The port of a server that reloads the first time, and objects from then on."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            objects = asked != ["/-/reload"]
            self.send_response(400 if objects else 200)
            self.end_headers()
            self.wfile.write(b"line 3: no such field\n" if objects else b"")

        def log_message(self, format: str, *args: object) -> None:
            """Not into the test's output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield str(server.server_port)
    server.shutdown()
    server.server_close()


def test_reload_repeats_what_is_objected_to(machine: Maker, reloadable: str) -> None:
    here = machine("docker")
    here.ran_processes(now=True)
    answer = here("reload", PORT_PROMETHEUS=reloadable, PORT_ALERTMANAGER=reloadable)
    assert answer.returncode == 1
    assert "Prometheus has read its files again" in answer.stdout
    assert "Alertmanager keeps its old configuration: line 3: no such field" in answer.stdout
    assert here.calls[-1] == "python -m scripts.local render"


def test_reload_says_who_does_not_answer(machine: Maker) -> None:
    answer = machine()("reload", PORT_PROMETHEUS="1", PORT_ALERTMANAGER="1")
    assert answer.returncode == 1
    assert "Prometheus does not answer at http://127.0.0.1:1/-/reload" in answer.stdout
    assert "`make status` says whether it runs" in answer.stdout

"""`make up` and its companions where a stack runs already: by its files, in its folder, and no other's."""

import json
from pathlib import Path

import pytest

from tests.scripts.machine import Machine, Maker


def container(folder: Path, service: str, *files: Path, created: str = "2026-01-01", oneoff: str = "False") -> object:
    labels = {
        "service": service,
        "oneoff": oneoff,
        "project.working_dir": str(folder),
        "project.config_files": ",".join(map(str, files)),
    }
    return {
        "Created": created,
        "Config": {"Labels": {f"com.docker.compose.{name}": value for name, value in labels.items()}},
    }


def overlaid(here: Machine) -> tuple[str, str]:
    """A stack that was started with an overlay, which left a container as it was; and the overlay's files."""
    base, overlay = here.project / "docker-compose.yml", here.project / "docker-compose.staging.yml"
    overlay.touch()
    unchanged, changed = container(here.project, "loki", base), container(here.project, "backend", base, overlay)
    changed["Created"] = "2026-01-02"  # type: ignore[index]
    return json.dumps([unchanged, changed]), f"{base}:{overlay}"


@pytest.mark.parametrize("command", ["up", "down", "status", "clean"])
def test_each_command_takes_the_files_that_the_stack_runs_with(machine: Maker, command: str) -> None:
    here = machine("docker")
    containers, files = overlaid(here)
    answer = here(command, CONTAINERS=containers, YES="1")
    assert f"with {files}\n" in answer.stdout
    told = (
        "With the files that it runs with: docker-compose.yml, docker-compose.staging.yml (COMPOSE_FILE names others)."
    )
    assert answer.stdout.count(told) == 1


def test_files_that_are_named_are_not_replaced(machine: Maker) -> None:
    here = machine("docker")
    containers, _ = overlaid(here)
    assert "with mine.yml\n" in here("up", CONTAINERS=containers, COMPOSE_FILE="mine.yml").stdout
    named = here("up", CONTAINERS=containers, COMPOSE="docker compose -f mine.yml")
    assert "with no file named\n" in named.stdout


def test_an_overlay_that_is_gone_is_not_left_out_in_silence(machine: Maker) -> None:
    here = machine("docker")
    containers, _ = overlaid(here)
    (here.project / "docker-compose.staging.yml").unlink()
    answer = here("up", CONTAINERS=containers)
    assert (answer.returncode, here.calls) == (1, [])
    assert "docker-compose.staging.yml, which is there no more: name its files in COMPOSE_FILE" in answer.stderr


@pytest.mark.parametrize("command", ["up", "down", "clean", "status"])
def test_a_stack_of_another_folder_is_not_touched(machine: Maker, command: str, tmp_path: Path) -> None:
    here = machine("docker")
    (other := tmp_path / "other").mkdir()
    containers = json.dumps([container(other, "backend", other / "docker-compose.yml")])
    answer = here(command, CONTAINERS=containers, YES="1")
    assert (answer.returncode, here.calls) == (1, [])
    assert f"The stack 'specola' of this machine was started in {other}: do this there." in answer.stderr
    assert "COMPOSE_PROJECT_NAME" in answer.stderr
    other.rmdir()  # a checkout that was moved here, perhaps
    assert here(command, CONTAINERS=containers.replace(str(other / "docker-compose.yml"), ""), YES="1").returncode == 0


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "specola"),
        ({"COMPOSE_PROJECT_NAME": "mine"}, "mine"),
        ({"COMPOSE": "docker compose -p other", "COMPOSE_PROJECT_NAME": "mine"}, "other"),
    ],
)
def test_what_runs_is_asked_by_the_name_of_the_project(
    machine: Maker, environment: dict[str, str], name: str, tmp_path: Path
) -> None:
    machine("docker")("up", **environment)
    assert f"--filter label=com.docker.compose.project={name}\n" in (tmp_path / "calls").read_text()


def test_a_load_or_a_nightly_backup_that_is_no_longer_wanted_ends(machine: Maker) -> None:
    here = machine("docker")
    base = here.project / "docker-compose.yml"
    containers = json.dumps([container(here.project, name, base) for name in ("backend", "traffic", "backup")])
    assert here("up", CONTAINERS=containers, TRAFFIC="0").returncode == 0
    assert here.calls == [
        "docker compose rm -sf traffic",
        "docker compose rm -sf backup",
        "docker compose up -d --build --wait",
    ]


def test_a_single_run_of_a_service_is_no_stack(machine: Maker, tmp_path: Path) -> None:
    here = machine("docker")
    (other := tmp_path / "other").mkdir()
    containers = json.dumps([container(other, "backup", other / "docker-compose.yml", oneoff="True")])
    assert here("up", CONTAINERS=containers).returncode == 0

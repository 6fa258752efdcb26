"""The project's own compose file and config files, rendered: nothing of the containers is left in them."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.local import plan as planning
from scripts.local.cli import PROJECT
from scripts.local.compose import Service, load
from scripts.local.plan import Plan
from scripts.local.programs import Found, Missing
from scripts.local.substitute import Folders

MOVED = {
    name: str(20000 + index)
    for index, name in enumerate(
        sorted(set(re.findall(r"\$\{(PORT_\w+)", (PROJECT / "docker-compose.yml").read_text())))
    )
}


class Everything:
    """Stands for the finder: every program is there."""

    def find(self, service: Service) -> Found | Missing:
        home = Path("/a/home") if service.local and service.local.home else None
        return Found(Path("/a/program"), home, "", "PATH")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the compose file mounts."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(PROJECT / "docker-compose.yml", folder)
    for service in load(PROJECT, {}).values():
        for mount in service.mounts:
            source, target = PROJECT / mount.source, folder / mount.source
            if mount.is_volume or not source.exists() or target.exists() or mount.source == "/":
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
    return folder


@pytest.fixture(scope="module")
def plan(project: Path) -> Plan:
    services = load(project, MOVED)
    return planning.make(services, Folders(project), Everything(), {})  # type: ignore[arg-type]


def values(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a YAML tree that a machine reads, with its key."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from values(value, str(name))
    elif isinstance(node, list):
        for value in node:
            yield from values(value, key)
    elif isinstance(node, str):
        yield key, node


def texts(plan: Plan, project: Path) -> Iterator[tuple[str, str, str]]:
    """Service, place and text of everything that the processes are given."""
    for name, process in plan.processes.items():
        for argument in process.arguments:
            yield name, "argument", argument
        for variable, value in process.environment.items():
            yield name, variable, value
        for file in (project / ".run" / "config" / name).rglob("*.y*ml"):
            for document in yaml.safe_load_all(file.read_text()):
                for key, value in values(document):
                    yield name, f"{file.name}: {key}", value


def test_no_service_name_is_left_over_as_an_address(plan: Plan, project: Path) -> None:
    names = "|".join(map(re.escape, plan.services))
    left = [text for text in texts(plan, project) if re.search(rf"(?<![\w.-])({names}):\d", text[2])]
    assert left == []


def test_no_container_path_is_left_over(plan: Plan, project: Path) -> None:
    left = [
        (name, place, text)
        for name, place, text in texts(plan, project)
        for mount in plan.services[name].mounts
        if re.search(rf"(?<![\w./~-]){re.escape(mount.target)}(?![\w.-])", text.replace(str(project), "@"))
    ]
    assert left == []


def test_nothing_listens_on_every_interface(plan: Plan, project: Path) -> None:
    assert [text for text in texts(plan, project) if re.search(r"0\.0\.0\.0(?!/\d)|\[::\]", text[2])] == []


@pytest.mark.parametrize(
    "name", ["prometheus", "alertmanager", "loki", "promtail", "tempo", "grafana", "node-exporter"]
)
def test_each_server_is_told_to_listen_on_loopback(plan: Plan, project: Path, name: str) -> None:
    process = plan.processes[name]
    told = " ".join((*process.arguments, *map("=".join, process.environment.items())))
    config = project / ".run" / "config" / name / "etc" / name / f"{name}.yml"
    server = (yaml.safe_load(config.read_text()) if config.exists() else {}).get("server", {})
    assert (
        "listen-address=127.0.0.1" in told
        or "HTTP_ADDR=127.0.0.1" in told
        or (server.get("http_listen_address") == server.get("grpc_listen_address") == "127.0.0.1")
    )


def test_tempo_keeps_everything_on_its_volume(plan: Plan, project: Path) -> None:
    config = yaml.safe_load((project / ".run/config/tempo/etc/tempo/tempo.yml").read_text())
    written_down = [
        config.get("live_store", {}).get("wal", {}).get("path"),
        config.get("live_store", {}).get("shutdown_marker_dir"),
        config.get("backend_scheduler", {}).get("local_work_path"),
    ]
    # Left out, they are below /var/tempo, which no ordinary user may write to.
    assert [str(path).startswith(f"{project}/.data/tempo-data") for path in written_down] == [True] * 3


def test_every_port_moves_with_its_variable(plan: Plan) -> None:
    local = [s for s in plan.services.values() if s.runs_locally]
    moved = {port.host for service in local for port in service.local_ports}
    assert moved <= {int(port) for port in MOVED.values()}
    assert plan.processes["backend"].ready == f"http://127.0.0.1:{MOVED['PORT_BACKEND']}/health/ready"
    assert plan.processes["traffic"].environment["BACKEND_URL"] == f"http://127.0.0.1:{MOVED['PORT_BACKEND']}"


def test_what_runs_here_is_scraped_where_it_is_and_nothing_else_is(plan: Plan, project: Path) -> None:
    config = project / ".run" / "config" / "prometheus" / "etc" / "prometheus" / "prometheus.yml"
    jobs = yaml.safe_load(config.read_text())["scrape_configs"]
    targets = {job["job_name"]: [t for group in job["static_configs"] for t in group["targets"]] for job in jobs}
    assert targets["backend"] == [f"127.0.0.1:{MOVED['PORT_BACKEND']}"]
    assert targets["promtail"] == [f"127.0.0.1:{MOVED['PORT_PROMTAIL']}"]
    assert set(targets) <= set(plan.processes)
    assert {"qdrant", "mongodb-exporter"} <= plan.left_out.jobs
    assert all(target.startswith("127.0.0.1:2") for group in targets.values() for target in group)


def test_the_backends_data_and_logs_are_in_the_project(plan: Plan, project: Path) -> None:
    environment = plan.processes["backend"].environment
    assert environment["LOG_DIR"] == f"{project}/logs"
    assert environment["SQLITE_PATH"].startswith(f"{project}/.data/")
    assert environment["QDRANT_PATH"].startswith(f"{project}/.data/")


class WithoutTempo(Everything):
    """Stands for the finder: every program is there but Tempo."""

    def find(self, service: Service) -> Found | Missing:
        return Missing(("it is not there",), "get it") if service.name == "tempo" else super().find(service)


@pytest.mark.parametrize("service", ["backend", "alert-inbox"])
def test_spans_go_to_tempo_where_it_runs_and_to_files_where_it_does_not(
    plan: Plan, project: Path, tmp_path: Path, service: str
) -> None:
    endpoint = plan.processes[service].environment["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert endpoint == f"http://127.0.0.1:{MOVED['PORT_OTLP_HTTP']}"
    copy = shutil.copytree(project, tmp_path / "project")
    without = planning.make(load(copy, MOVED), Folders(copy), WithoutTempo(), {})  # type: ignore[arg-type]
    assert without.processes[service].environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == ""


def test_no_two_processes_write_the_same_files(plan: Plan) -> None:
    for variable in ("LOG_FILE", "TRACE_FILE"):
        names = [plan.processes[name].environment.get(variable, "the default") for name in ("backend", "alert-inbox")]
        assert len(set(names)) == 2, variable


def test_every_service_that_a_program_stands_for_says_when_it_is_ready(plan: Plan) -> None:
    assert [name for name, process in plan.processes.items() if not process.ready] == ["traffic"]


def test_without_traffic_there_is_none() -> None:
    assert not load(PROJECT, {"TRAFFIC": "0"})["traffic"].runs_locally
    assert load(PROJECT, {"TRAFFIC": "0.5"})["traffic"].runs_locally


def test_downloads_have_an_address_for_this_machine() -> None:
    for service in load(PROJECT, dict(os.environ)).values():
        if service.local and service.local.archive:
            assert re.fullmatch(r"\d+\.\d+\.\d+", service.version), service.name
            filled = service.local.archive.url.format(version=service.version, os="linux", arch="amd64")
            assert service.version in filled

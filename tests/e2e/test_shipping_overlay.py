"""`docker-compose.alloy.yml` and the profile `containers`, in real containers: lines and metrics arrive."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scripts.local.apart import PROJECT, free_ports
from tests.e2e.stack import Stack, until

pytestmark = pytest.mark.timeout(300)
OVERLAID = ["-f", "docker-compose.yml", "-f", "docker-compose.alloy.yml"]
COMPOSE = ["docker", "compose", "-p", "specola-e2e-alloy", *OVERLAID]
SERVICES = ["gateway", "prometheus", "loki", "alloy", "docker-socket-proxy", "cadvisor"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The services that the two are about, and what these depend on."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker Engine answers here")
    stack = Stack("containers", {**os.environ, **free_ports()}, PROJECT, set(SERVICES), COMPOSE)
    config = json.loads(stack.run("--profile", "containers", "config", "--format", "json").stdout)["services"]
    images = [one["image"] for name, one in config.items() if name in SERVICES or name in ("mongodb", "qdrant")]
    for image in images:
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode:
            pytest.skip(f"the image {image} is not here")
    try:
        up = stack.run("--profile", "containers", "up", "-d", "--build", "--wait", *SERVICES, check=False)
        assert up.returncode == 0, up.stderr[-3000:]
        yield stack
    finally:
        stack.run("--profile", "*", "down", "-v", check=False)


def found(stack: Stack, query: str) -> list[Any]:
    answer = stack.get("loki", "/loki/api/v1/query_range", query=query, since="10m", limit=1)
    return list(answer["data"]["result"])


def test_promtail_does_not_run_beside_its_successor(stack: Stack) -> None:
    running = stack.run("ps", "--services").stdout.split()
    assert "alloy" in running
    assert "promtail" not in running


def test_a_request_is_in_loki_under_its_id(stack: Stack) -> None:
    httpx.get(stack.address("gateway") + "/nothing", headers={"X-Request-ID": "by-alloy"})
    query = '{service="backend"} | request_id="by-alloy"'
    (stream, *_) = until(lambda: found(stack, query), "the request's line is in Loki", seconds=20)
    assert {"service", "environment", "level", "logger"} <= set(stream["stream"])


def test_the_containers_own_lines_are_in_loki(stack: Stack) -> None:
    query = '{service="prometheus", logger="container", environment="local"}'
    until(lambda: found(stack, query), "Prometheus' own lines are in Loki", seconds=30)
    assert not found(stack, '{service="backend", logger="container"}'), "the backend's come from its files"


def test_both_are_scraped_and_tell_what_each_service_uses(stack: Stack) -> None:
    until(lambda: len(stack.query('up{job=~"alloy|cadvisor"} == 1')) == 2, "both targets are up", seconds=40)
    assert not stack.query('up{job="promtail"}')
    memory = 'container_memory_working_set_bytes{container_label_com_docker_compose_service="backend"} > 0'
    if "overlay2" not in subprocess.run(["docker", "info"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("Docker keeps its images in containerd here, where cAdvisor cannot tell the containers apart")
    until(lambda: stack.query(memory), "the backend's memory is known", seconds=30)

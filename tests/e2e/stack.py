"""The whole stack, brought up as a user would: in containers, or as local processes. One interface for the tests."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
#: Ports of their own, so that the tests run beside a stack that is in use, and below those that the system hands out.
OFFSETS = {"containers": 20000, "processes": 10000}


@dataclass
class Stack:
    """A running stack: where each service answers, and how one is killed."""

    mode: str
    environment: dict[str, str]
    folder: Path
    services: set[str] = field(default_factory=set)
    compose: list[str] = field(default_factory=list)

    def address(self, service: str) -> str:
        """Where a service answers; skips the test by name when it does not run here."""
        if service != "gateway" and service not in self.services:
            pytest.skip(f"{service} does not run as one of the {self.mode} here: its program or image is not to be had")
        name = "BACKEND" if service == "gateway" else service.upper().replace("-", "_")
        return f"http://127.0.0.1:{self.environment[f'PORT_{name}']}"

    def get(self, service: str, path: str, **params: Any) -> Any:
        """The JSON that a service answers with."""
        answer = httpx.get(self.address(service) + path, params=params, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus says to an expression now."""
        result: list[dict[str, Any]] = self.get("prometheus", "/api/v1/query", query=expression)["data"]["result"]
        return result

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs the compose command of this stack."""
        command = [*self.compose, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300, check=check
        )


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Waits for a condition, and gives its value."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx.TransportError):
            if value := condition():
                return value
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds:g} s: {what}")
        time.sleep(0.5)


def ports(mode: str) -> dict[str, str]:
    """Every port of the compose file, moved."""
    defaults = re.findall(r"\$\{(PORT_[A-Z_]+):-(\d+)\}", (PROJECT / "docker-compose.yml").read_text())
    return {name: str(int(default) + OFFSETS[mode]) for name, default in defaults}


def missing_images() -> list[str]:
    """Images of the compose file that are neither here nor to be had."""
    config = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    images = {service["image"] for service in config.values() if "build" not in service and "profiles" not in service}

    def here(image: str) -> bool:
        inspect = ["docker", "image", "inspect", image]
        return subprocess.run(inspect, capture_output=True, check=False).returncode == 0

    def pulled(image: str) -> bool:
        pull = ["timeout", "300", "docker", "pull", "-q", image]
        return subprocess.run(pull, capture_output=True, check=False).returncode == 0

    absent = sorted(image for image in images if not here(image))
    # One attempt tells whether a registry can be reached at all; the others are not worth their time-outs then.
    if absent and not pulled(absent[0]):
        return absent
    return [image for image in absent[1:] if not pulled(image)]


@contextlib.contextmanager
def containers() -> Iterator[Stack]:
    """`docker compose up -d --build --wait` on the unmodified file, under a name of its own."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker Engine answers here")
    if missing := missing_images():
        pytest.skip(f"these images are not here and cannot be pulled: {', '.join(missing)}")
    environment = {**os.environ, **ports("containers")}
    stack = Stack("containers", environment, PROJECT, compose=["docker", "compose", "-p", "specola-e2e"])
    stack.run("--profile", "*", "down", "-v", check=False)
    try:
        up = stack.run("up", "-d", "--build", "--wait", "--wait-timeout", "240", check=False)
        assert up.returncode == 0, up.stderr[-3000:] + stack.run("ps", "-a", check=False).stdout
        lines = stack.run("ps", "--format", "json").stdout.splitlines()
        stack.services = {json.loads(line)["Service"] for line in lines}
        yield stack
    finally:
        if os.environ.get("KEEP") != "1":
            stack.run("--profile", "*", "down", "-v", check=False)


def clean_copy(folder: Path) -> Path:
    """The repository as somebody who cloned it has it, with what was not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    copy = folder / "specola"
    for name in listed.stdout.splitlines():
        if (PROJECT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, copy / name)
    return copy


@contextlib.contextmanager
def processes(folder: Path) -> Iterator[Stack]:
    """`scripts.local up` in a clean copy of the repository."""
    copy = clean_copy(folder)
    if (PROJECT / ".tools").is_dir():  # what was downloaded once
        (copy / ".tools").symlink_to(PROJECT / ".tools")
    environment = {**os.environ, **ports("processes"), "TRAFFIC": "0"}
    stack = Stack("processes", environment, copy)

    try:
        up = runner(stack, "up")
        assert up.returncode == 0, up.stdout[-3000:] + up.stderr[-3000:]
        for name in yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]:
            variable = f"PORT_{name.upper().replace('-', '_')}"
            with contextlib.suppress(httpx.TransportError, KeyError):
                httpx.get(f"http://127.0.0.1:{environment[variable]}/", timeout=5)
                stack.services.add(name)
        yield stack
    finally:
        runner(stack, "down")


def runner(stack: Stack, command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the local runner."""
    arguments, environment = [sys.executable, "-m", "scripts.local", command], stack.environment | settings
    return subprocess.run(
        arguments, cwd=stack.folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@contextlib.contextmanager
def load(stack: Stack) -> Iterator[Callable[[], str]]:
    """The load that `make up` starts by itself, beside a stack that runs without it; gives what it says so far."""
    if stack.mode == "containers":
        stack.run("--profile", "demo", "up", "-d", "--wait", "--no-recreate", "traffic")
        try:
            yield lambda: stack.run("logs", "--no-log-prefix", "traffic").stdout
        finally:
            stack.run("--profile", "demo", "rm", "--stop", "--force", "traffic")
    else:
        try:
            assert runner(stack, "up", TRAFFIC="1").returncode == 0
            yield (stack.folder / ".run" / "log" / "traffic.log").read_text
        finally:
            assert runner(stack, "up").returncode == 0

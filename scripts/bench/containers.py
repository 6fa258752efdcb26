"""The stack in containers, as the engine accounts for it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from scripts.bench import PROJECT, Skipped
from scripts.bench.usage import PROJECT_NAME, Restart, StackFailed, Usage, environment, until_ready
from scripts.containers import compose_command

SERVICE = "com.docker.compose.service"
#: Bringing everything up, on the slowest machine that one would still wait for (seconds).
PATIENCE = 600


class Containers:
    """A stack of its own, removed with its data at the end."""

    kind = "containers"

    def __init__(self) -> None:
        self._environment = environment()
        host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        if not host.startswith("unix://"):
            raise Skipped(f"the engine's accounts are read from its Unix socket, and DOCKER_HOST is {host}")
        transport = httpx.HTTPTransport(uds=host.removeprefix("unix://"))
        self._engine = httpx.Client(transport=transport, base_url="http://engine", timeout=30)

    def prepare(self) -> None:
        """Builds the backend's image. Raises Skipped when an image of the stack is not on this machine."""
        there = {tag for image in self._ask("/images/json") for tag in image["RepoTags"] or ()}
        if missing := {name for name in self._images() if not name.startswith("specola/")} - there:
            raise Skipped(f"these images are not here (docker compose pull): {', '.join(sorted(missing))}")
        self._compose("build", "--quiet", "backend")

    def up(self) -> None:
        """`make up`, without load."""
        run([sys.executable, "-m", "scripts.up"], self._environment)

    def usage(self) -> dict[str, Usage]:
        """From the control groups, health checks included; file cache that would be given back is not."""
        return {
            one["Labels"][SERVICE]: read_stats(self._ask(f"/containers/{one['Id']}/stats?stream=false&one-shot=true"))
            for one in self._containers()
        }

    def restart_backend(self) -> Restart:
        """Times `docker stop`, and from the container's start until it is ready."""
        identity = next(one["Id"] for one in self._containers() if one["Labels"][SERVICE] == "backend")
        start = time.monotonic()
        self._ask(f"/containers/{identity}/stop?t=15", "POST")
        stop = time.monotonic() - start
        self._ask(f"/containers/{identity}/start", "POST")
        found = self._ask(f"/containers/{identity}/json")
        address = next(iter(found["NetworkSettings"]["Networks"].values()))["IPAddress"]
        ready = until_ready(f"http://{address}:8000/health/ready", 30)
        return Restart(stop, ready - moment(found["State"]["StartedAt"]))

    def image_bytes(self) -> tuple[int, int]:
        """The size of the backend's image, and of the base image in it."""
        dockerfile = (PROJECT / "backend" / "Dockerfile").read_text(encoding="utf-8").splitlines()
        base = [line.split()[1] for line in dockerfile if line.startswith("FROM ")][-1]
        image = next(name for name in self._images() if name.startswith("specola/backend"))
        return self._ask(f"/images/{image}/json")["Size"], self._ask(f"/images/{base}/json")["Size"]

    def down(self) -> None:
        """Ends it and removes its volumes."""
        self._compose("--profile", "*", "down", "--volumes", "--timeout", "10")

    def _images(self) -> list[str]:
        return sorted(set(self._compose("config", "--images").split()))

    def _containers(self) -> list[dict[str, Any]]:
        filters = json.dumps({"label": [f"com.docker.compose.project={PROJECT_NAME}"]})
        found: list[dict[str, Any]] = self._ask("/containers/json", filters=filters)
        return found

    def _compose(self, *arguments: str) -> str:
        return run([*compose_command(), *arguments], self._environment)

    def _ask(self, path: str, method: str = "GET", **params: str) -> Any:
        answer = self._engine.request(method, path, params=params or None)
        if answer.is_error:
            raise StackFailed(f"the engine answered {answer.status_code} to {method} {path}: {answer.text[:200]}")
        return answer.json() if answer.content else None


def read_stats(stats: Mapping[str, Any]) -> Usage:
    """The engine's account of one container, of either version of control groups."""
    memory = stats["memory_stats"]
    cache = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
    return Usage(memory["usage"] - cache, stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9)


def moment(text: str) -> float:
    """Unix seconds of one of the engine's times, which have nanoseconds."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")


def run(command: list[str], environment: Mapping[str, str]) -> str:
    """What a command printed. Raises StackFailed, with the end of what it said, when it failed."""
    try:
        ended = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise StackFailed(f"{' '.join(command)} has not ended after {PATIENCE} s") from None
    if ended.returncode:
        said = (ended.stdout + ended.stderr)[-1500:]
        raise StackFailed(f"{' '.join(command)} ended with {ended.returncode}:\n{said}")
    return ended.stdout

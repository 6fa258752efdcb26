"""The staging overlay, brought up for real under a name and a port of its own, with secrets of its own."""

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.backup import archives
from tests.e2e.stack import PROJECT, clean_copy, missing_images

NAME, PORT = "specola-e2e-staging", 21443
URL = f"https://localhost:{PORT}"
FILES = ("docker-compose.yml", "docker-compose.staging.yml")
TLS = "docker-compose.tls.yml"
IMAGE = "specola/backend:0.1.0"


@dataclass
class Staging:
    """The running overlay."""

    name: str
    url: str
    folder: Path
    compose: list[str]
    environment: dict[str, str]

    def run(self, *arguments: str) -> str:
        """What a compose command prints; it has to succeed."""
        answer = subprocess.run(
            [*self.compose, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr[-3000:] + answer.stdout[-1000:]
        return answer.stdout

    def secret(self, name: str) -> str:
        """What one of the files holds."""
        return (self.folder / "secrets" / "staging" / name).read_text()

    def rotate(self, name: str) -> str:
        """Makes a secret anew; what is said of it."""
        return subprocess.run(
            [sys.executable, "-m", "scripts.staging.secrets"],
            cwd=self.folder,
            env={**self.environment, "ROTATE": name},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def back_up(self) -> list[Path]:
        """Makes an archive; all that there are, the newest last."""
        self.run("run", "--rm", "--no-deps", "-T", "backup", "python", "-m", "scripts.backup", "now")
        return archives(self.folder / "backups")

    def client(self, **options: Any) -> httpx.Client:
        """A client of the one address, which knows the authority that the gateway made."""
        root = self.folder / "root.crt"
        if not root.exists():
            self.run("cp", "gateway:/data/caddy/pki/authorities/local/root.crt", str(root))
        trusting = ssl.create_default_context(cadata=root.read_text())  # by its text: it may be another next time
        return httpx.Client(base_url=self.url, verify=trusting, timeout=15, **options)

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine knows of each service's container."""
        ids = self.run("ps", "-aq").split()
        inspected = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, check=True).stdout
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in json.loads(inspected)}

    def probe(
        self,
        service: str,
        addresses: Sequence[tuple[str, int]] = (),
        requests: Sequence[tuple[Any, ...]] = (),
        handshakes: Sequence[tuple[str, int]] = (),
    ) -> dict[str, Any]:
        """What listens in a service's network, and what it reaches from there (staging_probe.py)."""
        container = f"{self.name}-{service}-1"
        authority = self.secret("tls_authority.pem")
        given = json.dumps(
            {"addresses": addresses, "requests": requests, "handshakes": handshakes, "authority": authority}
        )
        program = (PROJECT / "tests" / "e2e" / "staging_probe.py").read_text()
        command = ["docker", "run", "--rm", "-i", "--network", f"container:{container}", IMAGE, "python", "-c", program]
        answer = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)
        assert answer.returncode == 0, answer.stderr
        result: dict[str, Any] = json.loads(answer.stdout)
        return result


def _ferretdb() -> bool:
    """Whether FerretDB stands for MongoDB here, as its image says."""
    config = subprocess.run(["docker", "compose", "config", "--format", "json"], cwd=PROJECT, capture_output=True)
    image = json.loads(config.stdout)["services"]["mongodb"]["image"]
    inspected = subprocess.run(["docker", "image", "inspect", image], capture_output=True, text=True, check=True)
    return "FERRETDB" in inspected.stdout


@contextlib.contextmanager
def staging(folder: Path, tls: bool = False) -> Iterator[Staging]:
    """`make secrets`, and the overlay up, in a clean copy; down again at the end. Skips by name where it cannot be.

    `tls`: with TLS between the parts, under another name and port.
    """
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker Engine answers here")
    if missing := missing_images():
        pytest.skip(f"these images are not here and cannot be pulled: {', '.join(missing)}")
    copy = clean_copy(folder)
    name, port = (f"{NAME}-tls", PORT + 1) if tls else (NAME, PORT)
    url = f"https://localhost:{port}"
    environment = {**os.environ, "STAGING_URL": url, "PORT_HTTPS": str(port)}
    subprocess.run([sys.executable, "-m", "scripts.staging.secrets"], cwd=copy, check=True, capture_output=True)
    if os.geteuid() == 0:  # they are somebody's who deploys, and no service runs as that user
        for path in [copy / "secrets" / "staging", *(copy / "secrets" / "staging").iterdir()]:
            os.chown(path, 12345, 12345)
    stand_ins = ["staging-ferretdb.yml", *(["staging-stand-ins-tls.yml"] if tls else [])] if _ferretdb() else []
    files = [*FILES, *([TLS] if tls else []), *(f"tests/e2e/{file}" for file in stand_ins)]
    compose = ["docker", "compose", "-p", name, *(part for file in files for part in ("-f", file))]
    stack = Staging(name, url, copy, compose, environment)
    stack.run("down", "-v")
    try:
        stack.run("up", "-d", "--build", "--wait", "--wait-timeout", "300")
        yield stack
    finally:
        if os.environ.get("KEEP") != "1":
            stack.run("down", "-v")

"""`make backup`, a machine that is emptied, `make restore`, in containers: counts and sample queries are equal."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pyrage
import pytest

from tests.e2e.backup import Contents, Record, assert_full
from tests.e2e.shipping import until
from tests.e2e.stack import PROJECT, missing_images

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
#: Ports of its own, from here on.
FIRST_PORT = 21_400


@dataclass(frozen=True)
class Containers:
    """A stack under a name and on ports of its own, whose archives go to a folder of the test's."""

    environment: dict[str, str]
    backups: Path

    def compose(self, *arguments: str) -> str:
        return self._run(*self.environment["COMPOSE"].split(), *arguments).stdout

    def backup(self, *arguments: str, said: str = "", code: int = 0, **more: str) -> str:
        """Runs what `make backup` and `make restore` do; all that it said."""
        done = self._run(sys.executable, "-m", "scripts.backup", *arguments, said=said, code=code, more=more)
        print(done.stdout, done.stderr)
        return done.stdout + done.stderr

    def _run(
        self, *command: str, said: str = "", code: int = 0, more: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env=self.environment | (more or {}),
            input=said,
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert done.returncode == code, f"{command}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        return done

    def address(self, name: str) -> str:
        names = {"tempo-otlp": "OTLP_HTTP"}
        return f"http://127.0.0.1:{self.environment['PORT_' + names.get(name, name.upper())]}"

    def read(self, name: str) -> list[Record]:
        url = f"mongodb://127.0.0.1:{self.environment['PORT_MONGODB']}"
        with pymongo.MongoClient[dict[str, Any]](url) as client:
            return list(client["specola"][name].find().sort("_id"))


@pytest.fixture(scope="module", params=["containers"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no Docker Engine answers here")
    if missing := missing_images():
        pytest.skip(f"these images are not here and cannot be pulled: {', '.join(missing)}")
    names = sorted(set(re.findall(r"\$\{(PORT_[A-Z_]+):-", (PROJECT / "docker-compose.yml").read_text())))
    ports = {name: str(FIRST_PORT + number) for number, name in enumerate(names)}
    backups = tmp_path_factory.mktemp("backups")
    own = {"COMPOSE": "docker compose -p specola-backup", "BACKUP_DIR": str(backups), "LOCAL": "0", "TRAFFIC": "0"}
    here = Containers({**os.environ, **ports, **own}, backups)
    here.compose("--profile", "*", "down", "-v")
    try:
        here.compose("up", "-d", "--build", "--wait", "--wait-timeout", "240")
        yield here
    finally:
        here.compose("--profile", "*", "down", "-v")


def test_an_emptied_machine_has_everything_again(stack: Containers) -> None:
    contents = Contents(stack.address, stack.read)
    contents.fill()
    at = time.time()
    facts = contents.facts(at)
    assert_full(facts)
    said = stack.backup("backup")
    assert "7/7 alertmanager" in said
    (archive,) = stack.backups.glob("specola-*.tar")
    assert (archive.stat().st_uid, archive.stat().st_mode & 0o777) == (os.getuid(), 0o600)

    key, encrypted = pyrage.x25519.Identity.generate(), stack.backups / "encrypted.tar.age"
    pyrage.encrypt_file(str(archive), str(encrypted), [key.to_public()])
    keys = stack.backups / "key"
    keys.write_text(str(key))
    stack.compose("--profile", "*", "down", "-v")
    assert "name the file of its secret key" in stack.backup("restore", str(encrypted), code=1)
    said = stack.backup("restore", str(encrypted), str(keys))
    assert "Type yes" not in said, "nothing is there that could be asked about"
    stack.compose("up", "-d", "--wait", "--wait-timeout", "240")
    contents.until_found()
    assert contents.facts(at) == facts

    # What is there is not replaced by mistake, and what is damaged replaces nothing.
    running = set(stack.compose("ps", "--services").split())
    said = stack.backup("restore", str(archive), said="no\n", code=1)
    assert "records of" in said
    assert "Nothing was replaced" in said
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = stack.backups / "damaged.tar"
    damaged.write_bytes(content)
    assert re.search(r"damaged.tar is damaged at \w+/.+", stack.backup("restore", str(damaged), code=1, YES="1"))
    assert set(stack.compose("ps", "--services").split()) == running
    assert contents.facts(at) == facts

    # Told to, it replaces what is there, and what is newer than the archive is gone.
    contents.log("later", 10)
    stack.backup("restore", str(archive), YES="1")
    assert set(stack.compose("ps", "--services").split()) == {"mongodb", "qdrant"}, "what owns the files is stopped"
    stack.compose("up", "-d", "--wait", "--wait-timeout", "240")
    contents.until_found()
    assert contents.facts(at) == facts
    range_ = {"query": '{service="later"}', "start": str(at - 3000)}
    assert contents.get("loki", "/loki/api/v1/query_range", **range_)["data"]["result"] == []


def test_prometheus_knows_the_age_of_the_nightly_backup(stack: Containers) -> None:
    before = time.time() - 1
    for archive in stack.backups.glob("specola-*"):
        archive.unlink()
    stack.compose("--profile", "backup", "up", "-d", "--wait", "backup")

    def when() -> float:
        query = 'backup_last_success_timestamp_seconds{job="backup"}'
        address = f"{stack.address('prometheus')}/api/v1/query"
        result = httpx.get(address, params={"query": query}).json()["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0

    assert until(when, "the service makes one, and Prometheus is told", seconds=120) >= before
    assert len(list(stack.backups.glob("specola-*.tar"))) == 1

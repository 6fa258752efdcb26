"""`make api-key`: from a key that does not exist to one that is revoked, in the store of the local processes."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from scripts.backend_process import BackendProcess

REPOSITORY = Path(__file__).resolve().parents[2]
#: The program itself, with its project moved to a folder of the test's own.
RUN = """
import sys
from pathlib import Path
import scripts.addresses
scripts.addresses.PROJECT = Path(sys.argv.pop(1))
import scripts.api_key
sys.exit(scripts.api_key.main())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "docker-compose.yml").symlink_to(REPOSITORY / "docker-compose.yml")
    (tmp_path / "backend").symlink_to(REPOSITORY / "backend")
    return tmp_path


def api_key(project: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    given = {**os.environ, "LOCAL": "1", "PYTHONPATH": str(REPOSITORY), **environment}
    command = [sys.executable, "-c", RUN, str(project)]
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)


def test_a_key_is_printed_once_serves_within_seconds_and_is_revoked(project: Path) -> None:
    made = api_key(project, NAME="kiosk", SCOPES="documents", RATE="90")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert key.startswith("sk-specola-"), "the key and nothing else, for a program to take"

    store = str(project / ".data/backend/specola.sqlite")
    with BackendProcess(project, SQLITE_PATH=store, API_KEYS_REQUIRED="true") as backend:
        address = f"{backend.address}/api/v1/indexing/jobs"
        assert httpx.get(address).status_code == 401
        assert httpx.get(address, headers={"Authorization": f"Bearer {key}"}).status_code == 200

    listed = api_key(project).stdout
    assert all(word in listed for word in ("kiosk", "documents", "90/min", "active", key.split("-")[2]))
    assert key[-20:] not in listed
    assert api_key(project, REVOKE="kiosk").returncode == 0
    assert "revoked 20" in api_key(project).stdout
    again = api_key(project, REVOKE="kiosk")
    assert (again.returncode, "no active key" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"NAME": "kiosk"}, "a new key needs a NAME and SCOPES"),
        ({"SCOPES": "chat"}, "a new key needs a NAME and SCOPES"),
        ({"NAME": "kiosk", "SCOPES": "everything"}, "the scopes of a key are some of chat, documents, admin"),
        ({"NAME": "kiosk", "SCOPES": "chat", "RATE": "often"}, "invalid int value"),
    ],
)
def test_what_makes_no_sense_is_refused(project: Path, environment: dict[str, str], complaint: str) -> None:
    refused = api_key(project, **environment)
    assert refused.returncode != 0
    assert complaint in refused.stderr
    assert refused.stdout == ""


def test_where_containers_run_the_backends_own_makes_it(project: Path) -> None:
    docker = project / "docker"
    docker.write_text('#!/bin/sh\ncase "$*" in info|*version|ps*) ;; *) echo "$@" ;; esac\n')
    docker.chmod(0o755)
    path = f"{project}:{os.environ['PATH']}"
    said = api_key(project, NAME="kiosk", SCOPES="chat,documents", RATE="5", LOCAL="", PATH=path).stdout
    assert said == "compose exec -T backend python -m app.keys make kiosk --scopes chat,documents --rate 5\n"

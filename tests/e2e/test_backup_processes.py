"""`make backup`, everything removed, `make restore`, with local processes; and the nightly backup among them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Stack, processes, until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", params=["processes"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKUP_NIGHTLY", "1")
        with processes(tmp_path_factory.mktemp("backup")) as stack:
            yield stack


def run(stack: Stack, *command: str, said: str = "", code: int = 0, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=stack.folder, env=stack.environment | {"LOCAL": "1"} | more,
        input=said, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def jobs(stack: Stack) -> list[str]:
    found = stack.get("gateway", "/api/v1/indexing/jobs", status="completed")["jobs"]
    return sorted(job["filename"] for job in found)


def test_the_stack_makes_one_and_prometheus_knows_when(stack: Stack) -> None:
    stack.address("prometheus")
    when = 'backup_last_success_timestamp_seconds{job="backup"} > 0'
    (found,) = until(lambda: stack.query(when), "the service makes one, and Prometheus is told", 90)
    assert abs(float(found["value"][1]) - time.time()) < 120
    assert len(list((stack.folder / "backups").glob("specola-*.tar"))) == 1


def test_what_was_removed_is_there_again(stack: Stack) -> None:
    for name in ("one.txt", "two.txt"):
        file = {"file": (name, f"The harbour {name} is deep.")}
        httpx.post(stack.address("gateway") + "/api/v1/documents", files=file).raise_for_status()
    until(lambda: len(jobs(stack)) == 2, "both are indexed")
    said = run(stack, "scripts.backup", "backup")
    assert "documents: 1 file" in said
    archive = max((stack.folder / "backups").glob("specola-*.tar"))

    # It does not replace what is there without being told to.
    said = run(stack, "scripts.backup", "restore", str(archive), said="no\n", code=1)
    assert f"a database in {stack.folder}/.data/backend" in said
    assert "Nothing was replaced" in said
    assert len(jobs(stack)) == 2

    run(stack, "scripts.local", "clean", YES="1")
    said = run(stack, "scripts.backup", "restore", str(archive))
    assert "Type yes" not in said
    run(stack, "scripts.local", "up")
    assert jobs(stack) == ["one.txt", "two.txt"]


def test_without_a_name_it_lists_what_there_is(stack: Stack) -> None:
    said = run(stack, "scripts.backup", "restore", code=1)
    assert all(str(archive) in said for archive in (stack.folder / "backups").glob("specola-*.tar"))
    said = run(stack, "scripts.backup", "restore", str(Path("no/such.tar")), code=1)
    assert f"there is no archive {stack.folder}/no/such.tar" in said

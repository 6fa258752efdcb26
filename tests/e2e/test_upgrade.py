"""`make upgrade` with data in place: to a version that works, and to some that do not."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from scripts.local.supervise import Supervisor
from scripts.receivers import SWITCHED_ON
from scripts.upgrade.versions import RUNS
from tests.e2e.stack import PROJECT, Stack, clean_copy, missing_images, ports, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
COMPOSE, RULES, MAIN = "docker-compose.yml", "prometheus/rules/capacity.yml", "backend/app/main.py"
STARTED = 'logger.info("started"'
#: In the place of Prometheus' command.
WITH_SHELL = """\
    entrypoint: [/bin/sh, -c, "COMMAND"]
    command:
      - --config.file=/etc/prom"""


def git(stack: Stack, *arguments: str) -> str:
    someone = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
    done = subprocess.run(["git", *someone, *arguments], cwd=stack.folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def version(stack: Stack, tag: str, changes: dict[str, tuple[str, str]]) -> None:
    """Commits the next version: in each file, a text that is another there."""
    for name, (before, after) in changes.items():
        path = stack.folder / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))
    git(stack, "commit", "-qam", tag)
    git(stack, "tag", tag)


def make(stack: Stack, target: str, fails: bool = False, **more: str) -> str:
    done = subprocess.run(
        ["make", target, *(f"{name}={value}" for name, value in more.items())],
        cwd=stack.folder, env=stack.environment, capture_output=True, text=True, timeout=550, check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module", params=["containers", "processes"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    copy = clean_copy(tmp_path_factory.mktemp("upgrade"))
    for name in (".tools", ".venv"):
        (copy / name).symlink_to(PROJECT / name)
    os.utime(copy / "requirements.txt", (0, 0))  # nothing is to be installed into what is shared
    stack = Stack(request.param, {**os.environ, **ports(request.param), "TRAFFIC": "0", "LOCAL": "1"}, copy)
    git(stack, "init", "-q", "-b", "main")
    (copy / ".git/info/exclude").write_text(".venv\n.tools\n")
    git(stack, "add", ".")
    git(stack, "commit", "-qm", "one")
    git(stack, "tag", "v1")
    if request.param == "containers":
        names = startable()
        stack.compose = ["docker", "compose", "-p", "specola-upgrade"]
        stack.environment |= {"LOCAL": "0", "COMPOSE": " ".join(stack.compose), "ALERTMANAGER_CONFIG": SWITCHED_ON}
        subprocess.run([".venv/bin/python", "-m", "scripts.receivers"], cwd=copy, check=True)
    try:
        if stack.compose:  # not by `make up`, where an image is missing
            stack.run("--profile", "*", "down", "-v")
            stack.run("up", "-d", "--build", "--wait", "--no-deps", *names)
            git(stack, "update-ref", RUNS, "HEAD")
        else:
            make(stack, "up")
        stack.services = set(starts(stack))
        fill(stack)
        yield stack
    finally:
        if stack.compose:
            stack.run("--profile", "*", "down", "-v")
        else:
            make(stack, "down")


def startable() -> list[str]:
    """The services of the compose file whose images are here; all but Grafana have to be."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker Engine answers here")
    missing = missing_images()
    services = yaml.safe_load((PROJECT / COMPOSE).read_text())["services"]
    if lacking := [image for image in missing if "/grafana:" not in image]:
        pytest.skip(f"these images are not here and cannot be pulled: {', '.join(lacking)}")
    return [name for name, one in services.items() if one["image"] not in missing and "profiles" not in one]


def fill(stack: Stack) -> None:
    file = {"file": ("harbour.txt", "The harbour of Genoa is 15 metres deep.")}
    httpx.post(stack.address("gateway") + "/api/v1/documents", files=file).raise_for_status()
    until(lambda: documents(stack), "it is indexed")
    assert "15 metres" in answer(stack)


def documents(stack: Stack) -> list[str]:
    found = stack.get("gateway", "/api/v1/indexing/jobs", status="completed")["jobs"]
    return sorted(job["filename"] for job in found)


def answer(stack: Stack) -> str:
    url = stack.address("gateway") + "/api/v1/chat/sessions"
    session = httpx.post(url).json()["session_id"]
    said = httpx.post(f"{url}/{session}/messages", json={"content": "How deep is the harbour of Genoa?"}, timeout=30)
    return str(said.json()["answer"] if "answer" in said.json() else said.json())


def starts(stack: Stack) -> dict[str, object]:
    """The process or container of each part: another one after each start."""
    if stack.compose:
        lines = [json.loads(line) for line in stack.run("ps", "--format", "json").stdout.splitlines()]
        return {line["Service"]: line["ID"] for line in lines if line["State"] == "running"}
    return {name: state.pid for name, state in Supervisor(stack.folder / ".run").states().items()}


def restarted(stack: Stack, act: Callable[[], object]) -> set[str]:
    before = starts(stack)
    act()
    after = starts(stack)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def flag(stack: Stack, name: str) -> str:
    return str(stack.get("prometheus", "/api/v1/status/flags")["data"][name])


def test_only_what_changed_is_started_anew_and_the_data_is_there(stack: Stack) -> None:
    version(
        stack, "v2", {
            COMPOSE: ("resend-delay=15s", "resend-delay=20s"),
            RULES: ("groups:\n", "groups:\n  - {name: next, rules: [{record: next_version, expr: vector(2)}]}\n"),
        },
    )  # fmt: skip
    kept = git(stack, "rev-parse", RUNS)
    assert kept == git(stack, "rev-parse", "v1^{commit}")
    git(stack, "update-ref", "-d", RUNS)
    said = make(stack, "upgrade", fails=True)
    assert "make upgrade FROM=v1.0.0" in said
    assert restarted(stack, lambda: make(stack, "upgrade", FROM="v1")) == {"prometheus"}
    assert flag(stack, "rules.alert.resend-delay") == "20s"
    until(lambda: stack.query("next_version"), "the new rule is evaluated")
    assert documents(stack) == ["harbour.txt"]
    assert "15 metres" in answer(stack)
    assert len(list((stack.folder / "backups").glob("specola-*.tar"))) == 1
    assert restarted(stack, lambda: make(stack, "upgrade")) == set()
    assert "Nothing is to be done" in make(stack, "upgrade")


def test_a_version_whose_files_are_not_valid_touches_nothing(stack: Stack) -> None:
    version(stack, "v3-invalid", {RULES: ("vector(2)", "vector(")})
    git(stack, "checkout", "-q", "v2")
    said = ""

    def act() -> None:
        nonlocal said
        said = make(stack, "upgrade", fails=True, TO="v3-invalid")

    assert restarted(stack, act) == set()
    assert "prometheus refuses its configuration" in said
    assert "unclosed left parenthesis" in said
    assert "Nothing was touched: v2" in said
    assert git(stack, "describe", "--tags") == "v2"


def test_a_version_that_does_not_start_is_rolled_back(stack: Stack) -> None:
    version(stack, "v4-broken", {MAIN: (STARTED, f'raise OSError("cannot start"); {STARTED}'), RULES: ("(2)", "(4)")})
    git(stack, "checkout", "-q", "v2")
    said = ""

    def act() -> None:
        nonlocal said
        said = make(stack, "upgrade", fails=True, TO="v4-broken")

    assert restarted(stack, act) == {"backend", "alert-inbox", "prometheus"}
    assert "The upgrade failed at backend" in said
    assert "backend: " in said
    assert "cannot start" in said
    assert "v2 (0.1.0) serves again" in said
    assert git(stack, "describe", "--tags") == "v2"
    assert documents(stack) == ["harbour.txt"]
    assert "15 metres" in answer(stack)
    until(lambda: stack.query("next_version == 2"), "the old rule is evaluated")
    assert restarted(stack, lambda: make(stack, "upgrade")) == set()


def test_a_store_that_the_next_version_made_unreadable_holds_what_the_backup_does(stack: Stack) -> None:
    ruin = "import pathlib; pathlib.Path(settings.sqlite_path).write_bytes(bytes(9000)); raise OSError('ruined'); "
    command = "rm -rf /prometheus/wal && touch /prometheus/wal && exit 1"
    changes = {
        "containers": {
            COMPOSE: ("    command:\n      - --config.file=/etc/prom", WITH_SHELL.replace("COMMAND", command))
        },
        "processes": {MAIN: (STARTED, ruin + STARTED)},
    }
    query = 'count_over_time(up{job="prometheus"}[1h]) > 5'
    until(lambda: stack.query(query), "there are metrics to lose")
    at = time.time()
    version(stack, "v5-ruins", changes[stack.mode])
    git(stack, "checkout", "-q", "v2")
    said = make(stack, "upgrade", fails=True, TO="v5-ruins")
    name = {"containers": "prometheus", "processes": "backend"}[stack.mode]
    assert f"{name} holds what it held at the backup" in said
    assert "v2 (0.1.0) serves again" in said
    assert documents(stack) == ["harbour.txt"]
    assert "15 metres" in answer(stack)
    assert stack.get("prometheus", "/api/v1/query", query=query, time=at)["data"]["result"]


def test_what_is_not_committed_is_not_upgraded_from(stack: Stack) -> None:
    path = Path(stack.folder / RULES)
    path.write_text(path.read_text() + "# mine\n")
    assert f"Changed and not committed: {RULES}" in make(stack, "upgrade", fails=True)
    git(stack, "checkout", "-q", RULES)

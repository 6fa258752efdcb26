"""`make api-key`: has the backend's own program make, list or revoke a key, in the running stack's store."""

import os
import subprocess
import sys

from scripts.addresses import PROJECT
from scripts.local.compose import ComposeError, load
from scripts.up import EngineRefused, compose, engine_problem, processes_run


def words() -> list[str]:
    """What is asked for, by the variables NAME, SCOPES and RATE, or REVOKE. ValueError for half of it."""
    name, scopes, rate, revoke = (os.environ.get(variable, "") for variable in ("NAME", "SCOPES", "RATE", "REVOKE"))
    if revoke:
        return ["revoke", revoke]
    if bool(name) != bool(scopes):
        raise ValueError("a new key needs a NAME and SCOPES: make api-key NAME=kiosk SCOPES=chat,documents")
    return ["make", name, "--scopes", scopes, *(["--rate", rate] if rate else [])] if name else ["list"]


def main() -> int:
    """Asks the backend's container; where processes run, or no engine answers, the embedded store."""
    try:
        command = ["python", "-m", "app.keys", *words()]
        if not processes_run() and engine_problem() is None:
            return compose("exec", "-T", "backend", *command)
        local = load(PROJECT, os.environ)["backend"].local
    except (ComposeError, EngineRefused, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    assert local, "the backend has an x-local key"
    path = PROJECT / local.environment["SQLITE_PATH"]
    environment = {**os.environ, "DOCUMENT_STORE": "sqlite", "SQLITE_PATH": str(path)}
    return subprocess.run(
        [sys.executable, *command[1:]], cwd=PROJECT / "backend", env=environment, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())

"""A machine on which `scripts.up` runs as a process: its engines and make only write down how they are called."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
#: The program itself, with its project moved to a folder of the test's own.
RUN = """
import sys
from pathlib import Path
import scripts.addresses
scripts.addresses.PROJECT = Path(sys.argv.pop(1))
from scripts.up import main
sys.exit(main())
"""
#: Writes down its call. DOCKER_INFO is what `docker info` fails with, …_CODE the exit code of each of the others.
FAKE = """#!/bin/sh
name=$(basename "$0")
echo "$name $*" >> "$CALLS"
case "$name $1" in
  "docker info") [ -z "$DOCKER_INFO" ] || { echo "$DOCKER_INFO" >&2; exit 1; } ;;
  "docker-compose info") exit 1 ;;
  "docker-compose version") exit "${VERSION_CODE:-0}" ;;
  "docker ps"|"podman ps") printf "%s" "${CONTAINERS:+one two}" ;;
  "docker inspect") printf "%s" "$CONTAINERS" ;;
  *" info") ;;
  *" compose"|docker-compose*)
    [ "$2" != version ] || exit "${VERSION_CODE:-0}"
    echo "compose ran in $PWD with ${COMPOSE_FILE:-no file named}"
    exit "${COMPOSE_CODE:-0}" ;;
  python*) echo "YES=$YES"; exit "${LOCAL_CODE:-0}" ;;
  make*) exit "${MAKE_CODE:-0}" ;;
esac
"""


class Machine:
    """A machine with these programs and a project."""

    def __init__(self, folder: Path, *programs: str) -> None:
        self.project = folder / "project"
        self._path, self._calls = folder / "path", folder / "calls"
        (self.project / ".venv" / "bin").mkdir(parents=True)
        self._path.mkdir()
        (self.project / "docker-compose.yml").write_bytes((REPOSITORY / "docker-compose.yml").read_bytes())
        for tool in ("basename", "env"):
            (self._path / tool).symlink_to(f"/usr/bin/{tool}")
        places = [self.project / ".venv" / "bin" / "python", *(self._path / name for name in ("make", *programs))]
        for place in places:
            place.write_text(FAKE)
            place.chmod(0o755)

    def __call__(self, *arguments: str, said: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command of `scripts.up`, with an empty standard input unless something is `said`."""
        kept = {name: value for name, value in os.environ.items() if name.startswith("COV")}
        given = {"PATH": str(self._path), "CALLS": str(self._calls), "PYTHONPATH": str(REPOSITORY), **kept}
        return subprocess.run(
            [sys.executable, "-c", RUN, str(self.project), *arguments],
            env=given | environment, input=said, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    @property
    def calls(self) -> list[str]:
        """What was called, but for the questions whether an engine answers and what runs."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [line for line in lines if not re.search(r" (info|version)$|^\w+ (ps|inspect) ", line)]

    def ran_processes(self, now: bool = False) -> None:
        """Local processes were started here before, and run `now`."""
        (self.project / ".run").mkdir()
        if now:
            (self.project / ".run" / "supervisord.pid").write_text("1")


Maker = Callable[..., Machine]

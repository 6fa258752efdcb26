"""The commands of the runbooks, each run as it stands there against the running stack."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.stack import OFFSETS, Stack, ports
from tests.runbooks import PAGES, commands

pytestmark = pytest.mark.timeout(420)
#: Each once, however many pages name it.
COMMANDS = sorted({command for page in PAGES.values() for command in commands(page)})
SERVICES = {
    int(number) - OFFSETS["containers"]: name.removeprefix("PORT_").lower().replace("_", "-")
    for name, number in ports("containers").items()
}


@pytest.fixture(autouse=True)
def as_a_person_has_it(stack: Stack) -> None:
    """`docker compose` finds the stack by its name, and make finds an environment."""
    if stack.compose:
        stack.environment["COMPOSE_PROJECT_NAME"] = stack.compose[-1]
    if not (stack.folder / ".venv").exists():  # else make would install a second one
        (stack.folder / ".venv").symlink_to(sys.prefix)


def here(command: str, stack: Stack) -> str:
    """The command with this stack's ports; skips the test by name when what it speaks to does not run here."""
    if command.startswith("docker ") and stack.mode != "containers":
        pytest.skip("it needs containers")
    if command.startswith("make ") and not Path(sys.prefix, "run").exists():
        pytest.skip("make would install another environment: this one was not made by make")
    return re.sub(r"localhost:(\d+)", lambda found: stack.address(SERVICES[int(found[1])])[len("http://") :], command)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_a_runbook_works_as_it_stands_there(command: str, stack: Stack) -> None:
    end = subprocess.run(
        ["bash", "-o", "pipefail", "-c", here(command, stack)],
        cwd=stack.folder,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert end.returncode == 0, end.stdout[-1000:] + end.stderr[-1000:]

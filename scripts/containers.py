"""The compose command in use, and what runs of this project: started where, and with which files.

Standard library alone: `make up` uses it before anything is installed.
"""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from scripts.addresses import PROJECT, setting

LABEL = "com.docker.compose."


def compose_command() -> list[str]:
    """The compose command in use. Raises ValueError for a COMPOSE that cannot be read."""
    try:
        return shlex.split(setting("COMPOSE")) or ["docker", "compose"]
    except ValueError as error:
        raise ValueError(f"COMPOSE={setting('COMPOSE')} cannot be read ({error}): write it as in a shell") from None


def engine_command() -> list[str]:
    """The engine's own command: `sudo docker` of "sudo docker compose", `podman` of "podman-compose"."""
    words = compose_command()
    for number, word in enumerate(words):
        if word == "compose" and number:
            return words[:number]
        if word.endswith("-compose"):
            return [*words[:number], word.removesuffix("-compose")]
    return words[:1]


def project_name() -> str:
    """What Compose calls the project here, and its containers and volumes after it."""
    if named := re.search(r" (?:-p|--project-name)[ =](\S+)", " ".join(compose_command())):
        return named[1]
    text = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")
    default = re.search(r"^name: *(\S+)", text, re.MULTILINE)
    return setting("COMPOSE_PROJECT_NAME") or (default[1] if default else PROJECT.name.lower())


def listed(project: str, ask: Callable[[list[str]], str]) -> list[dict[str, Any]]:
    """What the engine says of each container of a project, but for those of single runs. `ask` runs a command."""
    engine = engine_command()
    ids = ask([*engine, "ps", "-aq", "--filter", f"label={LABEL}project={project}"]).split()
    found = json.loads(ask([*engine, "inspect", *ids]) or "[]") if ids else []
    return [one for one in found if one["Config"]["Labels"].get(f"{LABEL}oneoff") != "True"]


def origin(containers: Sequence[dict[str, Any]]) -> tuple[Path, list[Path]]:
    """The folder and the compose files that the containers were started with: those of the youngest.

    What a file does not change is not made anew with it, and goes on naming those of before.
    """
    labels = max(containers, key=lambda one: str(one["Created"]))["Config"]["Labels"]
    files = labels.get(f"{LABEL}project.config_files", "").split(",")
    return Path(labels.get(f"{LABEL}project.working_dir", "")), [Path(file) for file in files if file]


@cache
def follow() -> frozenset[str]:
    """Has Compose use the files that the stack runs with, where neither COMPOSE nor COMPOSE_FILE names any.

    Without that `make up` would replace a staging that was started with its overlay by the open stack. Asked once a
    command: returns the services that have a container. Raises ValueError when the stack of this name was started from
    another folder.
    """
    containers = listed(project_name(), _ask)
    if not containers:
        return frozenset()
    folder, files = origin(containers)
    if folder.is_dir() and folder.resolve() != PROJECT.resolve():
        raise ValueError(
            f"The stack {project_name()!r} of this machine was started in {folder}: do this there. Another one beside "
            "it needs a name and ports of its own: COMPOSE_PROJECT_NAME=… and the PORT_… variables (.env.example)."
        )
    named = setting("COMPOSE_FILE") or any(word.split("=")[0] in ("-f", "--file") for word in compose_command())
    if not named and files and [file.resolve() for file in files] != [(PROJECT / "docker-compose.yml").resolve()]:
        if gone := next((file for file in files if not file.is_file()), None):
            raise ValueError(f"The stack runs with {gone}, which is there no more: name its files in COMPOSE_FILE.")
        os.environ["COMPOSE_FILE"] = os.pathsep.join(map(str, files))
        names = ", ".join(file.name for file in files)
        print(f"With the files that it runs with: {names} (COMPOSE_FILE names others).", flush=True)
    return frozenset(one["Config"]["Labels"].get(f"{LABEL}service", "") for one in containers)


def _ask(command: Sequence[str]) -> str:
    """What the engine says; nothing where it fails: the command that follows says why."""
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False).stdout

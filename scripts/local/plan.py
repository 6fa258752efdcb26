"""What `up` is going to run: each service's program, arguments, environment and config files."""

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts.local.compose import Local, Service
from scripts.local.programs import Finder, Found, Missing
from scripts.local.render import LeftOut, Renderer, missing_sources, render_service
from scripts.local.substitute import Folders, Substitution

#: What a process may know of the environment of whoever started it; the rest is for the compose file to say.
INHERITED = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "SSL_CERT_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
#: Marks a process, and what it starts, as one of this project's local stack.
MARK = "SPECOLA_LOCAL"


@dataclass(frozen=True)
class Process:
    """One process to supervise. `digest` changes whenever anything that it was started from does."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    ready: str
    digest: str = ""

    def script(self) -> str:
        """A shell script that becomes the process: no format in between has to escape anything."""
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(self.environment.items()))
        return f"#!/bin/sh\ncd {shlex.quote(str(self.folder))} || exit 1\n{exports}exec {shlex.join(self.arguments)}\n"


@dataclass
class Plan:
    """Everything that a person is told at the end, and what is started."""

    services: Mapping[str, Service]
    processes: dict[str, Process] = field(default_factory=dict)
    found: dict[str, Found] = field(default_factory=dict)
    missing: dict[str, Missing] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def instead(self) -> dict[str, str]:
        """What serves in place of a service that has no local program."""
        return {s.name: s.local.instead for s in self.services.values() if s.local and s.local.instead}


def make(services: Mapping[str, Service], folders: Folders, finder: Finder, given: Mapping[str, str]) -> Plan:
    """Find every program, and render the config files for those that were found.

    `given` is the environment of whoever calls. Raises ComposeError.
    """
    plan = Plan(services)
    for service in services.values():
        if not service.runs_locally:
            continue
        found = _lacking(service, folders) or finder.find(service)
        if isinstance(found, Found):
            plan.found[service.name] = found
        else:
            plan.missing[service.name] = found
    rendered = render(services, folders, plan.found, plan.left_out)
    for name, found in plan.found.items():
        plan.processes[name] = _process(plan, name, found, folders, rendered[name], given)
    return plan


def render(
    services: Mapping[str, Service], folders: Folders, runs: Iterable[str], left_out: LeftOut
) -> dict[str, dict[str, str]]:
    """Write the config files of the services that run; their contents by service and path.

    Raises ComposeError.
    """
    running, described = frozenset(runs), frozenset(services)
    contents = {}
    for name in sorted(running):
        substitution = Substitution(services[name], services, folders)
        renderer = Renderer(substitution, running, described, left_out)
        contents[name] = render_service(services[name], folders, renderer)
    return contents


def _lacking(service: Service, folders: Folders) -> Missing | None:
    """What is said of a service that mounts something which is not there."""
    lacking = [mount.source for mount in missing_sources(service, folders)]
    if not lacking:
        return None
    return Missing((f"it mounts {', '.join(lacking)}, which is not there",), "put that back")


def _process(
    plan: Plan,
    name: str,
    found: Found,
    folders: Folders,
    rendered: Mapping[str, str],
    given: Mapping[str, str],
) -> Process:
    service, local = plan.services[name], plan.services[name].local
    assert local is not None, f"{name} has no x-local key"
    for mount in service.mounts:
        if mount.is_volume:
            folders.volume(mount.source).mkdir(parents=True, exist_ok=True)
    substitution = Substitution(service, plan.services, folders)
    absent = plan.services.keys() - plan.found.keys()
    arguments = (str(found.path), *_arguments(service, local, found, substitution))
    environment = {name: given[name] for name in INHERITED if name in given} | {MARK: str(folders.run)}
    for name, value in {**service.environment, **local.environment}.items():
        without = name in local.optional and substitution.names_one_of(value, absent)
        environment[name] = "" if without else substitution.setting(value)
    folder = folders.project / local.folder if local.folder else found.folder or folders.run
    sources = _python_sources(folder, arguments) if local.program == "python" else {}
    # Without the names of the stack's own folders, so that what is planned elsewhere can be compared with what runs,
    # and without PATH, which differs from shell to shell, and by which no program is found.
    text = json.dumps([arguments, environment | {"PATH": ""}, rendered, sources])
    for path in (folders.run, folders.data, folders.logs, folders.project / ".data"):
        text = text.replace(json.dumps(str(path))[1:-1], path.name.removeprefix("."))
    digest = hashlib.sha256(text.encode()).hexdigest()
    ready = f"{service.url}{local.ready}" if local.ready else ""
    return Process(service.name, arguments, environment, folder, ready, digest)


def _arguments(service: Service, local: Local, found: Found, substitution: Substitution) -> tuple[str, ...]:
    words = list(service.command if local.command is None else local.command)
    if words and words[0] == local.program:
        del words[0]  # the image's command names its program, as the backend's does
    if found.path.name.endswith("-server") and words[:1] == ["server"]:
        del words[0]  # `grafana-server` is what newer Grafanas call `grafana server`
    if found.home:
        words = [word.replace("HOME", str(found.home)) for word in words]
    return tuple(substitution.text(word) for word in (*words, *local.arguments))


def _python_sources(folder: Path, arguments: tuple[str, ...]) -> dict[str, str]:
    """The digests of the files of a Python module's package: changed code is started anew, as by a rebuild."""
    if "-m" not in arguments:
        return {}
    package = folder / arguments[arguments.index("-m") + 1].partition(".")[0]
    files = (file for file in package.rglob("*") if file.is_file() and file.suffix != ".pyc")
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}


def environment_of_supervisor(given: Mapping[str, str]) -> dict[str, str]:
    """What supervisord itself is started with."""
    return {name: given[name] for name in INHERITED if name in given} | {
        "PATH": given.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }

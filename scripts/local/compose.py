"""docker-compose.yml, read into typed services. Everything that is run locally is described there and only there."""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scripts.addresses import SettingError
from scripts.local.interpolation import InterpolationError, interpolate, last_variable, read_env_file


class ComposeError(SettingError):
    """The compose file or `.env` cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Mount:
    """What a container sees at `target`: a named volume, or a path of this machine."""

    source: str
    target: str

    @property
    def is_volume(self) -> bool:
        return not self.source.startswith((".", "/", "~"))


@dataclass(frozen=True)
class Port:
    """A published port, and the variable that moves it (none: it is written as a number)."""

    host: int
    container: int
    variable: str | None = None


@dataclass(frozen=True)
class Archive:
    """Addresses of a release archive and of its checksums, with {version}, {os} and {arch} to fill in."""

    url: str
    checksums: str


@dataclass(frozen=True)
class Local:
    """A service's `x-local` key: which program stands for it, and what differs from the container.

    `port` is the container's port that `ready` is asked at (where the service publishes none, the port of this
    machine itself), `internal` are ports that nobody else needs to know, `command` replaces the service's own and
    `arguments` follow it, `environment` wins over the service's; a variable of `optional` is empty where it names a
    service that does not run here. `instead`: no program, and what serves in its place. `enabled` is "0" or empty
    where a setting says that the service shall not run.
    """

    program: str = ""
    names: tuple[str, ...] = ()
    home: bool = False
    folder: str = ""
    port: int = 0
    internal: tuple[Port, ...] = ()
    port_variable: str | None = None
    ready: str = ""
    command: tuple[str, ...] | None = None
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    archive: Archive | None = None
    debian: str = ""
    minimum: str = ""
    instead: str = ""
    enabled: bool = True


@dataclass(frozen=True)
class Service:
    """One service of the compose file. `version` is its image's tag without a leading v."""

    name: str
    version: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    ports: tuple[Port, ...]
    local: Local | None

    @property
    def runs_locally(self) -> bool:
        """Whether a program of this machine can stand for it."""
        return self.local is not None and bool(self.local.program) and self.local.enabled

    def host_port(self, container: int) -> int:
        """Where a port of the container is reached on this machine."""
        if not self.ports and self.local and self.local.port:
            return self.local.port
        return next((port.host for port in self.ports if port.container == container), container)

    @property
    def local_ports(self) -> tuple[Port, ...]:
        """Every port that the service's program listens on here."""
        if self.local is None:
            return ()
        own = self.ports
        if not own and self.local.port:
            own = (Port(self.local.port, self.local.port, self.local.port_variable),)
        return own + self.local.internal

    @property
    def url(self) -> str:
        """The service's address for a person, without a path; empty when it serves nothing."""
        return f"http://127.0.0.1:{self.host_port(self.local.port)}" if self.local and self.local.port else ""


def settings(project: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of `project`/.env, and above them those of the environment. Raises ComposeError."""
    return {**_env_file(project / ".env", environment), **environment}


def load(project: Path, environment: Mapping[str, str] | None = None) -> dict[str, Service]:
    """The services of `project`/docker-compose.yml, by name, with `.env` and the environment filled in.

    Raises ComposeError.
    """
    outside = os.environ if environment is None else environment
    variables = settings(project, outside)
    path = project / "docker-compose.yml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ComposeError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ComposeError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("services"), dict):
        raise ComposeError(f"{path} describes no services")
    services = {}
    for name, body in raw["services"].items():
        filled = _fill(body, variables, f"{path.name}: services.{name}")
        from_files = _env_files(project, filled.get("env_file", ()), variables)
        own = from_files | _environment(filled.get("environment"), variables)
        services[name] = _service(name, body, {**filled, "environment": own})
    return services


def _env_files(project: Path, entries: Any, variables: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for entry in [entries] if isinstance(entries, str) else entries:
        required = not isinstance(entry, dict) or entry.get("required", True)
        path = project / str(entry["path"] if isinstance(entry, dict) else entry)
        if required and not path.exists():
            raise ComposeError(f"docker-compose.yml: the env_file {path} is not there")
        values |= _env_file(path, variables)
    return values


def _env_file(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        return read_env_file(path.read_text(encoding="utf-8"), environment)
    except InterpolationError as error:
        raise ComposeError(f"{path}: {error}") from error


def _fill(node: Any, variables: Mapping[str, str], where: str) -> Any:
    if isinstance(node, dict):
        return {key: _fill(value, variables, f"{where}.{key}") for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, variables, f"{where}[{index}]") for index, value in enumerate(node)]
    if not isinstance(node, str):
        return node
    try:
        return interpolate(node, variables)
    except InterpolationError as error:
        raise ComposeError(f"{where}: {error}") from error


def _service(name: str, raw: Mapping[str, Any], body: Mapping[str, Any]) -> Service:
    where = f"docker-compose.yml: services.{name}"
    raw_ports = zip(raw.get("ports", ()), body.get("ports", ()), strict=True)
    return Service(
        name=name,
        version=_version(str(body.get("image", ""))),
        command=_words(body.get("command")),
        environment=body["environment"],
        mounts=tuple(_mount(entry, f"{where}.volumes") for entry in body.get("volumes", ())),
        ports=tuple(_port(entry, last_variable(before), f"{where}.ports") for before, entry in raw_ports),
        local=_local(raw.get("x-local"), body.get("x-local"), f"{where}.x-local"),
    )


def _version(image: str) -> str:
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return tag.removeprefix("v")


def _words(command: Any) -> tuple[str, ...]:
    if command is None:
        return ()
    return tuple(shlex.split(command)) if isinstance(command, str) else tuple(map(str, command))


def _environment(entries: Any, variables: Mapping[str, str]) -> dict[str, str]:
    """A service's variables; one without a value is taken from `variables`, if it is there."""
    if isinstance(entries, list):
        entries = {name: value if equals else None for name, equals, value in (e.partition("=") for e in entries)}
    given = entries or {}
    passed_on = {name: variables[name] for name, value in given.items() if value is None and name in variables}
    return {name: _text(value) for name, value in given.items() if value is not None} | passed_on


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _mount(entry: Any, where: str) -> Mount:
    if isinstance(entry, dict):
        return Mount(str(entry.get("source", "")), str(entry["target"]).rstrip("/") or "/")
    source, colon, rest = str(entry).partition(":")
    if not colon:
        raise ComposeError(f"{where}: {entry!r} names no source; anonymous volumes are not supported")
    return Mount(source, rest.partition(":")[0].rstrip("/") or "/")


def _port(entry: Any, variable: str | None, where: str) -> Port:
    if isinstance(entry, dict):
        return Port(_number(entry["published"], where), _number(entry["target"], where), variable)
    parts = str(entry).partition("/")[0].split(":")
    host = parts[-2] if len(parts) > 1 else parts[-1]
    return Port(_number(host.partition("-")[0], where), _number(parts[-1], where), variable)


def _number(value: Any, where: str) -> int:
    if not re.fullmatch(r"\d{1,5}", str(value)) or not 0 < int(value) < 65536:
        raise ComposeError(f"{where}: {value!r} is not a port (1 to 65535)")
    return int(value)


def _local(raw: Any, body: Any, where: str) -> Local | None:
    if body is None:
        return None
    known = set(Local.__dataclass_fields__) - {"port_variable"}
    if unknown := sorted(set(body) - known):
        raise ComposeError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
    values = dict(body)
    for key in ("names", "arguments", "optional"):
        values[key] = _words(values.get(key))
    if "command" in values:
        values["command"] = _words(values["command"])
    values["environment"] = _environment(values.get("environment"), {})
    values["internal"] = tuple(
        Port(_number(port, where), _number(port, where), last_variable(before))
        for before, port in zip(raw.get("internal", ()), body.get("internal", ()), strict=True)
    )
    if "port" in values:
        values["port"] = _number(values["port"], where)
        values["port_variable"] = last_variable(raw["port"])
    if "archive" in values:
        values["archive"] = Archive(**values["archive"])
    if isinstance(values.get("minimum"), float):  # 1.20 would be read as 1.2
        raise ComposeError(f"{where}.minimum: {values['minimum']} is a number: write it in quotes")
    values["minimum"] = _text(values.get("minimum"))
    values["enabled"] = _text(values.get("enabled", "1")).lower() not in ("", "0", "0.0", "false", "no")
    return Local(**values)

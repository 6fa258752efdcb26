"""What has to change in a text that was written for a container: paths, addresses of services, listen addresses."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.local.compose import Mount, Service

LOOPBACK = "127.0.0.1"
#: Files that are written for containers and so are rendered; whatever else is mounted is used as it stands.
CONFIG_SUFFIXES = (".yml", ".yaml", ".tmpl")


@dataclass(frozen=True)
class Folders:
    """Where the local stack keeps its things, all within the project."""

    project: Path

    @property
    def data(self) -> Path:
        return self.project / ".data"

    @property
    def run(self) -> Path:
        return self.project / ".run"

    @property
    def logs(self) -> Path:
        return self.project / "logs"

    @property
    def tools(self) -> Path:
        return self.project / ".tools"

    def volume(self, name: str) -> Path:
        """A named volume's folder; the backend's logs stand where a person looks for them."""
        return self.logs if name == "logs" else self.data / name

    def rendered(self, service: str, target: str) -> Path:
        """The rendered copy of a mounted config file or folder, laid out as in the container."""
        return self.run / "config" / service / target.lstrip("/")

    def source(self, mount: Mount) -> Path:
        """The path of this machine that a bind mount shows."""
        return (self.project / Path(mount.source).expanduser()).resolve()

    def is_config(self, mount: Mount) -> bool:
        """Whether a mount holds config files, and so is rendered rather than used as it stands."""
        if mount.is_volume:
            return False
        source = self.source(mount)
        if not source.is_relative_to(self.project.resolve()):
            return False
        files = source.rglob("*") if source.is_dir() else (source,)
        return any(file.suffix in CONFIG_SUFFIXES for file in files)

    def host_path(self, service: str, mount: Mount) -> Path:
        """What stands for a mount on this machine."""
        if mount.is_volume:
            return self.volume(mount.source)
        return self.rendered(service, mount.target) if self.is_config(mount) else self.source(mount)


class Substitution:
    """The substitutions of one service's texts."""

    def __init__(self, service: Service, services: Mapping[str, Service], folders: Folders) -> None:
        self._folders = folders
        self._services = services
        self._service = service
        self._paths = {mount.target: str(folders.host_path(service.name, mount)) for mount in service.mounts}
        self._path_pattern = _path_pattern(self._paths)
        names = "|".join(map(re.escape, sorted(services, key=len, reverse=True)))
        self._address_pattern = re.compile(rf"(?<![\w.-])({names}):(\d{{1,5}})(?!\w)")

    def text(self, text: str) -> str:
        """An argument or a setting: container paths and `service:port`."""
        replaced = self._path_pattern.sub(self._path, text) if self._paths else text
        return self._address_pattern.sub(self._address, replaced)

    def setting(self, text: str) -> str:
        """A variable of the environment: as `text`, and a path that is relative to the project made absolute."""
        if text.startswith((".data/", ".run/", "./")):
            return str(self._folders.project / text)
        return self.text(text)

    def names_one_of(self, text: str, services: Collection[str]) -> bool:
        """Whether a text holds the address of one of these services."""
        return any(match[1] in services for match in self._address_pattern.finditer(text))

    def config(self, text: str) -> str:
        """A value in a config file: as `text`, and listen addresses, with the ports moved as they are published."""
        return _LISTEN.sub(self._listen, self.text(text))

    def address(self, service: str, port: int) -> str:
        """Where a service's port is on this machine."""
        return f"{LOOPBACK}:{self._services[service].host_port(port)}"

    def _path(self, match: re.Match[str]) -> str:
        host = self._paths[match[0]]
        # Where the whole machine is mounted ("/"), the rest of the path brings the slash along.
        return "" if host == "/" and match.string.startswith("/", match.end()) else host

    def _address(self, match: re.Match[str]) -> str:
        return self.address(match[1], int(match[2]))

    def _listen(self, match: re.Match[str]) -> str:
        port = match["port"] or match["bare"]
        return self.address(self._service.name, int(port)) if port else LOOPBACK


#: "Every interface" as the whole host of an address, with or without a port; `:port` alone means the same.
_LISTEN = re.compile(r"(?<![\w.:\]-])(?:0\.0\.0\.0|\[::\])(?::(?P<port>\d{1,5}))?(?![\w.:-]|/\d)|^:(?P<bare>\d{1,5})$")


def _path_pattern(paths: Iterable[str]) -> re.Pattern[str]:
    """Any of the paths, whole: not the middle of another path, an address or a word. The longest one wins."""
    longest_first = sorted(paths, key=len, reverse=True)
    return re.compile(rf"(?<![\w./~-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w.-])")

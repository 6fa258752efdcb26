"""What an upgrade asks of a stack, of containers or of processes, and what both do alike."""

import base64
import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scripts import backup as backups
from scripts.addresses import PROJECT, open_here
from scripts.local.summary import telling_lines
from scripts.upgrade.decide import Changes
from scripts.upgrade.versions import UpgradeError

Say = Callable[[str], None]
PYTHON = PROJECT / ".venv" / "bin" / "python"
#: Seconds that a part has to become ready, and that all targets have to be scraped again.
PART_SECONDS, TARGET_SECONDS = 180, 90
#: And what any other program has: a build, a download, a backup.
RUN_SECONDS = 1800
#: Room for a backup where none tells how large it will be, in bytes.
ROOM_BYTES = 1 << 30
#: How a new version judges what it will read, before anything runs with it: the command, with the container's paths.
CHECKS = {
    "prometheus": ("/bin/promtool", "check", "config", "/etc/prometheus/prometheus.yml"),
    "alertmanager": ("/bin/amtool", "check-config", "/etc/alertmanager/alertmanager.yml"),
    "loki": ("/usr/bin/loki", "-verify-config", "-config.expand-env=true", "-config.file=/etc/loki/loki.yml"),
    "promtail": ("/usr/bin/promtail", "-check-syntax", "-config.file=/etc/promtail/promtail.yml"),
    "tempo": ("/tempo", "-config.verify=true", "-config.expand-env=true", "-config.file=/etc/tempo/tempo.yml"),
    "gateway": ("/usr/bin/caddy", "validate", "--adapter", "caddyfile", "--config", "/etc/caddy/Caddyfile"),
    "backend": ("python", "-c", "import app.main; from app.core.config import Settings; Settings()"),
}


class Stack(Protocol):
    """What is upgraded. Each call raises UpgradeError; `start` acts by the files that are checked out at the time."""

    #: Of each part that owns a store, what a backup calls it.
    stores: dict[str, tuple[str, ...]]

    def changes(self, files: set[str], old: str) -> Changes: ...

    def check(self, names: Collection[str], say: Say) -> None:
        """Builds and fetches what is new, and has it judge its configuration; nothing that runs is touched."""

    def start(self, name: str) -> None:
        """Starts a part anew, and waits until it is ready."""

    def remove(self, name: str) -> None: ...

    def restore(self, name: str, archive: Path) -> None:
        """Puts back what a part's store held."""

    def verify(self) -> str:
        """Waits until all of it serves; says what was asked."""

    def prepare_back(self) -> None:
        """Called once the old files are there again, before the first part goes back."""

    def log(self, name: str) -> list[str]: ...


@dataclass(frozen=True)
class Access:
    """How the gateway and Prometheus are asked. `who`: name and password, where Prometheus asks for them."""

    gateway: str = ""
    prometheus: str = ""
    who: str = ""
    trust: ssl.SSLContext | None = None

    def get(self, url: str) -> bytes:
        request = urllib.request.Request(url)  # noqa: S310 - from our own table
        if self.who and url.startswith(self.prometheus):
            request.add_header("Authorization", f"Basic {base64.b64encode(self.who.encode()).decode()}")
        with open_here(request, self.trust) as answer:
            return bytes(answer.read())

    def down(self) -> set[str]:
        """The jobs of Prometheus with a target that is not up; none where there is no Prometheus."""
        if not self.prometheus:
            return set()
        found = json.loads(self.get(f"{self.prometheus}/api/v1/targets?state=active"))["data"]["activeTargets"]
        return {target["labels"]["job"] for target in found if target["health"] != "up"}


def serves(access: Access, before: set[str]) -> str:
    """Waits until the gateway lets a request through, and every target is up that was not down `before`."""
    said, deadline = [], time.monotonic() + TARGET_SECONDS
    while True:
        try:
            if access.gateway:
                access.get(access.gateway)
                said = [f"{access.gateway} answers"]
            if not (down := access.down() - before):
                return "; ".join([*said, *(["every target is up"] if access.prometheus else [])]) or "nothing to ask"
            wrong = f"Prometheus does not reach {', '.join(sorted(down))}"
        except (OSError, urllib.error.URLError, ValueError) as error:
            wrong = f"{access.gateway or access.prometheus}: {error}"
        if time.monotonic() > deadline:
            raise UpgradeError(f"after {TARGET_SECONDS} s, {wrong}")
        time.sleep(1)


def run(
    command: Sequence[str | os.PathLike[str]], what: str, at: Path = PROJECT, given: Mapping[str, str] | None = None
) -> str:
    """Runs a program; what it prints. Raises UpgradeError: `what` failed, with the end of what it said.

    It is in a session of its own: an interrupt is for us, who roll back.
    """
    try:
        answer = subprocess.run(
            command, cwd=at, env=given, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=RUN_SECONDS, check=False, start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise UpgradeError(f"{what}: there is no {error.filename}") from None
    except subprocess.TimeoutExpired:
        raise UpgradeError(f"{what}: not done after {RUN_SECONDS} s") from None
    if answer.returncode:
        raise UpgradeError("\n  ".join([f"{what} (exit {answer.returncode}):", *telling_lines(answer.stdout)]))
    return answer.stdout


def room() -> None:
    """Whether there is room for a backup: three times the last one, for its files, the archive and growth."""
    folder = backups.folder()
    folder.mkdir(parents=True, exist_ok=True)
    needed = max([ROOM_BYTES, *(3 * archive.stat().st_size for archive in backups.archives(folder)[-1:])])
    if (free := shutil.disk_usage(folder).free) < needed:
        raise UpgradeError(
            f"{needed / 1e9:.1f} GB are wanted for a backup in {folder}, {free / 1e9:.1f} are free: remove old "
            "archives, or set BACKUP_DIR to a folder with more room"
        )


def back_up() -> Path:
    """Makes an archive of what runs; its path."""
    before = set(backups.archives(backups.folder()))
    said = run([PYTHON, "-m", "scripts.backup", "backup"], "the backup")
    made = [archive for archive in backups.archives(backups.folder()) if archive not in before]
    if not made:
        raise UpgradeError("\n  ".join(["the backup made no archive:", *telling_lines(said)]))
    return made[-1]

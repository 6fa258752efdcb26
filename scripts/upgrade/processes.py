"""The stack as local processes: what supervisord runs, and scripts.local's own commands, one part at a time."""

import os
import tempfile
from collections.abc import Collection
from pathlib import Path

from scripts.addresses import PROJECT, address
from scripts.local import plan as planning
from scripts.local.apart import Elsewhere, finder
from scripts.local.cli import Stack
from scripts.local.compose import ComposeError
from scripts.local.lookup import look
from scripts.local.report import Report
from scripts.local.summary import telling_lines
from scripts.local.supervise import SuperviseError
from scripts.upgrade import decide, shared, versions
from scripts.upgrade.shared import CHECKS, PYTHON, Access, Say, run
from scripts.upgrade.versions import UpgradeError

FILE = "docker-compose.yml"


class Processes:
    """The processes of this project, as they are now, and what the files that are checked out make of them."""

    stores: dict[str, tuple[str, ...]] = decide.STORES | {"backend": ("documents", "vectors")}

    def __init__(self) -> None:
        """Raises UpgradeError if none runs, or the new version's files are not valid. Writes nothing of the stack's."""
        self._stack = Stack(PROJECT, os.environ, Report())
        self._supervisor = self._stack.supervisor
        if not self._supervisor.is_running():
            raise UpgradeError("Nothing runs here: `make up` starts the version that is checked out.")
        self._running = self._supervisor.digests()
        self._place = tempfile.TemporaryDirectory(prefix="specola-upgrade-")  # ends with this object
        self._folders = Elsewhere(PROJECT, Path(self._place.name))
        try:
            self._plan = planning.make(self._stack.services, self._folders, finder(os.environ), os.environ)
            up = {name for name, state in self._supervisor.states().items() if state.state == "RUNNING"}
        except (ComposeError, SuperviseError) as error:
            raise UpgradeError(str(error)) from None
        ready = f"{address('backend')}/health/ready" if "backend" in up else ""
        self._access = Access(ready, address("prometheus") if "prometheus" in up else "")
        try:
            self._down = self._access.down()
        except (OSError, ValueError):
            self._down = set()

    def changes(self, files: set[str], old: str) -> decide.Changes:
        """Those that would be started from something else: their digests say so, files and code included."""
        described = self._plan.services
        left = {name for name in self._running if name in described and name not in self._plan.processes}
        if lost := left & self._plan.missing.keys():
            reasons = "; ".join(f"{name}: {'; '.join(self._plan.missing[name].reasons)}" for name in sorted(lost))
            raise UpgradeError(f"the new version has no program for what runs now: {reasons}")
        running = {name: digest for name, digest in self._running.items() if name not in left}  # left: switched off
        wanted = {name: decide.Wanted(self._supervisor.digest(one)) for name, one in self._plan.processes.items()}
        return decide.changes(running, wanted, (), versions.services(old, [FILE]))

    def check(self, names: Collection[str], say: Say) -> None:
        """The programs judge copies of the files that they will read."""
        for name in (name for name in names if name in CHECKS):
            program, *words = CHECKS[name]
            process = self._plan.processes[name]
            beside = process.arguments[0] if Path(program).name in (name, "python") else look(Path(program).name)
            if name == "alertmanager":
                words[-1] = f"/etc/alertmanager/{os.environ.get('ALERTMANAGER_CONFIG') or 'alertmanager.yml'}"
            if beside is None:
                say(f"  {name}: its configuration is judged by its start alone, as there is no {Path(program).name}")
                continue
            etc = str(self._folders.rendered(name, "/etc"))
            command = [beside, *(word if name == "backend" else word.replace("/etc", etc) for word in words)]
            run(command, f"{name} refuses its configuration", at=process.folder, given=process.environment)
            say(f"  {name} accepts its configuration")

    def start(self, name: str) -> None:
        """By the runner of the version that is checked out; one that does not know `--only` starts all that changed."""
        command = [str(PYTHON), "-m", "scripts.local", "up"]
        try:
            run([*command, "--only", name], name)
        except UpgradeError as error:
            if "(exit 2)" not in str(error):
                raise
            run(command, name)

    def remove(self, name: str) -> None:
        """What is not described any more is ended."""
        self.start(name)

    def restore(self, name: str, archive: Path) -> None:
        """The store's part of the archive alone."""
        try:
            self._supervisor.stop_one(name)
        except SuperviseError as error:
            raise UpgradeError(str(error)) from None
        run([PYTHON, "-m", "scripts.backup", "only", archive, *self.stores[name]], f"what {name} held")

    def verify(self) -> str:
        """Every process, one request to the backend, and Prometheus' targets."""
        run([PYTHON, "-m", "scripts.local", "status"], "not every part is ready")
        return shared.serves(self._access, self._down)

    def prepare_back(self) -> None:
        """The packages of the old version, in case that they are others."""
        run(["make", "--no-print-directory", ".venv/run"], "the environment")
        run([PYTHON, "-m", "scripts.receivers"], "what Alertmanager reads")

    def log(self, name: str) -> list[str]:
        """The end of what it said."""
        path = self._supervisor.log(name)
        return telling_lines(path.read_text(errors="replace") if path.exists() else "")

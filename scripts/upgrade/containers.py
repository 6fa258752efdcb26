"""The stack in containers: what compose says of them, and their labels."""

import contextlib
import json
import os
import ssl
import tempfile
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from scripts.addresses import PROJECT, address, setting
from scripts.containers import LABEL, compose_command, engine_command, listed, origin
from scripts.upgrade import decide, shared, versions
from scripts.upgrade.shared import CHECKS, PART_SECONDS, PYTHON, Access, Say, run
from scripts.upgrade.versions import UpgradeError

#: What a part writes: the authority that the gateway made for itself.
_AUTHORITY = "/data/caddy/pki/authorities/local/root.crt"


class Containers:
    """The containers of this project, as they are now."""

    stores: dict[str, tuple[str, ...]] = decide.STORES | {"mongodb": ("documents",), "qdrant": ("vectors",)}

    def __init__(self) -> None:
        """Raises UpgradeError if none runs, or the new version's compose file is not valid."""
        self._compose = compose_command()
        self._engine = engine_command()
        self._config = self._read()
        self._running: dict[str, list[dict[str, Any]]] = defaultdict(list)
        containers = listed(self._config["name"], lambda command: run(command, "a look at the containers"))
        for one in containers:
            self._running[one["Config"]["Labels"][f"{LABEL}service"]].append(one)
        if not containers:
            raise UpgradeError("Nothing runs here: `make up` starts the version that is checked out.")
        folder, files = origin(containers)
        if folder.resolve() != PROJECT.resolve():
            raise UpgradeError(f"the project {self._config['name']} was started in {folder}: `make upgrade` there")
        self.files = [str(file.relative_to(PROJECT)) for file in files if file.is_relative_to(PROJECT)]
        if "-f" not in self._compose:  # the overlays that it runs with; `make backup` is to know them, too
            os.environ["COMPOSE_FILE"] = os.pathsep.join(map(str, files))
            self._config = self._read()
        self._access = self._find_access()
        try:
            self._down = self._access.down()
        except (OSError, ValueError):
            self._down = set()

    def changes(self, files: set[str], old: str) -> decide.Changes:
        """Those whose configuration, image or files are others."""
        hashes = self._hashes()
        wanted = {}
        for name, service in self._config["services"].items():
            paths = [mount["source"] for mount in service.get("volumes", ()) if mount["type"] == "bind"]
            paths += [service["build"]["context"]] if "build" in service else []
            sources = [Path(path) for path in paths if Path(path).is_relative_to(PROJECT)]
            wanted[name] = decide.Wanted(
                hashes[name],
                tuple(str(path.relative_to(PROJECT)) for path in sources),
                tuple(service.get("depends_on", ())),
                not service.get("profiles") and service.get("scale") != 0,
            )
        running = {name: ones[0]["Config"]["Labels"][f"{LABEL}config-hash"] for name, ones in self._running.items()}
        return decide.changes(running, wanted, files, versions.services(old, self.files))

    def check(self, names: Collection[str], say: Say) -> None:
        """Images first: a build or a download that fails is to fail now."""
        services = {name: self._config["services"][name] for name in names}
        if built := {str(service["build"]): name for name, service in services.items() if "build" in service}:
            say(f"  building the image of {', '.join(built.values())}")
            self._ask("build", *built.values())
        for name, service in services.items():
            try:
                run([*self._engine, "image", "inspect", service["image"]], name)
            except UpgradeError:
                say(f"  fetching {service['image']}")
                self._ask("pull", name)
        for name in names:
            if name in CHECKS:
                program, *words = CHECKS[name]
                if name == "alertmanager" and (chosen := setting("ALERTMANAGER_CONFIG")):
                    words[-1] = f"/etc/alertmanager/{chosen}"
                command = ("run", "--rm", "--no-deps", "-T", "--entrypoint", program, name, *words)
                self._ask(*command, what=f"{name} refuses its configuration")
                say(f"  {name} accepts its configuration")

    def start(self, name: str) -> None:
        """Recreates it: a changed file that is mounted by itself is seen by a new container alone."""
        scale = [f"--scale={name}={count}"] if (count := len(self._running.get(name, ()))) > 1 else []
        wait = ("--wait", f"--wait-timeout={PART_SECONDS}")
        self._ask("up", "-d", "--no-deps", "--no-build", "--force-recreate", *wait, *scale, name)

    def remove(self, name: str) -> None:
        """By its containers: the files that are checked out may not know it."""
        mine = [f"--filter=label={LABEL}project={self._config['name']}", f"--filter=label={LABEL}service={name}"]
        if ids := run([*self._engine, "ps", "-aq", *mine], name).split():
            run([*self._engine, "stop", *ids], name)
            run([*self._engine, "rm", "-f", *ids], name)

    def restore(self, name: str, archive: Path) -> None:
        """The store's part of the archive alone; nothing else has to stop."""
        self._ask("stop", name)
        run([PYTHON, "-m", "scripts.backup", "only", archive, *self.stores[name]], f"what {name} held")

    def verify(self) -> str:
        """One request through the gateway, and Prometheus' targets."""
        return shared.serves(self._find_access(), self._down)

    def prepare_back(self) -> None:
        """The old images get back their names, which a build has given to the new ones."""
        for ones in self._running.values():
            with contextlib.suppress(UpgradeError):  # it was removed: it will be built or fetched anew
                run([*self._engine, "tag", ones[0]["Image"], ones[0]["Config"]["Image"]], "an old image")
        run([PYTHON, "-m", "scripts.receivers"], "what Alertmanager reads")

    def log(self, name: str) -> list[str]:
        """The end of what it said."""
        return self._ask("logs", "--no-log-prefix", "--tail", "12", name).splitlines()

    def _hashes(self) -> dict[str, str]:
        """As `up` labels containers: of what the files come to, env files read, which `config --hash` alone leaves."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(self._config, file)
            file.flush()
            where = ["--project-directory", str(PROJECT), "-f", file.name, "--profile", "*"]
            said = run([*self._compose, *where, "config", "--hash", "*"], "compose config --hash")
        return dict(line.split() for line in said.splitlines())

    def _read(self) -> dict[str, Any]:
        return dict(json.loads(self._ask("config", "--format", "json")))

    def _ask(self, *arguments: str, what: str = "") -> str:
        command = [*self._compose, "--profile", "*", *arguments]
        return run(command, what or f"compose {arguments[0]} {arguments[-1]}")

    def _find_access(self) -> Access:
        """Where the gateway and Prometheus answer: in staging at one address, with a password."""
        gateway, prometheus = "gateway" in self._running, "prometheus" in self._running
        url = self._config["services"]["gateway"].get("environment", {}).get("STAGING_URL", "")
        if not url:
            ready = f"{address('backend')}/health/ready" if gateway else ""
            return Access(ready, address("prometheus") if prometheus else "")
        trust = ssl.create_default_context()
        with contextlib.suppress(UpgradeError, ssl.SSLError):  # it has a certificate of somebody else's
            trust.load_verify_locations(cadata=self._ask("exec", "-T", "gateway", "cat", _AUTHORITY))
        from scripts.staging import FOLDER
        from scripts.staging.secrets import PERSON

        who = f"{PERSON}:{(FOLDER / 'prometheus_password').read_text().strip()}"
        return Access(f"{url}/health/live", f"{url}/prometheus" if prometheus else "", who, trust)

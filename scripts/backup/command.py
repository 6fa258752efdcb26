"""`make backup` and `make restore`: for containers or for local processes, whichever there are."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.addresses import PROJECT, setting
from scripts.backup import archives, folder, run
from scripts.backup.archive import BackupError
from scripts.containers import compose_command, engine_command
from scripts.local.compose import ComposeError, load
from scripts.local.substitute import Folders, Substitution
from scripts.up import EngineRefused, compose, engine_problem, local, processes_run

#: What says in its own words why nothing can be done here: a setting, the compose file, the engine.
CANNOT = (ComposeError, EngineRefused, ValueError)
#: What a restore asks over the network, and so must run; all else must not, but for what holds staging's credentials.
_SERVERS = ("mongodb", "qdrant")
_OWNERS = dict(zip(("documents", "vectors"), _SERVERS, strict=True))
_LEFT_RUNNING = (*_SERVERS, "secrets")


def backup() -> int:
    """Makes an archive of the stack that runs."""
    if _processes():
        run.back_up(place(), print)
        return 0
    folder().mkdir(parents=True, exist_ok=True)  # ours, before Docker makes it root's
    return compose("run", "--rm", "--no-deps", "backup", *_inside("now"))


def restore(archive: Path | None = None, keys: Path | None = None) -> int:
    """Replaces the data by an archive's, once all of the archive has been checked and, where data is, after asking."""
    if archive is None:
        there = "\n".join(f"  {path}" for path in archives(folder()))
        raise BackupError(f"say which: make restore FROM=…\n{there or f'There is no archive in {folder()}.'}")
    archive = archive.resolve()
    if not archive.is_file():
        raise BackupError(f"there is no archive {archive}: `make restore` alone lists those in {folder()}")
    done = _restore_processes(archive, keys) if _processes() else _restore_containers(archive, keys)
    if done == 0:
        print("`make up` starts the stack.")
    return done


def put_back(archive: Path, names: Sequence[str]) -> int:
    """Replaces what these stores alone hold, of a stack whose version goes back; what owns their files is stopped.

    A server that does not start on its data is given an empty volume first, once the archive is known to be whole.
    """
    if _processes():
        run.put_back(place(), archive, print, names)
        return 0
    command = ["run", "--rm", "--no-deps", "-T", "-v", f"{archive}:/archive/{archive.name}:ro", "restore"]
    if code := compose(*command, *_inside("check", f"/archive/{archive.name}")):
        return code
    for server in (server for name, server in _OWNERS.items() if name in names):
        if code := compose("rm", "-sf", server):
            return code
        config = subprocess.run([*compose_command(), "config", "--format", "json"], cwd=PROJECT, capture_output=True)
        volumes = json.loads(config.stdout)["volumes"]
        volume = [*engine_command(), "volume", "rm", "-f", volumes[f"{server}-data"]["name"]]
        subprocess.run(volume, check=True)
        if code := compose("up", "-d", "--no-deps", "--wait", server):
            return code
    return compose(*command, *_inside("put-back", f"/archive/{archive.name}", *names))


def place(keys: Path | None = None) -> run.Place:
    """Where the local processes' data is, as the compose file says it for the service `backup`."""
    services = load(PROJECT)
    service = services["backup"]
    assert service.local is not None, "docker-compose.yml describes no local `backup`"
    substitution = Substitution(service, services, Folders(PROJECT))
    own = {**service.environment, **service.local.environment}
    given = {name: substitution.setting(value) for name, value in own.items()}
    return run.Place.of(given | ({"BACKUP_KEY": str(keys.resolve())} if keys else {}))


def _restore_processes(archive: Path, keys: Path | None) -> int:
    here = place(keys=keys)
    run.check(here, archive)
    if not _agreed(run.occupied(here)):
        return 1
    if (PROJECT / ".run").is_dir() and (code := local("down")):
        return code
    run.put_back(here, archive, print)
    return 0


def _restore_containers(archive: Path, keys: Path | None) -> int:
    mounts = ["-v", f"{archive}:/archive/{archive.name}:ro"]
    if keys:
        mounts += ["-v", f"{keys.resolve()}:/key:ro", "-e", "BACKUP_KEY=/key"]
    command = ["run", "--rm", "--no-deps", *mounts, "restore"]
    if code := compose(*command, *_inside("check", f"/archive/{archive.name}")):
        return code
    if code := compose("up", "-d", "--wait", *_SERVERS):
        return code
    asked = [*compose_command(), "run", "--rm", "--no-deps", "-T", "restore", *_inside("occupied")]
    answer = subprocess.run(asked, cwd=PROJECT, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise BackupError(answer.stderr.strip())
    if not _agreed(answer.stdout.split("\n")):
        return 1
    running = [*compose_command(), "--profile", "*", "ps", "--services"]
    names = subprocess.run(running, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    others = [name for name in names if name not in _LEFT_RUNNING]
    if others and (code := compose("--profile", "*", "stop", *others)):
        return code
    return compose(*command, *_inside("put-back", f"/archive/{archive.name}"))


def _agreed(held: list[str]) -> bool:
    """Whether what is there may be replaced: asked of a person unless YES=1 says so."""
    held = [line for line in held if line]
    if not held or setting("YES") == "1":
        return True
    print("This stops the stack and replaces:", *held, sep="\n  ")
    print("Type yes: ", end="", flush=True)
    if sys.stdin.readline().strip() == "yes":
        return True
    print("Nothing was replaced. (YES=1 does not ask.)")
    return False


def _processes() -> bool:
    """Whether it is about local processes: those that run, else what `make up` would choose.

    Raises BackupError where an engine is installed that does not answer just now: its data would be taken for gone.
    """
    if processes_run():
        return True
    problem = engine_problem()
    if problem is None:
        return False
    if setting("LOCAL") == "1" or not shutil.which(engine_command()[0]):
        return True
    raise BackupError(f"{problem}: start it, or set LOCAL=1 when it is about local processes, which do not run either")


def _inside(*arguments: str) -> list[str]:
    return ["python", "-m", "scripts.backup", *arguments]

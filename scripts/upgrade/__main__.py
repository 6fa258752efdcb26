"""`make upgrade`: from the version that runs to the one that is checked out, or to TO=, which is checked out first."""

import fcntl
import os
import signal
import sys
from typing import NoReturn

from scripts import receivers
from scripts.addresses import PROJECT
from scripts.up import EngineRefused, engine_problem, processes_run
from scripts.upgrade import versions
from scripts.upgrade.shared import Stack
from scripts.upgrade.steps import Upgrade
from scripts.upgrade.versions import UpgradeError, git

#: Where TO= came from, told to the version that it went to.
CAME_FROM = "SPECOLA_UPGRADE_FROM"


def main() -> int:
    """Upgrades; 0 when the new version runs, 1 when it does not."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the way back
    try:
        with versions.lock_file().open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UpgradeError("Another `make upgrade` is at work here: wait until it has ended.") from None
            return _upgrade()
    except (UpgradeError, EngineRefused, ValueError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Interrupted. Nothing was touched.")
        return 130


def _upgrade() -> int:
    if git("rev-parse", "--show-prefix"):
        raise UpgradeError(f"{PROJECT} is a folder within another repository: an upgrade needs a clone of its own")
    if changed := versions.dirty():
        files = ", ".join(changed[:5]) + (" …" if changed[5:] else "")
        raise UpgradeError(f"Changed and not committed: {files}. Commit it (or undo it): there is no way back to it.")
    old = versions.runs(os.environ.get("FROM", ""))
    if to := os.environ.get("TO"):
        _go(to)
    came = os.environ.get(CAME_FROM, "")
    say(f"From {versions.shown(old)} to {versions.shown('HEAD')}")
    try:
        receivers.apply()
        stack = _stack()
    except (UpgradeError, EngineRefused, ValueError) as error:
        if came:
            git("checkout", "--quiet", came)
        raise UpgradeError(f"{error}\nNothing was touched.") from None
    return Upgrade(stack, old, came, say).run()


def _go(to: str) -> NoReturn:
    """Checks it out, and has its own code go on."""
    if not versions.commit(to):
        raise UpgradeError(f"TO={to} is no tag, branch or commit of this clone: `git fetch --tags` gets what is new")
    try:
        git("cat-file", "-e", f"{to}:scripts/upgrade/__main__.py")
    except UpgradeError:
        raise UpgradeError(f"TO={to} is older than `make upgrade`: git checkout {to} && make up") from None
    came = git("rev-parse", "--abbrev-ref", "HEAD")
    os.environ[CAME_FROM] = git("rev-parse", "HEAD") if came == "HEAD" else came
    os.environ.pop("TO")
    os.environ.pop("MAKEFLAGS", None)  # it would say TO= once more
    git("checkout", "--quiet", to)
    os.chdir(PROJECT)
    os.execvp("make", ["make", "--no-print-directory", "upgrade"])  # noqa: S606 - no shell is wanted


def _stack() -> Stack:
    if processes_run():
        from scripts.upgrade.processes import Processes

        return Processes()
    if problem := engine_problem():
        raise UpgradeError(f"Nothing runs here ({problem}): `make up` starts the version that is checked out.")
    from scripts.upgrade.containers import Containers

    return Containers()


def say(line: str) -> None:
    """A line of progress."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""The steps of an upgrade, and the way back: alike for containers and processes."""

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.upgrade import shared, versions
from scripts.upgrade.decide import Changes
from scripts.upgrade.shared import Say, Stack
from scripts.upgrade.versions import UpgradeError


class Upgrade:
    """From the commit `old`, which runs, to the one that is checked out.

    `came`: the branch or commit that was checked out before TO=, empty without one.
    """

    def __init__(self, stack: Stack, old: str, came: str, say: Say) -> None:
        self._stack, self._old, self._came, self._say = stack, old, came, say
        self._back = came if came and versions.commit(came) == old else old
        self._started = time.monotonic()
        self._touched: list[str] = []
        self._new: set[str] = set()
        self._archive: Path | None = None

    def run(self) -> int:
        """0 when the new version serves, 1 when it does not; then the old one does, or what to do was said."""
        at = "looking at what runs"
        try:
            files = versions.changed_files(self._old)
            with self._step(1, "what would change"):
                changes = self._stack.changes(files, self._old)
                self._tell(changes)
            if not changes.parts and not changes.gone:
                versions.keep(over=True)
                versions.forget(versions.NEXT)
                self._say("Nothing is to be done: what runs is what is checked out.")
                return 0
            self._new = {name for name, why in changes.parts.items() if why == "new"}
            at = "checking"
            with self._step(2, "checks, before anything is touched"):
                shared.room()
                self._stack.check(changes.parts, self._say)
            at = "backing up"
            with self._step(3, "backup"):
                self._archive = shared.back_up()
                self._say(f"  {self._archive}")
            versions.git("update-ref", versions.NEXT, "HEAD")
            with self._step(4, "part by part"):
                for name in changes.parts:
                    at = name
                    self._part(name)
                for name in changes.gone:
                    at = name
                    self._touched.append(name)
                    self._stack.remove(name)
                    self._say(f"  {name} removed")
            at = "the stack as a whole"
            with self._step(5, "does all of it serve"):
                self._say(f"  {self._stack.verify()}")
        except (UpgradeError, KeyboardInterrupt) as error:
            return self._failed(at, str(error) or "interrupted")
        versions.keep(over=True)
        versions.forget(versions.NEXT)
        self._say(f"{versions.shown('HEAD')} runs after {self._seconds():.0f} s. The backup: {self._archive}")
        return 0

    def _failed(self, at: str, why: str) -> int:
        """Says what happened, and goes back if anything was touched."""
        ignored = [signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            self._say(f"\nThe upgrade failed at {at}: {why}")
            if not self._touched:
                with contextlib.suppress(UpgradeError):
                    if self._came:
                        versions.git("checkout", "--quiet", self._came)
                    self._stack.prepare_back()
                self._say(f"Nothing was touched: {versions.shown(self._old)} runs on.")
                return 1
            if at in self._touched:
                for line in self._stack.log(at):
                    self._say(f"  {at}: {line}")
            return self._roll_back(at)
        finally:
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), ignored, strict=True):
                signal.signal(number, handler)

    def _roll_back(self, failed: str) -> int:
        new = versions.git("rev-parse", "--abbrev-ref", "HEAD")
        self._say(f"\nBack to {versions.shown(self._old)}; it takes as long as it takes, and is not to be interrupted")
        try:
            versions.git("checkout", "--quiet", self._back)
            self._stack.prepare_back()
        except UpgradeError as error:
            return self._by_hand(str(error))
        wrong: list[str] = []
        for name in reversed(self._touched):
            try:
                self._part_back(name)
            except UpgradeError as error:
                wrong.append(f"{name}: {error}")
        try:
            said = "" if wrong else self._stack.verify()
        except UpgradeError as error:
            wrong.append(str(error))
        if wrong:
            return self._by_hand("\n".join(wrong))
        versions.forget(versions.NEXT)
        elsewhere = "" if new in ("HEAD", self._back) else f"; `git checkout {new}` has the newer files"
        self._say(
            f"{versions.shown(self._old)} serves again after {self._seconds():.0f} s ({said}).\n"
            f"What failed: {failed}, see above. The backup: {self._archive}.\n"
            f"The files that are checked out are those of the version that runs{elsewhere}."
        )
        return 1

    def _part(self, name: str) -> None:
        since = time.monotonic()
        self._touched.append(name)
        self._stack.start(name)
        self._say(f"  {name} is ready, {time.monotonic() - since:.0f} s")

    def _part_back(self, name: str) -> None:
        """A part as it was. A store that does not take what the new version left gets what the backup holds."""
        since = time.monotonic()
        if name in self._new:
            self._stack.remove(name)
            self._say(f"  {name} removed")
            return
        try:
            self._stack.start(name)
        except UpgradeError as error:
            if name not in self._stack.stores or self._archive is None:
                raise
            self._say(f"  {name} does not start on the data that the new version left: {error}")
            self._stack.restore(name, self._archive)
            self._stack.start(name)
            self._say(f"  {name} holds what it held at the backup; what came later is lost")
        self._say(f"  {name} is ready, {time.monotonic() - since:.0f} s")

    def _by_hand(self, what: str) -> int:
        self._say(
            f"\nThe way back failed: {what}\n"
            "By hand:\n"
            f"  1. git checkout {self._back}\n"
            "  2. mend what is named above (`make status`; a full disk and a taken port are the usual causes)\n"
            "  3. make up\n"
            f"  4. where a store does not start on its data: make restore FROM={self._archive}, then make up"
        )
        return 1

    def _tell(self, changes: Changes) -> None:
        for name, why in changes.parts.items():
            self._say(f"  {name}: {why}")
        for name in changes.gone:
            self._say(f"  {name}: is not part of the new version, and will be removed")
        if changes.same and (changes.parts or changes.gone):
            self._say(f"  untouched: {', '.join(changes.same)}")

    @contextlib.contextmanager
    def _step(self, number: int, what: str) -> Iterator[None]:
        since = time.monotonic()
        self._say(f"{number}/5 {what}")
        yield
        self._say(f"  {time.monotonic() - since:.0f} s")

    def _seconds(self) -> float:
        return time.monotonic() - self._started

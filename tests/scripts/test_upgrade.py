"""What an upgrade decides: what changes, in which order, when it refuses, and how it goes back."""

import os
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from scripts import up
from scripts.upgrade import __main__ as command
from scripts.upgrade import shared, versions
from scripts.upgrade.decide import Changes, Wanted, changes, ordered
from scripts.upgrade.steps import Upgrade
from scripts.upgrade.versions import UpgradeError

SAME = {"loki": Wanted("1"), "backend": Wanted("1", ("backend",)), "gateway": Wanted("1", ("gateway/Caddyfile",))}
RUNNING = dict.fromkeys(SAME, "1")


@pytest.mark.parametrize(
    ("wanted", "files", "why"),
    [
        ({}, [], {}),
        ({"loki": Wanted("2")}, [], {"loki": "settings"}),
        ({}, ["backend/app/main.py", "backend/app/a.py"], {"backend": "backend/app/a.py and 1 more"}),
        ({}, ["gateway/Caddyfile.old", "README.md"], {}),
        ({"alloy": Wanted("1")}, [], {"alloy": "new"}),
        ({"alloy": Wanted("1", by_default=False)}, [], {}),
        ({"left-out": Wanted("1")}, [], {}),
    ],
)  # fmt: skip
def test_what_changes(wanted: dict[str, Wanted], files: list[str], why: dict[str, str]) -> None:
    assert changes(RUNNING, SAME | wanted, files, {*SAME, "left-out"}).parts == why


def test_what_the_new_version_lacks_is_gone_and_the_rest_untouched() -> None:
    found = changes(RUNNING | {"old": "1"}, SAME | {"loki": Wanted("2")}, (), ())
    assert (found.gone, found.same) == (["old"], ["backend", "gateway"])


def test_parts_are_started_after_what_they_need() -> None:
    names = ["traffic", "grafana", "gateway", "backend", "promtail", "loki", "mongodb", "secrets"]
    assert ordered(names, {}) == [*reversed(names[4:]), "backend", "gateway", "grafana", "traffic"]
    assert ordered(["mine", "gateway", "backend"], {"backend": ("mine",)}) == ["mine", "backend", "gateway"]
    assert ordered(["a", "b"], {"a": ("b",), "b": ("a",)}) == ["b", "a"]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A clone with two versions, v1, which runs, and v2 on main; runs git there."""
    for module in (versions, shared, command, up):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
    for name in ("TO", "FROM", command.CAME_FROM):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "someone")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "someone@example.org")

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "-q", "-b", "main")
    for version in ("v1", "v2"):
        (tmp_path / "loki.yml").write_text(version)
        (tmp_path / "docker-compose.yml").write_text(f"services: {{{version}: {{ports: !reset []}}, loki: {{}}}}\n")
        git("add", "-A")
        git("commit", "-qm", version)
        git("tag", version)
        if version == "v1":
            versions.keep(over=False)
    return git


class Fake:
    """A stack that writes down what is asked of it, and fails where it is told to."""

    stores = {"loki": ("loki",)}  # noqa: RUF012

    def __init__(self, folder: Path, parts: dict[str, str], gone: Collection[str] = (), fails: Collection[str] = ()):
        self._folder, self._changes = folder, Changes(parts, list(gone))
        self.fails, self.calls = list(fails), list[str]()

    def _do(self, call: str) -> None:
        self.calls.append(f"{call} {(self._folder / 'loki.yml').read_text()}")
        if call in self.fails:
            self.fails.remove(call)
            if call.startswith("interrupt"):
                raise KeyboardInterrupt
            raise UpgradeError(f"{call} failed")

    def changes(self, files: set[str], old: str) -> Changes:
        assert files == {"loki.yml", "docker-compose.yml"}
        return self._changes

    def check(self, names: Collection[str], say: shared.Say) -> None:
        self._do("check")

    def start(self, name: str) -> None:
        self._do(name)

    def remove(self, name: str) -> None:
        self._do(f"remove-{name}")

    def restore(self, name: str, archive: Path) -> None:
        self._do(f"restore-{name}")

    def verify(self) -> str:
        self._do("verify")
        return "all answers"

    def prepare_back(self) -> None:
        self._do("back")

    def log(self, name: str) -> list[str]:
        return [f"the last line of {name}"]


PARTS = {"loki": "settings", "alloy": "new", "backend": "settings"}
FORWARD = ["check v2", "loki v2", "alloy v2", "backend v2"]


@pytest.fixture
def upgraded(
    repository: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, list[str], str]]:
    """Upgrades a fake stack: the exit code, what was asked of it, and what was said."""
    monkeypatch.setattr(shared, "back_up", lambda: tmp_path / "specola-1.tar")

    def act(parts: dict[str, str] = PARTS, came: str = "", **how: Collection[str]) -> tuple[int, list[str], str]:
        said: list[str] = []
        stack = Fake(tmp_path, parts, **how)
        code = Upgrade(stack, versions.runs(""), came, said.append).run()
        return code, stack.calls, "\n".join(said)

    return act


def runs() -> str:
    return versions.shown(versions.runs(""))


def test_what_works_is_remembered(upgraded: Callable[..., tuple[int, list[str], str]]) -> None:
    code, calls, said = upgraded(gone=["old"])
    assert (code, calls) == (0, [*FORWARD, "remove-old v2", "verify v2"])
    assert runs() == "v2"
    assert "v2 runs after" in said
    assert "specola-1.tar" in said


def test_without_a_change_nothing_is_done(upgraded: Callable[..., tuple[int, list[str], str]]) -> None:
    code, calls, said = upgraded({})
    assert (code, calls, runs()) == (0, [], "v2")
    assert "Nothing is to be done" in said


def test_a_failed_check_touches_nothing(upgraded: Callable[..., tuple[int, list[str], str]]) -> None:
    code, calls, said = upgraded(fails=["check"], came="v1")
    assert (code, calls, runs()) == (1, ["check v2", "back v1"], "v1")
    assert "failed at checking: check failed" in said
    assert "Nothing was touched: v1 runs on" in said


@pytest.mark.parametrize(
    ("fails", "before", "back"),
    [
        ("backend", FORWARD, ["backend v1", "remove-alloy v1", "loki v1"]),
        ("loki", FORWARD[:2], ["loki v1"]),
        ("verify", [*FORWARD, "remove-old v2", "verify v2"],
         ["old v1", "backend v1", "remove-alloy v1", "loki v1"]),
    ],
)  # fmt: skip
def test_what_was_touched_goes_back_in_reverse_with_the_old_files(
    upgraded: Callable[..., tuple[int, list[str], str]], fails: str, before: list[str], back: list[str]
) -> None:
    code, calls, said = upgraded(fails=[fails], gone=["old"])
    assert (code, calls, runs()) == (1, [*before, "back v1", *back, "verify v1"], "v1")
    assert f"{fails} failed" in said
    assert (f"{fails}: the last line of {fails}" in said) == (fails != "verify")
    assert "v1 serves again" in said
    assert "`git checkout main` has the newer files" in said


def test_an_interrupt_goes_back_too(
    upgraded: Callable[..., tuple[int, list[str], str]], repository: Callable[..., str]
) -> None:
    code, calls, said = upgraded({"loki": "settings", "interrupt": "settings"}, fails=["interrupt"], came="v1")
    assert (code, calls[-3:]) == (1, ["interrupt v1", "loki v1", "verify v1"])
    assert "failed at interrupt: interrupted" in said


def test_a_store_that_does_not_go_back_gets_what_the_backup_holds(
    upgraded: Callable[..., tuple[int, list[str], str]],
) -> None:
    code, calls, said = upgraded({"loki": "settings"}, fails=["loki", "loki"])
    assert (code, calls[2:]) == (1, ["back v1", "loki v1", "restore-loki v1", "loki v1", "verify v1"])
    assert "what came later is lost" in said
    assert "v1 serves again" in said


def test_a_way_back_that_fails_says_what_to_do(upgraded: Callable[..., tuple[int, list[str], str]]) -> None:
    code, calls, said = upgraded(fails=["backend", "backend"])
    assert (code, calls[-1]) == (1, "loki v1"), "the others go back even so"
    assert "The way back failed: backend: backend failed" in said
    assert "make restore FROM=" in said
    assert "serves again" not in said


def test_after_one_that_was_cut_off_what_it_changed_counts(repository: Callable[..., str], tmp_path: Path) -> None:
    old = versions.runs("")
    repository("checkout", "-q", "v1")
    assert versions.changed_files(old) == set()
    repository("update-ref", versions.NEXT, "v2")
    assert versions.changed_files(old) == {"loki.yml", "docker-compose.yml"}
    assert versions.services(old, ["docker-compose.yml", "no.yml"]) == {"v1", "loki"}


def test_what_was_not_committed_when_it_was_started_can_be_gone_back_to(
    repository: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "loki.yml").write_text("mine")
    versions.keep(over=False)
    assert runs() == "v1", "containers that run already keep what they were started from"
    versions.keep(over=True)
    assert repository("show", f"{versions.RUNS}:loki.yml") == "mine"
    versions.forget()
    with pytest.raises(UpgradeError, match=r"make upgrade FROM=v1\.0\.0"):
        versions.runs("")
    with pytest.raises(UpgradeError, match="FROM=v9 is no tag"):
        versions.runs("v9")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    assert command.main() == 1
    return capsys.readouterr().out


def test_what_stands_in_the_way_is_said(
    repository: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TO", "v9")
    assert "TO=v9 is no tag, branch or commit of this clone" in said(capsys)
    monkeypatch.setenv("TO", "v1")
    assert "TO=v1 is older than `make upgrade`: git checkout v1 && make up" in said(capsys)
    (tmp_path / "loki.yml").write_text("mine")
    assert "Changed and not committed: loki.yml" in said(capsys)
    assert repository("describe", "--tags").strip() == "v2"
    with versions.lock_file().open("w") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "Another `make upgrade` is at work here" in said(capsys)


def test_room_for_a_backup_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_DIR", str(tmp_path))
    shared.room()
    archive = tmp_path / "specola-20260101T000000Z.tar"
    archive.touch()
    os.truncate(archive, 1 << 42)  # holes take no room
    with pytest.raises(UpgradeError, match="BACKUP_DIR"):
        shared.room()


@pytest.mark.parametrize("made", [True, False])
def test_the_backup_of_an_upgrade_is_the_one_that_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    monkeypatch.setattr(shared.backups, "folder", lambda: tmp_path)
    (tmp_path / "specola-20990101T000000Z.tar").touch()  # of a clock that was wrong

    def run(*_: object) -> str:
        if made:
            (tmp_path / "specola-20260101T000000Z.tar").touch()
        return "nothing was there"

    monkeypatch.setattr(shared, "run", run)
    if made:
        assert shared.back_up().name == "specola-20260101T000000Z.tar"
        return
    with pytest.raises(UpgradeError, match="made no archive:\n  nothing was there"):
        shared.back_up()

"""The program for a service: where it is looked for, in which order, and what is refused."""

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.local.compose import Archive, Local, Service
from scripts.local.debian import DebianError
from scripts.local.download import DownloadError, system
from scripts.local.programs import Finder, Found, Missing
from tests.scripts.local.helpers import program, versioned

ARCHIVE = Archive("https://example.org/v{version}/tool.{os}-{arch}.tar.gz", "https://example.org/sums")
OLD, FIT, NEW = "tool, version 1.9.9", "tool, version 2.0.0 (branch: HEAD)", "tool version v10.1"


class Makers:
    """Stands for the downloads: unpacks what it is given, or cannot be reached."""

    def __init__(self, tools: Path) -> None:
        self.tools = tools
        self.told = ""  # what the makers' program tells as its version; empty: it cannot be had
        self.debians = ""  # the same for Debian's
        self.asked: list[str] = []

    def fetch(self, archive: Archive, name: str, version: str) -> Path:
        self.asked.append("makers")
        if not self.told:
            raise DownloadError("example.org cannot be reached")
        folder = self.tools / f"{name}-{version}"
        if self.told != "nothing":
            versioned(folder / "-".join((name, *system())), self.told)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def unpack(self, package: str, folder: Path) -> None:
        self.asked.append("debian")
        if not self.debians:
            raise DebianError("this is no Debian")
        versioned(folder / "usr" / "bin" / "tool", self.debians)


@pytest.fixture
def makers(tmp_path: Path) -> Makers:
    return Makers(tmp_path / ".tools")


@pytest.fixture
def find(tmp_path: Path, makers: Makers) -> Callable[..., Found | Missing]:
    def find(**local: object) -> Found | Missing:
        finder = Finder(
            tmp_path / ".tools",
            {"PATH": str(tmp_path / "path"), "TOOLS_PATH": f"{tmp_path / 'one'}{os.pathsep}{tmp_path / 'two'}"},
            makers,  # type: ignore[arg-type]
            makers,  # type: ignore[arg-type]
        )
        settings = {"program": "tool", "names": ("tool-server",), "archive": ARCHIVE, "debian": "tool", **local}
        described = dataclasses.replace(Local(), **settings)  # type: ignore[arg-type]
        return finder.find(Service("service", "3.0.0", (), {}, (), (), described))

    return find


Find = Callable[..., Found | Missing]


def test_places_are_looked_at_in_order(tmp_path: Path, find: Find, makers: Makers) -> None:
    places = [
        "path/tool",
        "path/tool-server",
        "one/tool",
        "one/bin/tool",
        "two/bin/tool",
        "tool/bin/tool",
        ".tools/tool-3.0.0/tool",
        ".tools/tool-3.0.0/bin/tool",
        ".tools/bin/tool",
        ".tools/tool-debian/usr/bin/tool",
    ]
    for place in reversed(places):
        versioned(tmp_path / place, FIT)
        found = find()
        assert isinstance(found, Found)
        assert found.path == tmp_path / place
    assert makers.asked == []


def test_where_it_comes_from_and_its_version_are_told(tmp_path: Path, find: Find) -> None:
    versioned(tmp_path / "one" / "tool", FIT)
    assert find() == Found(tmp_path / "one" / "tool", None, "2.0.0", "TOOLS_PATH")


@pytest.mark.parametrize(("told", "fits"), [(OLD, False), (FIT, True), (NEW, True), ("who knows", True)])
def test_a_program_older_than_the_minimum_is_refused(tmp_path: Path, find: Find, told: str, fits: bool) -> None:
    versioned(tmp_path / "path" / "tool", told)
    found = find(minimum="2.0.0")
    assert isinstance(found, Found) == fits
    if isinstance(found, Missing):
        assert found.reasons[0] == f"{tmp_path}/path/tool is 1.9.9, and 2.0.0 is the oldest that this stack works with"


def test_after_an_old_one_the_next_place_is_tried(tmp_path: Path, find: Find) -> None:
    versioned(tmp_path / "path" / "tool", OLD)
    versioned(tmp_path / "two" / "tool", FIT)
    found = find(minimum="2.0.0")
    assert isinstance(found, Found)
    assert found.path == tmp_path / "two" / "tool"


def test_a_file_that_cannot_be_executed_is_no_program(tmp_path: Path, find: Find) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "tool").write_text("")
    assert isinstance(find(archive=None, debian=""), Missing)


def test_a_program_for_another_machine_is_refused(tmp_path: Path, find: Find) -> None:
    broken = versioned(tmp_path / "path" / "tool", FIT)
    broken.write_bytes(b"\x7fELF of another kind of processor")
    found = find(archive=None, debian="")
    assert isinstance(found, Missing)
    assert "tool cannot be run: " in found.reasons[0]


def test_what_is_not_here_comes_from_its_makers(find: Find, makers: Makers) -> None:
    makers.told = FIT
    found = find(minimum="2.0.0")
    assert isinstance(found, Found)
    assert (found.version, found.origin, makers.asked) == ("2.0.0", "its makers' release", ["makers"])


def test_debian_is_asked_after_the_makers_and_its_program_starts_where_it_was_unpacked(
    find: Find, makers: Makers
) -> None:
    makers.debians = FIT
    found = find()
    assert isinstance(found, Found)
    assert (found.origin, makers.asked) == ("Debian's package", ["makers", "debian"])
    assert found.folder == makers.tools / "tool-debian" / "usr"


def test_debians_older_program_is_refused_too(find: Find, makers: Makers) -> None:
    makers.debians = OLD
    found = find(minimum="2.0.0")
    assert isinstance(found, Missing)
    assert "Debian's package tool: " in found.reasons[-1]
    assert "is 1.9.9" in found.reasons[-1]


def test_what_cannot_be_had_is_named_with_every_reason_and_a_remedy(find: Find) -> None:
    found = find()
    assert isinstance(found, Missing)
    assert found.reasons == ("example.org cannot be reached", "Debian's package tool: this is no Debian")
    assert "put `tool` on PATH or into .tools/, or name its folder in TOOLS_PATH" in found.remedy
    assert f"https://example.org/v3.0.0/tool.{'-'.join(system())}.tar.gz" in found.remedy


def test_what_nobody_offers_is_named_too(find: Find) -> None:
    assert find(archive=None, debian="") == Missing(
        ("no `tool` on PATH, in TOOLS_PATH or in .tools/",),
        "put `tool` on PATH or into .tools/, or name its folder in TOOLS_PATH",
    )


def test_an_archive_without_the_program_is_refused_and_removed(find: Find, makers: Makers) -> None:
    makers.told = "nothing"
    found = find(debian="")
    assert isinstance(found, Missing)
    assert found.reasons == (
        "its makers' release holds no program called tool or tool-server or " + "-".join(("tool", *system())),
    )
    assert not (makers.tools / "tool-3.0.0").exists()


def test_python_is_the_one_that_runs_this(find: Find) -> None:
    found = find(program="python")
    assert isinstance(found, Found)
    assert str(found.path) == sys.executable


def home_at(folder: Path) -> None:
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "defaults.ini").write_text("")
    (folder / "public").mkdir()


@pytest.mark.parametrize(
    ("binary", "home"),
    [
        ("one/bin/tool", "one"),
        ("one/tool/bin/tool", "one/tool"),
        ("tool/bin/tool", "tool"),  # a neighbour of the folders in TOOLS_PATH
        (".tools/tool-3.0.0/bin/tool", ".tools/tool-3.0.0"),
        ("path/tool", "share/tool"),  # as packages install it: /usr/sbin/… and /usr/share/…
        ("path/tool-server", "share/tool"),
    ],
)
def test_a_program_that_needs_a_home_is_found_with_it(tmp_path: Path, find: Find, binary: str, home: str) -> None:
    versioned(tmp_path / binary, FIT)
    home_at(tmp_path / home)
    found = find(home=True)
    assert isinstance(found, Found)
    assert (found.path, found.home) == (tmp_path / binary, tmp_path / home)


def test_a_link_to_a_program_leads_to_its_home(tmp_path: Path, find: Find) -> None:
    versioned(tmp_path / "elsewhere" / "bin" / "tool", FIT)
    home_at(tmp_path / "elsewhere")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "tool").symlink_to(tmp_path / "elsewhere" / "bin" / "tool")
    found = find(home=True)
    assert isinstance(found, Found)
    assert found.home == tmp_path / "elsewhere"


def test_a_program_without_its_home_is_refused(tmp_path: Path, find: Find) -> None:
    program(tmp_path / "path" / "tool", "")
    found = find(home=True, archive=None, debian="")
    assert isinstance(found, Missing)
    assert "tool has no home folder" in found.reasons[0]

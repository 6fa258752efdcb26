"""Debian's packages. apt-get, apt-cache and dpkg are played by small scripts that note how they were called."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.local.debian import Debian, DebianError, working_folder
from tests.scripts.local.helpers import Written

#: A package's file, here: what `dpkg -x` puts into usr/bin/tool.
PROGRAM = "#!/bin/sh\necho pages in /usr/share/prometheus/web and zones in /usr/share/zoneinfo\n"

APT_GET = """#!/bin/sh
echo "apt-get $*" >> "$CALLS"
case "$*" in
  *" update"*) [ -z "$OFFLINE" ] || { echo "E: Failed to fetch the lists" >&2; exit 100; }; touch "$UPDATED" ;;
  *" download"*) [ -z "$BROKEN" ] || { echo "E: no such file" >&2; exit 100; }; touch tool_1.deb libjs-pages_1.deb ;;
esac
"""
APT_CACHE = """#!/bin/sh
echo "apt-cache $*" >> "$CALLS"
case "$*" in
  *depends*) printf 'tool\\n  Depends: libjs-pages\\nlibjs-pages\\nfonts-signs\\nlibc6\\nadduser\\n' ;;
  *show*)
    if [ -n "$SYSTEM_LISTS" ] || { [ -e "$UPDATED" ] && [ -z "$UNKNOWN" ]; }; then
      echo "Package: tool"
    else
      exit 100
    fi
    ;;
esac
"""
DPKG = f"""#!/bin/sh
echo "dpkg $*" >> "$CALLS"
mkdir -p "$3/usr/bin" "$3/usr/share/$(basename "$2" _1.deb)"
cat > "$3/usr/bin/tool" <<'EOF'
{PROGRAM}EOF
"""


class Apt:
    """The three programs, and what they were asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls_file = folder / "calls"
        self.set = monkeypatch.setenv
        self.set("CALLS", str(self.calls_file))
        self.set("UPDATED", str(folder / "updated"))
        for name, script in (("apt-get", APT_GET), ("apt-cache", APT_CACHE), ("dpkg", DPKG)):
            path = folder / "path" / name
            path.write_text(script)
            path.chmod(0o755)

    def calls(self, start: str) -> list[str]:
        return [line for line in self.calls_file.read_text().splitlines() if line.startswith(start)]


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_these_tools: Callable[..., Path]) -> Apt:
    only_these_tools("sh", "mkdir", "cat", "touch", "basename")
    return Apt(tmp_path, monkeypatch)


@pytest.fixture
def debian(tmp_path: Path, written: Written) -> Debian:
    return Debian(tmp_path / ".tools", written.report)


def test_a_package_is_unpacked_with_the_parts_of_its_page(apt: Apt, debian: Debian, tmp_path: Path) -> None:
    apt.set("SYSTEM_LISTS", "yes")
    debian.unpack("tool", tmp_path / "there")
    assert sorted(path.name for path in (tmp_path / "there" / "usr" / "share").iterdir()) == ["libjs-pages", "tool"]
    assert apt.calls("apt-get")[0].endswith("download tool fonts-signs libjs-pages")


def test_its_program_finds_its_files_where_it_was_unpacked(apt: Apt, debian: Debian, tmp_path: Path) -> None:
    apt.set("SYSTEM_LISTS", "yes")
    debian.unpack("tool", tmp_path / "there")
    content = (tmp_path / "there" / "usr" / "bin" / "tool").read_text()
    assert "pages in .//./share/prometheus/web and zones in /usr/share/zoneinfo" in content
    assert len(content) == len(PROGRAM)
    assert working_folder(tmp_path / "there") / ".//./share" == tmp_path / "there" / "usr" / "share"


def test_the_systems_package_lists_are_used_where_they_know_the_package(
    apt: Apt, debian: Debian, tmp_path: Path
) -> None:
    apt.set("SYSTEM_LISTS", "yes")
    debian.unpack("tool", tmp_path / "there")
    assert not any("update" in call or "Dir::State" in call for call in apt.calls("apt-get"))


def test_else_lists_of_our_own_are_read_once(apt: Apt, debian: Debian, tmp_path: Path) -> None:
    debian.unpack("tool", tmp_path / "one")
    debian.unpack("tool", tmp_path / "two")
    updates = [call for call in apt.calls("apt-get") if call.endswith("update")]
    assert len(updates) == 1
    assert f"Dir::State={tmp_path}/.tools/apt/state" in updates[0]
    assert (tmp_path / ".tools" / "apt" / "state" / "lists" / "partial").is_dir()
    assert all("Dir::State=" in call for call in apt.calls("apt-get"))


def test_lists_that_cannot_be_read_are_tried_once(apt: Apt, debian: Debian, tmp_path: Path) -> None:
    apt.set("OFFLINE", "yes")
    for _ in range(2):
        with pytest.raises(DebianError, match="`apt-get` failed: Failed to fetch the lists"):
            debian.unpack("tool", tmp_path / "there")
    assert len(apt.calls("apt-get")) == 1


def test_a_package_that_debian_does_not_have_is_named(apt: Apt, debian: Debian, tmp_path: Path) -> None:
    apt.set("UNKNOWN", "yes")
    with pytest.raises(DebianError, match="Debian's package lists have no tool"):
        debian.unpack("tool", tmp_path / "there")


def test_a_download_that_fails_leaves_nothing(apt: Apt, debian: Debian, tmp_path: Path) -> None:
    apt.set("SYSTEM_LISTS", "yes")
    apt.set("BROKEN", "yes")
    with pytest.raises(DebianError, match="no such file"):
        debian.unpack("tool", tmp_path / "there")
    assert not (tmp_path / "there").exists()
    assert list((tmp_path / ".tools" / "downloads").iterdir()) == []


def test_where_there_is_no_apt_there_is_no_package(
    debian: Debian, tmp_path: Path, only_these_tools: Callable[..., Path]
) -> None:
    only_these_tools()
    with pytest.raises(DebianError, match="this is no Debian"):
        debian.unpack("tool", tmp_path / "there")


def test_a_call_that_hangs_is_ended(apt: Apt, debian: Debian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt.set("SYSTEM_LISTS", "yes")
    monkeypatch.setattr("scripts.local.debian.LIMIT", 0.2)
    (tmp_path / "path" / "apt-get").write_text("#!/bin/sh\nwhile true; do :; done\n")
    with pytest.raises(DebianError, match=r"did not end within 0\.2 s"):
        debian.unpack("tool", tmp_path / "there")

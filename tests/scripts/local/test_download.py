"""Release archives from a web server with the layout of a release page."""

import hashlib
import io
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.local.compose import Archive
from scripts.local.download import ATTEMPTS, Downloader, DownloadError, fill, find_digest, system
from scripts.local.report import Report
from tests.scripts.local.helpers import Releases, Written

PROGRAM = b"#!/bin/sh\necho tool, version 1.2.3\n" + b"# padding\n" * 20_000


def tar_gz(*names: str) -> bytes:
    """An archive with the program under each of the names."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(PROGRAM), 0o755
            tar.addfile(entry, io.BytesIO(PROGRAM))
    return stream.getvalue()


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, PROGRAM)
    return stream.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


Publish = Callable[..., Archive]


@pytest.fixture
def publish(releases: Releases) -> Publish:
    def publish(content: bytes, suffix: str = "tar.gz", checksums: str | None = None) -> Archive:
        os_name, arch = system()
        name = f"tool-1.2.3.{os_name}-{arch}.{suffix}"
        releases.files[f"/v1.2.3/{name}"] = content
        lines = f"{'0' * 64}  another-file\n{digest(content)}  {name}\n" if checksums is None else checksums
        releases.files["/v1.2.3/sums.txt"] = lines.encode()
        return Archive(
            f"{releases.url}/v{{version}}/tool-{{version}}.{{os}}-{{arch}}.{suffix}",
            f"{releases.url}/v{{version}}/sums.txt",
        )

    return publish


@pytest.fixture
def downloader(tmp_path: Path, written: Written) -> Downloader:
    return Downloader(tmp_path / ".tools", written.report, pause_seconds=0.0, read_seconds=5.0)


def ranges(releases: Releases) -> list[str | None]:
    """The Range headers of the requests for the archive itself."""
    return [wanted for path, wanted in releases.requests if not path.endswith(".txt")]


def left_behind(tools: Path) -> list[str]:
    return sorted(path.name for path in (tools / "downloads").iterdir())


def test_an_archive_is_unpacked_without_its_top_folder(publish: Publish, downloader: Downloader) -> None:
    folder = downloader.fetch(publish(tar_gz("tool-1.2.3/tool", "tool-1.2.3/LICENSE")), "tool", "1.2.3")
    assert folder == downloader.tools / "tool-1.2.3"
    assert sorted(path.name for path in folder.iterdir()) == ["LICENSE", "tool"]
    assert (folder / "tool").stat().st_mode & 0o100
    assert left_behind(downloader.tools) == []
    assert sorted(path.name for path in downloader.tools.iterdir()) == ["downloads", "tool-1.2.3"]


def test_a_zip_files_program_can_be_executed(publish: Publish, downloader: Downloader) -> None:
    folder = downloader.fetch(publish(zipped("tool-linux-amd64"), "zip"), "tool", "1.2.3")
    assert (folder / "tool-linux-amd64").stat().st_mode & 0o100


def test_a_broken_connection_is_resumed_where_it_broke(
    publish: Publish, releases: Releases, downloader: Downloader
) -> None:
    content = tar_gz("tool")
    archive = publish(content)
    releases.break_after = [100, 50]
    folder = downloader.fetch(archive, "tool", "1.2.3")
    assert (folder / "tool").read_bytes() == PROGRAM
    assert ranges(releases) == [None, "bytes=100-", "bytes=150-"]


def test_a_server_without_ranges_sends_it_all_again(
    publish: Publish, releases: Releases, downloader: Downloader
) -> None:
    archive = publish(tar_gz("tool"))
    releases.knows_ranges = False
    releases.break_after = [100]
    folder = downloader.fetch(archive, "tool", "1.2.3")
    assert (folder / "tool").read_bytes() == PROGRAM


def test_a_connection_that_keeps_breaking_is_given_up_and_what_came_is_kept(
    publish: Publish, releases: Releases, downloader: Downloader
) -> None:
    archive = publish(tar_gz("tool"))
    releases.break_after = [10] * ATTEMPTS
    with pytest.raises(DownloadError, match=f"{ATTEMPTS} times"):
        downloader.fetch(archive, "tool", "1.2.3")
    releases.requests.clear()
    assert (downloader.fetch(archive, "tool", "1.2.3") / "tool").read_bytes() == PROGRAM
    assert ranges(releases) == [f"bytes={10 * ATTEMPTS}-"]


def test_a_server_error_is_tried_again(publish: Publish, releases: Releases, downloader: Downloader) -> None:
    archive = publish(tar_gz("tool"))
    releases.answers = [503, 200, 502]
    assert (downloader.fetch(archive, "tool", "1.2.3") / "tool").exists()


def test_a_wrong_checksum_is_refused_and_the_file_removed(
    publish: Publish, releases: Releases, downloader: Downloader
) -> None:
    archive = publish(tar_gz("tool"))
    releases.files[next(path for path in releases.files if path.endswith("gz"))] = b"something else"
    with pytest.raises(DownloadError, match=r"has the SHA-256 .* says .*: refused, and removed"):
        downloader.fetch(archive, "tool", "1.2.3")
    assert left_behind(downloader.tools) == []
    assert not (downloader.tools / "tool-1.2.3").exists()


@pytest.mark.parametrize("older", [b"an older file's first part", b"x" * 10_000_000])
def test_a_part_of_another_file_is_given_up_for_the_whole_one(
    publish: Publish, downloader: Downloader, older: bytes
) -> None:
    archive = publish(tar_gz("tool"))
    part = downloader.tools / "downloads" / f"{fill(archive.url, '1.2.3').rpartition('/')[2]}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(older)
    assert (downloader.fetch(archive, "tool", "1.2.3") / "tool").read_bytes() == PROGRAM


def test_an_archive_that_the_checksums_do_not_name_is_not_even_fetched(
    publish: Publish, releases: Releases, downloader: Downloader
) -> None:
    archive = publish(tar_gz("tool"), checksums=f"{'0' * 64}  another-file\n")
    with pytest.raises(DownloadError, match=r"sums\.txt has no SHA-256 of tool-1\.2\.3"):
        downloader.fetch(archive, "tool", "1.2.3")
    assert ranges(releases) == []


def test_an_archive_that_is_not_there_is_named(releases: Releases, downloader: Downloader) -> None:
    archive = Archive(f"{releases.url}/none.tar.gz", f"{releases.url}/none.txt")
    with pytest.raises(DownloadError, match=r"/none\.txt answers 404"):
        downloader.fetch(archive, "tool", "1.2.3")
    assert len(releases.requests) == 1


def test_what_is_no_archive_is_refused(publish: Publish, downloader: Downloader) -> None:
    for suffix in ("tar.gz", "zip"):
        with pytest.raises(DownloadError, match="cannot be unpacked"):
            downloader.fetch(publish(b"no archive", suffix), "tool", "1.2.3")
    assert left_behind(downloader.tools) == []
    assert not (downloader.tools / "tool-1.2.3").exists()


def test_an_archive_may_not_write_outside_its_folder(publish: Publish, downloader: Downloader) -> None:
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        downloader.fetch(publish(tar_gz("../../outside")), "tool", "1.2.3")
    assert not (downloader.tools.parent / "outside").exists()


def test_a_host_that_cannot_be_reached_is_asked_once_and_named_once(
    releases: Releases, downloader: Downloader, written: Written
) -> None:
    archive = Archive("http://127.0.0.1:9/a.tar.gz", "http://127.0.0.1:9/a.txt")
    started = time.monotonic()
    for _ in range(3):
        with pytest.raises(DownloadError, match=r"127\.0\.0\.1 cannot be reached"):
            downloader.fetch(archive, "tool", "1.2.3")
    assert written.text.count("cannot be reached") == 1
    assert time.monotonic() - started < 2


def test_a_server_that_falls_silent_is_not_waited_for(
    publish: Publish, releases: Releases, tmp_path: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = publish(tar_gz("tool"))
    monkeypatch.setattr("scripts.local.download.ATTEMPTS", 1)
    releases.silent_seconds = 1.0
    impatient = Downloader(tmp_path, written.report, pause_seconds=0.0, read_seconds=0.1)
    with pytest.raises(DownloadError, match="1 times"):
        impatient.fetch(archive, "tool", "1.2.3")


@pytest.mark.parametrize(
    ("checksums", "found"),
    [
        (f"{'a' * 64}  tool.zip", True),
        (f"{'a' * 64} *tool.zip", True),
        (f"{'a' * 64}  ./dist/tool.zip", True),
        (f"{'A' * 64}  tool.zip\n", True),
        (f"{'a' * 64}\n", True),
        (f"{'b' * 64}  another.zip\n{'a' * 64}  tool.zip", True),
        (f"{'a' * 64}  my-tool.zip", False),
        (f"{'a' * 63}  tool.zip", False),
        ("<html>not found</html>", False),
        ("", False),
    ],
)
def test_a_digest_is_found_in_the_formats_that_makers_publish(checksums: str, found: bool) -> None:
    assert find_digest(checksums, "tool.zip") == ("a" * 64 if found else None)


@pytest.mark.parametrize(
    ("machine", "arch"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("arm64", "arm64"), ("AMD64", "amd64")]
)
def test_this_machine_is_called_as_releases_call_it(monkeypatch: pytest.MonkeyPatch, machine: str, arch: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert fill("https://x/v{version}/t.{os}-{arch}", "1.0") == f"https://x/v1.0/t.linux-{arch}"


def test_progress_moves_on_a_terminal_and_is_one_line_elsewhere(
    publish: Publish, tmp_path: Path, written: Written, terminal: Written
) -> None:
    archive = publish(tar_gz("tool"))
    Downloader(tmp_path / "a", written.report).fetch(archive, "tool", "1.2.3")
    assert written.text == "downloading tool 1.2.3 …\n"
    Downloader(tmp_path / "b", terminal.report).fetch(archive, "tool", "1.2.3")
    assert "\x1b[" in terminal.text


def test_lines_are_shown_as_they_are(written: Written) -> None:
    report: Report = written.report
    report.say("[bold]no markup[/bold] :smile:")
    assert written.text == "[bold]no markup[/bold] :smile:\n"

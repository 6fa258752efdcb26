"""Release archives: fetched with a time limit, resumed after a break, checked against their makers' checksums."""

import hashlib
import platform
import re
import shutil
import tarfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from scripts.local.compose import Archive
from scripts.local.report import Advance, Report

#: Seconds. A machine that is offline shall not wait long; a slow one may take its time once bytes arrive.
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
ATTEMPTS = 4  # for one file, each going on where the one before broke off
PAUSE_SECONDS = 1.0
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armv7"}


class DownloadError(Exception):
    """An archive that cannot be had or must not be used; the message says why."""


class _BrokenOffError(Exception):
    """A connection that ended early: what came so far is kept, and the next attempt goes on from there."""


def system() -> tuple[str, str]:
    """This machine in the words of release archives, such as ("linux", "amd64")."""
    machine = platform.machine().lower()
    return platform.system().lower(), _MACHINES.get(machine, machine)


def fill(template: str, version: str) -> str:
    """An archive's address for a version and this machine."""
    os_name, arch = system()
    return template.format(version=version, os=os_name, arch=arch)


def find_digest(checksums: str, name: str) -> str | None:
    """A file's SHA-256 in a checksum file: lines of `digest  name`, or one digest and nothing else."""
    for line in checksums.splitlines():
        match = re.fullmatch(r"([0-9a-fA-F]{64})(?:\s+\*?(?:.*/)?(\S+))?", line.strip())
        if match and match[2] in (name, None):
            return match[1].lower()
    return None


@dataclass
class Downloader:
    """Fetches archives into `.tools/`. A host that did not answer once is not asked again."""

    tools: Path
    report: Report
    pause_seconds: float = PAUSE_SECONDS
    read_seconds: float = READ_SECONDS
    _unreachable: set[str] = field(default_factory=set)

    def fetch(self, archive: Archive, program: str, version: str) -> Path:
        """The folder `.tools/<program>-<version>/` with the unpacked archive. Raises DownloadError."""
        url, checksums = fill(archive.url, version), fill(archive.checksums, version)
        name = httpx.URL(url).path.rpartition("/")[2]
        part = self.tools / "downloads" / f"{name}.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        limits = httpx.Timeout(self.read_seconds, connect=CONNECT_SECONDS)
        with httpx.Client(timeout=limits, follow_redirects=True) as client:
            digest = find_digest(self._text(client, checksums), name)
            if digest is None:
                raise DownloadError(f"{checksums} has no SHA-256 of {name}: not used")
            resumed = part.exists()
            with self.report.download(f"downloading {program} {version}") as advance:
                self._file(client, url, part, advance)
            if resumed and _sha256(part) != digest:  # the older part may belong to another file
                part.unlink()
                with self.report.download(f"downloading {program} {version} anew") as advance:
                    self._file(client, url, part, advance)
        if (actual := _sha256(part)) != digest:
            part.unlink()
            raise DownloadError(f"{url} has the SHA-256 {actual}, and {checksums} says {digest}: refused, and removed")
        folder = self.tools / f"{program}-{version}"
        try:
            _unpack(part, name, folder)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
            raise DownloadError(f"{name} cannot be unpacked: {error}") from error
        finally:
            part.unlink()
        return folder

    def _text(self, client: httpx.Client, url: str) -> str:
        target = self.tools / "downloads" / "checksums.part"
        target.unlink(missing_ok=True)
        try:
            self._file(client, url, target, lambda done, total: None)
            return target.read_text(encoding="utf-8", errors="replace")
        finally:
            target.unlink(missing_ok=True)

    def _file(self, client: httpx.Client, url: str, part: Path, advance: Advance) -> None:
        host = httpx.URL(url).host
        if host in self._unreachable:
            raise DownloadError(f"{host} cannot be reached")
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _stream(client, url, part, advance)
                return
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                self._unreachable.add(host)
                self.report.say(f"{host} cannot be reached ({error}): going on without downloads from there")
                raise DownloadError(f"{host} cannot be reached") from error
            except (httpx.HTTPError, _BrokenOffError) as error:
                if attempt == ATTEMPTS:
                    raise DownloadError(f"{url}: {error or type(error).__name__}, {attempt} times") from error
                time.sleep(self.pause_seconds * attempt)


def _stream(client: httpx.Client, url: str, part: Path, advance: Advance) -> None:
    """One attempt: what is missing of a file, or all of it where the server knows no ranges."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # a checksum is of the file, not of what a server makes of it
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()  # longer than the file is: not a part of it
            raise _BrokenOffError("the part that was here is no part of the file")
        if response.status_code >= 500:
            raise _BrokenOffError(f"the server answers {response.status_code}")
        if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise DownloadError(f"{url} answers {response.status_code}")
        if response.status_code == httpx.codes.OK:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            for block in response.iter_raw():
                file.write(block)
                have += len(block)
                advance(have, total)
    if total is not None and have < total:
        raise _BrokenOffError(f"ended after {have} of {total} bytes")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(archive: Path, name: str, folder: Path) -> None:
    """Unpack beside the folder first, so that an interrupted run leaves nothing that looks whole."""
    unpacked = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir(parents=True)
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(unpacked)  # noqa: S202 - zipfile itself keeps names inside the folder
        for file in unpacked.iterdir():
            file.chmod(0o755)  # a zip file carries no permission to execute
    else:
        with tarfile.open(archive) as tar:
            # Python before 3.11.4 has no filter; what is unpacked has its makers' checksum there as well.
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            tar.extractall(unpacked)  # noqa: S202 - filtered above
    entries = list(unpacked.iterdir())
    top = entries[0] if len(entries) == 1 and entries[0].is_dir() else unpacked
    shutil.rmtree(folder, ignore_errors=True)
    top.rename(folder)
    shutil.rmtree(unpacked, ignore_errors=True)

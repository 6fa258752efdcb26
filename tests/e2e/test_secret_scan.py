"""No credential stands in what is given away: the repository's files, their history, and each layer of the image."""

import contextlib
import subprocess
import tarfile
from collections.abc import Iterator
from typing import IO, cast

import pytest

from tests.e2e.stack import PROJECT
from tests.e2e.staging import IMAGE
from tests.programs import accepted, program
from tests.secret_patterns import FORMS

#: Made up, to see that redaction knows each form.
MADE_UP = {"tests/backend/test_redaction.py"}
#: Names that a file with secrets has. Authorities' certificates are public.
NAMES = (
    ".env",
    "id_rsa",
    "id_ed25519",
    ".key",
    ".p12",
    "credentials.json",
    ".npmrc",
    ".pypirc",
    ".netrc",
    ".git-credentials",
)


#: Scanners, and what they are asked. Each is used where it is at hand, and skipped by name where not.
SCANS = {
    "pip-audit": ["--disable-pip", "--require-hashes", "-r", "backend/requirements.txt", "-r", "requirements.txt"],
    "trivy": ["image", "--quiet", "--severity", "CRITICAL", "--ignore-unfixed", "--exit-code", "1", IMAGE],
}


def hits(text: bytes) -> list[str]:
    """What of a text looks like a credential: its beginning, which says of what kind."""
    return [match.group()[:12].decode(errors="replace") for match in FORMS.finditer(text)]


def test_the_search_finds_what_there_is_to_find() -> None:
    assert hits((PROJECT / "tests" / "backend" / "test_redaction.py").read_bytes())


def test_no_file_of_the_repository_holds_a_credential() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=PROJECT, capture_output=True, text=True
    )
    names = [name for name in listed.stdout.splitlines() if (PROJECT / name).is_file()]
    assert len(names) > 300
    assert [name for name in names if name.endswith(NAMES)] == []
    assert {name: found for name in names if (found := hits((PROJECT / name).read_bytes()))}.keys() <= MADE_UP
    ignored = ["git", "check-ignore", "secrets/staging/mongodb_url", "secrets/alertmanager/chat_url", ".env"]
    said = subprocess.run(ignored, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert len(said.stdout.split()) == 3, "what holds secrets on this machine is never committed"


def test_no_commit_ever_added_one() -> None:
    log = subprocess.run(["git", "log", "-p", "--all", "--no-color", "--", ".", *(f":!{name}" for name in MADE_UP)],
                         cwd=PROJECT, capture_output=True, check=True)  # fmt: skip
    assert [found for line in log.stdout.splitlines() if line.startswith(b"+") for found in hits(line)] == []


def layers(image: str) -> Iterator[tuple[str, tarfile.TarFile]]:
    """Each layer of an image, by its digest, as it is read."""
    with (
        subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved,
        tarfile.open(fileobj=cast(IO[bytes], saved.stdout), mode="r|") as whole,
    ):
        for member in whole:
            content = whole.extractfile(member) if member.isfile() else None
            if content and (member.name.endswith("layer.tar") or "/sha256/" in member.name):
                with contextlib.suppress(tarfile.ReadError), tarfile.open(fileobj=content, mode="r|") as layer:
                    yield member.name, layer  # what cannot be read as one is the image's configuration


@pytest.mark.timeout(300)
def test_no_layer_of_the_image_holds_one() -> None:
    docker = program("docker")
    if subprocess.run([docker, "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        pytest.skip(f"the image {IMAGE} is not here: `docker compose build` makes it")
    found, files = [], 0
    for layer, archive in layers(IMAGE):
        for member in archive:
            name = member.name.removeprefix("./")
            if not member.isfile() or name.startswith("usr/"):  # Debian's and Python's, with keys that they test with
                continue
            files += 1
            content = archive.extractfile(member)
            assert content is not None
            what = hits(content.read())
            if name.startswith("run/secrets/") or name.endswith(NAMES) or what:
                found.append(f"{layer}: {name} {what}")
    assert files > 1000
    assert found == []
    history = subprocess.run([docker, "history", "--no-trunc", IMAGE], capture_output=True, check=True).stdout
    settings = subprocess.run([docker, "inspect", IMAGE], capture_output=True, check=True).stdout
    assert hits(history + settings) == []


@pytest.mark.parametrize("scanner", SCANS)
def test_a_scanner_has_nothing_to_say(scanner: str) -> None:
    accepted(scanner, *SCANS[scanner])

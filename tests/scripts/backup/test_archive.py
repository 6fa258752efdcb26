"""An archive is read back whole or not at all, and says what of it is damaged, or that the key is another."""

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

import pyrage
import pytest

from scripts.backup import archive
from scripts.backup.archive import BackupError, Keys, Manifest

#: Larger than a block of age's (64 KiB) and of tar's, smaller, and nothing at all.
CONTENTS = {"documents/messages.bson": b"m" * 200_000, "loki/wal/00000001": b"w" * 3, "loki/empty": b""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in CONTENTS.items():
        (tmp_path / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / name).write_bytes(content)
    return tmp_path / "work"


def key(file: Path) -> Keys:
    """A new key, as age-keygen writes it."""
    identity = pyrage.x25519.Identity.generate()
    file.write_text(f"# created: now\n# public key: {identity.to_public()}\n{identity}\n")
    return Keys(file)


def packed(folder: Path, keys: Keys | None) -> Path:
    target = folder.parent / "specola-20260101T000000Z.tar"
    archive.pack(folder, Manifest("now", {"loki": {"kind": "folder", "owner": [1, 2]}}), target, keys)
    return target


def flipped(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("encrypted", [False, True])
def test_what_was_packed_is_read_back(folder: Path, tmp_path: Path, encrypted: bool) -> None:
    keys = key(tmp_path / "key") if encrypted else None
    target = packed(folder, keys)
    assert target.stat().st_mode & 0o077 == 0, "for its owner's eyes only"
    assert (b"mmmm" in target.read_bytes()) is not encrypted
    manifest = archive.unpack(target, keys, tmp_path / "out")
    assert manifest.parts == {"loki": {"kind": "folder", "owner": [1, 2]}}
    out = tmp_path / "out"
    assert {
        file.relative_to(out).as_posix(): file.read_bytes() for file in out.rglob("*") if file.is_file()
    } == CONTENTS
    assert not list(tmp_path.glob(".*")), "no half of an archive is left"


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_damaged_member_is_named(folder: Path, tmp_path: Path, encrypted: bool) -> None:
    keys = key(tmp_path / "key") if encrypted else None
    target = packed(folder, keys)
    flipped(target, 150_000)
    with pytest.raises(BackupError, match=r"is damaged at documents/messages.bson"):
        archive.unpack(target, keys)


@pytest.mark.parametrize(
    "name", ["manifest.json", "manifest.sha256", *[name for name in CONTENTS if "empty" not in name]]
)
def test_a_byte_that_is_wrong_anywhere_names_its_member(folder: Path, name: str) -> None:
    target = packed(folder, None)
    with tarfile.open(target) as tar:
        member = tar.getmember(name)
    expected = "manifest.json" if name == "manifest.sha256" else name
    whole = target.read_bytes()
    for at in (member.offset, member.offset_data, member.offset_data + member.size - 1):
        target.write_bytes(whole)
        flipped(target, at)
        with pytest.raises(BackupError, match=f"is damaged at {expected}"):
            archive.unpack(target, None)


@pytest.mark.parametrize("encrypted", [False, True])
def test_an_archive_that_ends_too_soon_names_what_is_missing(folder: Path, tmp_path: Path, encrypted: bool) -> None:
    keys = key(tmp_path / "key") if encrypted else None
    target = packed(folder, keys)
    target.write_bytes(target.read_bytes()[:100_000])
    with pytest.raises(BackupError, match=r"is damaged at documents/messages.bson"):
        archive.unpack(target, keys)


def test_a_member_that_would_be_written_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder.parent / "elsewhere").write_text("")
    manifest = Manifest("now", members={"../elsewhere": hashlib.sha256(b"").hexdigest()})
    archive.pack(folder, manifest, tmp_path / "odd.tar", None)
    with pytest.raises(BackupError, match=r"damaged at \.\./elsewhere"):
        archive.unpack(tmp_path / "odd.tar", None, tmp_path / "a/out")
    assert not (tmp_path / "a/elsewhere").exists()


def test_another_key_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    target = packed(folder, key(tmp_path / "key"))
    with pytest.raises(BackupError, match=r"no key of .*/other opens .*tar.*nothing of it was used"):
        archive.unpack(target, key(tmp_path / "other"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_a_key_it_says_that_one_is_needed(folder: Path, tmp_path: Path) -> None:
    target = packed(folder, key(tmp_path / "key"))
    with pytest.raises(BackupError, match=r"is encrypted: name the file of its secret key"):
        archive.unpack(target, None)


def test_who_has_the_public_key_alone_can_write_and_not_read(folder: Path, tmp_path: Path) -> None:
    whole = key(tmp_path / "key")
    (tmp_path / "public").write_text(str(whole.public[0]))
    target = packed(folder, Keys(tmp_path / "public"))
    with pytest.raises(BackupError, match="name the file of its secret key"):
        archive.unpack(target, Keys(tmp_path / "public"))
    assert set(archive.unpack(target, whole).members) == set(CONTENTS)


@pytest.mark.parametrize("text", ["", "no key", "AGE-SECRET-KEY-1QQQQ", "ä"])
def test_a_file_without_a_key_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(BackupError, match=r"the key file .*/key (holds no line|cannot be used)") as refused:
        Keys(tmp_path / "key")
    assert not text or text not in str(refused.value)


def test_it_can_be_opened_without_this_program(folder: Path, tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("tar is not here")
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", packed(folder, None), "-C", tmp_path / "out"], check=True)
    assert (tmp_path / "out/documents/messages.bson").read_bytes() == CONTENTS["documents/messages.bson"]

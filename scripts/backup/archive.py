"""An archive: a plain tar with a manifest first, which holds the digest of every member; as a whole encrypted by age.

Without this program: `age --decrypt -i KEY FILE | tar -x`.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

MANIFEST, DIGEST = "manifest.json", "manifest.sha256"
_AGE = b"age-encryption.org/v1"
_BLOCK = 1 << 20


class BackupError(Exception):
    """A backup or a restore that cannot be; the message says what stands in the way, where, and what to do."""


class NothingYet(BackupError):
    """There is no data so far of what has to be in every backup."""


@dataclass
class Manifest:
    """What an archive holds. `parts`: of each store its kind and, of a folder, the owner's user and group id."""

    made: str
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)


class Keys:
    """The keys of a file: lines as `age-keygen` writes them. A public key (age1…) encrypts, a secret one does both."""

    def __init__(self, file: Path) -> None:
        """Raises BackupError for a file that cannot be read or holds no key; nothing of it is quoted."""
        age, self.file = _age(), file
        try:
            lines = [line.strip() for line in file.read_text(encoding="ascii").splitlines()]
            self.secret = [age.x25519.Identity.from_str(line) for line in lines if line.startswith("AGE-SECRET-KEY-")]
            public = [age.x25519.Recipient.from_str(line) for line in lines if line.startswith("age1")]
        except (OSError, UnicodeError, age.IdentityError, age.RecipientError) as error:
            raise BackupError(
                f"the key file {file} cannot be used ({type(error).__name__}): see backups/README.md"
            ) from None
        self.public = public or [identity.to_public() for identity in self.secret]
        if not self.public:
            raise BackupError(f"the key file {file} holds no line AGE-SECRET-KEY-… or age1…: see backups/README.md")


def pack(folder: Path, manifest: Manifest, target: Path, keys: Keys | None) -> None:
    """Makes an archive of every file below `folder`. It has its name once it is whole and on the disk."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with file.open("rb") as content:
            manifest.members[file.relative_to(folder).as_posix()] = _digest(content)
    partial = target.with_name(f".{target.name}.partial")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        with _encrypting(output, keys) as plain, tarfile.open(fileobj=plain, mode="w|") as tar:
            text = json.dumps(asdict(manifest)).encode()
            for name, about in ((MANIFEST, text), (DIGEST, hashlib.sha256(text).hexdigest().encode())):
                header = tarfile.TarInfo(name)
                header.size = len(about)
                tar.addfile(header, io.BytesIO(about))
            for name in manifest.members:
                tar.add(folder / name, arcname=name)
        output.flush()
        os.fsync(output.fileno())
    partial.rename(target)


def unpack(archive: Path, keys: Keys | None, folder: Path | None = None) -> Manifest:
    """Checks every member of an archive, and writes them below `folder` if one is given.

    Raises BackupError with the name of the first member that is damaged, or for a key that does not fit.
    """
    at = MANIFEST

    def damaged() -> BackupError:
        return BackupError(f"{archive} is damaged at {at}: nothing of it was used; take another archive")

    with _reading(archive, keys, damaged) as plain:
        try:
            with tarfile.open(fileobj=plain, mode="r|") as tar:
                text = _next(tar, MANIFEST).read()
                if _next(tar, DIGEST).read() != hashlib.sha256(text).hexdigest().encode():
                    raise damaged()
                manifest = Manifest(**json.loads(text))
                for at, digest in manifest.members.items():
                    if _write(_next(tar, at), folder and folder / at) != digest:
                        raise damaged()
        except (tarfile.TarError, ValueError, EOFError) as error:
            raise damaged() from error
    return manifest


def _next(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    """The next member, which has to be this one. Raises EOFError if it is not."""
    member, path = tar.next(), PurePosixPath(name)
    content = tar.extractfile(member) if member else None
    if member is None or content is None or member.name != name or path.is_absolute() or ".." in path.parts:
        raise EOFError(name)
    return content


def _write(content: IO[bytes], path: Path | None) -> str:
    if path is None:
        return _digest(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as copy:
        return _digest(content, copy)


def _digest(file: IO[bytes], copy: IO[bytes] | None = None) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
        if copy:
            copy.write(block)
    return digest.hexdigest()


@contextmanager
def _encrypting(target: IO[bytes], keys: Keys | None) -> Iterator[IO[bytes]]:
    """What to write the plain archive to. age reads from a stream, tarfile writes to one: a pipe joins them."""
    if keys is None:
        yield target
        return
    with ThreadPoolExecutor(1) as pool:
        reading, writing = _pipe()
        done = pool.submit(_closing, reading, _age().encrypt_io, reading, target, keys.public)
        try:
            with writing:
                yield writing
        except BrokenPipeError:
            done.result()  # says why: a full disk
            raise
        done.result()


@contextmanager
def _reading(archive: Path, keys: Keys | None, damaged: Callable[[], BackupError]) -> Iterator[IO[bytes]]:
    """The plain archive, as a stream."""
    with archive.open("rb") as source:
        encrypted = source.read(len(_AGE)) == _AGE
        source.seek(0)
        if not encrypted:
            yield source
            return
        if keys is None or not keys.secret:
            raise BackupError(f"{archive} is encrypted: name the file of its secret key, KEY=…")
        with ThreadPoolExecutor(1) as pool:
            reading, writing = _pipe()
            done = pool.submit(_closing, writing, _age().decrypt_io, source, writing, keys.secret)
            try:
                with reading:
                    yield reading
            except BackupError:
                if "No matching keys" not in str(done.exception()):
                    raise
                why = "it was made with another, or its first bytes are damaged: nothing of it was used"
                raise BackupError(f"no key of {keys.file} opens {archive}: {why}") from None


def _closing(end: IO[bytes], work: Callable[..., None], *arguments: object) -> None:
    """Works, and closes its end of the pipe: without that, the other end would wait for ever."""
    with end:
        work(*arguments)


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")


def _age() -> Any:
    """The implementation of age, loaded where there is a key: nothing else needs it."""
    import pyrage  # type: ignore[import-untyped]

    return pyrage

"""What is done where the data is: in the stack's own container, or on this machine for local processes."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scripts.backup import archives
from scripts.backup.archive import BackupError, Keys, Manifest, NothingYet, pack, unpack
from scripts.backup.parts import Alertmanager, Folder, InFiles, Part, Prometheus, Sqlite

Say = Callable[[str], None]
#: The backend's settings that say where its stores are.
STORE_SETTINGS = (
    "DOCUMENT_STORE",
    "SQLITE_PATH",
    "VECTOR_STORE",
    "QDRANT_PATH",
    "QDRANT_HOST",
    "QDRANT_PORT",
    "QDRANT_API_KEY",
    "MONGODB_URL",
    "MONGODB_DATABASE",
    "AUTHORITY_FILE",
)


@dataclass(frozen=True)
class Place:
    """Where the data is, and where the archives go. `keys`: a file that, where it is there, has them encrypted."""

    data: Path
    backups: Path
    keys: Path
    prometheus: str
    environment: Mapping[str, str]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Place":
        """From the environment that docker-compose.yml gives to the service `backup`."""
        return cls(
            Path(environment["DATA_DIR"]),
            Path(environment["BACKUPS"]),
            Path(environment["BACKUP_KEY"]),
            environment["PROMETHEUS_URL"],
            environment,
        )

    def parts(self) -> list[Part]:
        """Every store, in the order in which they are read: what refers to another before that.

        What Tempo was given in the three seconds before is in its memory alone, and in no archive.
        """
        return [
            *self._stores(),
            Sqlite("grafana", self.data / "grafana-data", "grafana.db"),
            Folder("loki", self.data / "loki-data", ("tsdb-shipper-cache", "rules-temp")),
            Folder("tempo", self.data / "tempo-data", ("generator",)),
            Prometheus(
                self.data / "prometheus-data",
                self.prometheus,
                self.environment.get("PROMETHEUS_PASSWORD_FILE", ""),
                self.environment.get("AUTHORITY_FILE", ""),
            ),
            Alertmanager(self.data / "alertmanager-data"),
        ]

    def parts_here(self) -> list[Part]:
        """Those that are in use: a store that does not run among local processes has no folder."""
        return [part for part in self.parts() if not isinstance(part, InFiles) or part.folder.is_dir()]

    def _stores(self) -> Iterator[Part]:
        from app.core.config import Settings  # the backend's: what reaches its stores is set once
        from scripts.backup.servers import Mongo, Qdrant

        given = {name.lower(): value for name in STORE_SETTINGS if (value := self.environment.get(name))}
        settings = Settings(**given)  # type: ignore[arg-type]
        if settings.document_store == "mongodb":
            yield Mongo(settings.mongodb_url.get_secret_value(), settings.mongodb_database)
        else:
            yield Sqlite("documents", settings.sqlite_path.parent, settings.sqlite_path.name)
        if settings.vector_store == "server":
            scheme = "https" if settings.authority_file else "http"
            url = f"{scheme}://{settings.qdrant_host}:{settings.qdrant_port}"
            yield Qdrant(url, settings.qdrant_api_key.get_secret_value(), settings.authority_file)
        else:
            yield Sqlite("vectors", settings.qdrant_path, "collection/*/storage.sqlite", ("meta.json",))

    def read_keys(self) -> Keys | None:
        """The keys, where there are any. Raises BackupError for a file that holds none."""
        return Keys(self.keys) if self.keys.is_file() else None

    def archives(self) -> list[Path]:
        """Every archive, the newest last."""
        return archives(self.backups)

    @contextmanager
    def alone(self) -> Iterator[Path]:
        """A folder to work in, beside the archives, for one at a time. Raises BackupError while another works."""
        self.backups.mkdir(parents=True, exist_ok=True)
        with (self.backups / ".lock").open("w") as lock:
            _give(self.backups / ".lock", _owner(self.backups))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupError("another backup or restore is at work: try again when it has ended") from None
            for left in (*self.backups.glob(".work-*"), *self.backups.glob(".*.partial")):  # by one that was killed
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            with tempfile.TemporaryDirectory(prefix=".work-", dir=self.backups) as folder:
                yield Path(folder)


def back_up(place: Place, say: Say) -> Path:
    """Makes an archive of every store; its path. Raises BackupError, and leaves none, if one cannot be read."""
    keys, started = place.read_keys(), time.monotonic()
    now = datetime.now(UTC)
    with place.alone() as work:
        manifest = Manifest(now.isoformat(timespec="seconds"))
        parts = place.parts_here()
        if "documents" not in {part.name for part in parts}:
            raise NothingYet(f"there are no documents in {place.data}: nothing was ever started here")
        for number, part in enumerate(parts, 1):
            since = time.monotonic()
            (work / part.name).mkdir()
            part.collect(work / part.name)
            manifest.parts[part.name] = {
                "kind": part.kind,
                "owner": _owner(part.folder) if isinstance(part, InFiles) else None,
            }
            say(f"{number}/{len(parts)} {part.name}: {size(work / part.name)}, {time.monotonic() - since:.1f} s")
        target = place.backups / f"specola-{now:%Y%m%dT%H%M%SZ}.tar{'.age' if keys else ''}"
        pack(work, manifest, target, keys)
        _give(target, _owner(place.backups))  # not root's, but of whoever owns the folder
    how = "encrypted" if keys else f"not encrypted: no key in {place.keys}"
    say(f"{target} ({target.stat().st_size / 1e6:.1f} MB, {how}), {time.monotonic() - started:.1f} s")
    return target


def prune(place: Place, days: float, say: Say) -> None:
    """Removes archives that are older than this, but for the newest one."""
    for archive in place.archives()[:-1]:
        if made(archive) < time.time() - days * 86400:
            archive.unlink()
            say(f"removed {archive.name}, which is older than {days:g} days")


def made(archive: Path) -> float:
    """When an archive was made, by its name; a Unix time."""
    stamp = archive.name.removeprefix("specola-").partition(".")[0]
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def check(place: Place, archive: Path) -> Manifest:
    """Reads a whole archive. Raises BackupError if it is damaged, or not of the stores that are used here."""
    manifest = unpack(archive, place.read_keys())
    kinds = {part.name: part.kind for part in place.parts()}
    for name, about in manifest.parts.items():
        if kinds.get(name, about["kind"]) != about["kind"]:
            raise BackupError(
                f"{archive} holds {name} of {about['kind']}, and here they are kept by {kinds[name]}: "
                "restore it to the form of the stack that it was made of (containers, or processes with LOCAL=1)"
            )
    return manifest


def occupied(place: Place) -> list[str]:
    """What a restore would replace, in words."""
    return [held for part in place.parts() if (held := part.holds())]


def put_back(place: Place, archive: Path, say: Say, only: Sequence[str] = ()) -> None:
    """Replaces every store's data by the archive's, or those named alone.

    Raises BackupError, before anything is replaced, if it cannot.
    """
    manifest = check(place, archive)
    with place.alone() as work:
        free, needed = shutil.disk_usage(work).free, 2 * archive.stat().st_size
        if free < needed:
            raise BackupError(
                f"{needed / 1e6:.0f} MB are needed for {place.backups} and the data, {free / 1e6:.0f} are free"
            )
        unpack(archive, place.read_keys(), work)
        for part in place.parts():
            if part.name in manifest.parts and (not only or part.name in only):
                (work / part.name).mkdir(exist_ok=True)  # a store that held nothing
                part.put_back(work / part.name)
                if isinstance(part, InFiles):
                    _give(part.folder, manifest.parts[part.name]["owner"])
                say(f"{part.name}: {size(work / part.name)} put back")
    say(f"{archive.name} of {manifest.made} is restored")


def _owner(folder: Path) -> Sequence[int]:
    return folder.stat().st_uid, folder.stat().st_gid


def _give(path: Path, owner: Sequence[int]) -> None:
    """Gives a file, or a folder and all within, to its owner; where this process may, as it does in a container."""
    if os.geteuid() == 0:
        for one in (path, *path.rglob("*")):
            os.chown(one, owner[0], owner[1], follow_symlinks=False)


def size(folder: Path) -> str:
    """A folder's files in words."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return (
        f"{len(files)} file{'' if len(files) == 1 else 's'}, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
    )

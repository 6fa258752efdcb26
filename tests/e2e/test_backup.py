"""What is backed up while it is written to is there again on an empty machine: counts and sample queries are equal."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pyrage
import pytest

from scripts.backend_process import BackendProcess
from scripts.backup.archive import BackupError
from scripts.backup.run import Place, back_up, occupied, put_back
from scripts.local.apart import Apart, NotHere
from tests.e2e.backup import Contents, Record, assert_full
from tests.e2e.shipping import until

pytestmark = pytest.mark.timeout(300)
NAMES = ("prometheus", "alertmanager", "loki", "tempo", "grafana")


class Stack:
    """The parts that keep something, as processes in one folder, not started yet."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        try:
            self.apart = stack.enter_context(Apart(folder / "apart", NAMES))
        except NotHere as missing:
            pytest.skip(str(missing))
        data = self.apart.folders.data
        (data / "backend").mkdir(parents=True)
        self.backend = BackendProcess(data / "backend")
        stack.callback(self.backend.stop)
        self.place = Place(
            data, folder / "backups", folder / "key", self.apart.url("prometheus"), self.backend.environment
        )
        self.contents = Contents(self._address, self._read)

    def start(self) -> None:
        for name in NAMES:
            self.apart.launch(name)
        self.backend.launch()
        for name in NAMES:
            self.apart.ready(name)
        until(self.backend.ready, "the backend serves", seconds=60)

    def _address(self, name: str) -> str:
        if name == "tempo-otlp":
            return f"http://127.0.0.1:{self.apart.port('tempo', 4318)}"
        return self.backend.address if name == "backend" else self.apart.url(name)

    def _read(self, name: str) -> list[Record]:
        with closing(sqlite3.connect(self.place.environment["SQLITE_PATH"])) as database:
            return [json.loads(body) for (body,) in database.execute(f"SELECT body FROM {name} ORDER BY id")]


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    with ExitStack() as ending:
        yield Stack(folder, ending)


class Kept(NamedTuple):
    """An archive, its key, and what was in the stack that it was made of, before a time."""

    archive: Path
    keys: Path
    facts: dict[str, Any]
    at: float


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with stack(tmp_path_factory.mktemp("kept")) as here:
        here.place.keys.write_text(str(pyrage.x25519.Identity.generate()))
        here.start()
        here.contents.fill()
        at, stop = time.time(), threading.Event()
        facts = here.contents.facts(at)
        writer = threading.Thread(target=_write, args=(here.contents, stop))
        writer.start()
        archive = back_up(here.place, print)
        stop.set()
        writer.join()
        assert not list((here.place.data / "prometheus-data/snapshots").iterdir()), "it would keep what retention ends"
        yield Kept(archive, here.place.keys, facts, at)


def _write(contents: Contents, stop: threading.Event) -> None:
    while not stop.is_set():
        contents.log("later", 200)
        httpx.post(contents.address("backend") + "/api/v1/documents", files={"file": ("l.txt", f"later {time.time()}")})
        time.sleep(0.05)


def test_on_an_empty_machine_everything_is_there_again(kept: Kept, tmp_path: Path) -> None:
    assert_full(kept.facts)
    with stack(tmp_path) as here:
        here.place.keys.write_bytes(kept.keys.read_bytes())
        assert occupied(here.place) == []
        put_back(here.place, kept.archive, print)
        assert len(occupied(here.place)) == 7
        here.start()
        here.contents.until_found()
        assert here.contents.facts(kept.at) == kept.facts


def test_a_wrong_key_touches_nothing(kept: Kept, tmp_path: Path) -> None:
    with stack(tmp_path) as here:
        here.place.keys.write_text(str(pyrage.x25519.Identity.generate()))
        with pytest.raises(BackupError, match=r"no key of .*/key opens .*\.tar\.age"):
            put_back(here.place, kept.archive, print)
        assert occupied(here.place) == []


def test_a_damaged_archive_touches_nothing(kept: Kept, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tar.age"
    content = bytearray(kept.archive.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with stack(tmp_path) as here:
        here.place.keys.write_bytes(kept.keys.read_bytes())
        with pytest.raises(BackupError, match=r"damaged.tar.age is damaged at \w+/.+: nothing of it was used"):
            put_back(here.place, damaged, print)
        assert occupied(here.place) == []

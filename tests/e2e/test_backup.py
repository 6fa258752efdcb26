"""What is backed up while it is written to is there again on an empty machine: counts and sample queries are equal."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyrage
import pytest

from scripts.backup.archive import BackupError
from scripts.backup.run import back_up, occupied, put_back
from tests.e2e.backup import LINES, Stores, stores

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any], float, Path]]:
    """An encrypted archive of a stack that was written to meanwhile, what was in that stack, when, and its key."""
    folder = tmp_path_factory.mktemp("kept")
    with stores(folder) as stack:
        stack.place.keys.write_text(str(pyrage.x25519.Identity.generate()))
        stack.start()
        stack.fill()
        at, stop = time.time(), threading.Event()
        facts = stack.facts(at)
        writer = threading.Thread(target=_write, args=(stack, stop))
        writer.start()
        said: list[str] = []
        archive = back_up(stack.place, said.append)
        stop.set()
        writer.join()
        print(*said, sep="\n")
        assert not list((stack.place.data / "prometheus-data/snapshots").iterdir()), (
            "it would keep what retention removes"
        )
        yield archive, facts, at, stack.place.keys


def _write(stack: Stores, stop: threading.Event) -> None:
    while not stop.is_set():
        stack.log("later", 200)
        file = {"file": ("later.txt", f"later {time.time()}")}
        httpx.post(f"{stack.backend.address}/api/v1/documents", files=file)
        time.sleep(0.05)


def test_the_stack_had_something_in_every_store(kept: tuple[Path, dict[str, Any], float, Path]) -> None:
    _, facts, _, _ = kept
    assert {name: len(records) for name, records in facts["records"].items()} == {
        "messages": 2, "sessions": 1, "documents": 3, "jobs": 3, "feedback": 1,
    }  # fmt: skip
    assert len(facts["lines"]) == LINES
    assert facts["trace"] == ["span 1", "span 2"]
    assert len(facts["passages"]) >= 1
    assert len(facts["samples"][0]) >= 1
    assert len(facts["silences"]) == 1
    assert facts["annotations"] == ["kept"]


def test_on_an_empty_machine_everything_is_there_again(
    kept: tuple[Path, dict[str, Any], float, Path], tmp_path: Path
) -> None:
    archive, facts, at, keys = kept
    with stores(tmp_path) as stack:
        stack.place.keys.write_bytes(keys.read_bytes())
        assert occupied(stack.place) == []
        put_back(stack.place, archive, print)
        assert len(occupied(stack.place)) == 7
        stack.start()
        stack.until_found()
        assert stack.facts(at) == facts


def test_a_wrong_key_touches_nothing(kept: tuple[Path, dict[str, Any], float, Path], tmp_path: Path) -> None:
    with stores(tmp_path) as stack:
        stack.place.keys.write_text(str(pyrage.x25519.Identity.generate()))
        with pytest.raises(BackupError, match=r"no key of .*/key opens .*\.tar\.age"):
            put_back(stack.place, kept[0], print)
        assert occupied(stack.place) == []


def test_a_damaged_archive_touches_nothing(kept: tuple[Path, dict[str, Any], float, Path], tmp_path: Path) -> None:
    archive, _, _, keys = kept
    damaged = tmp_path / "damaged.tar.age"
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with stores(tmp_path) as stack:
        stack.place.keys.write_bytes(keys.read_bytes())
        with pytest.raises(BackupError, match=r"damaged.tar.age is damaged at \w+/.+: nothing of it was used"):
            put_back(stack.place, damaged, print)
        assert occupied(stack.place) == []

"""What the vector store alone has to prove where Qdrant is embedded: durability, threads, its one folder."""

import asyncio
import logging
import sqlite3
import threading
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from qdrant_client.local.local_collection import LocalCollection

from app.stores import vectors as module
from app.stores.errors import StoreUnavailable
from app.stores.pieces import Piece
from app.stores.vectors import VectorStore

DIMENSIONS = 8

WRITER = """
import asyncio, itertools, pathlib, sys
from app.stores.pieces import Piece
from app.stores.vectors import VectorStore

async def main():
    store = VectorStore.embedded(pathlib.Path(sys.argv[1]), "pieces", 8)
    await store.start()
    for number in itertools.count():
        await store.replace(str(number), "f", "t", [Piece(str(number), "h", 0)], [[1.0] * 8])
        print(number)

asyncio.run(main())
"""


def along(*axes: int) -> list[float]:
    """A vector that points equally along these axes."""
    return [float(axis in axes) for axis in range(DIMENSIONS)]


def pieces(*texts: str) -> list[Piece]:
    return [Piece(text=text, heading=f"about {text}", index=index) for index, text in enumerate(texts)]


async def test_what_was_acknowledged_survives_a_kill(
    tmp_path: Path, killed_after_writing: Callable[[str, Path], list[str]]
) -> None:
    acknowledged = killed_after_writing(WRITER, tmp_path / "qdrant")
    store = VectorStore.embedded(tmp_path / "qdrant", "pieces", DIMENSIONS)
    await store.start()
    found = {hit.document_id for hit in await store.search([1.0] * DIMENSIONS, 10_000)}
    await store.close()
    assert len(acknowledged) >= 20
    assert set(acknowledged) <= found


async def test_embedded_a_write_ahead_log_saves_flushes_of_the_disk(tmp_path: Path) -> None:
    store = VectorStore.embedded(tmp_path / "qdrant", "pieces", DIMENSIONS)
    await store.start()
    await store.close()
    with closing(sqlite3.connect(tmp_path / "qdrant" / "collection" / "pieces" / "storage.sqlite")) as file:
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_embedded_a_folder_is_for_one_process(tmp_path: Path) -> None:
    first, second = (VectorStore.embedded(tmp_path / "qdrant", "pieces", DIMENSIONS) for _ in range(2))
    await first.start()
    with pytest.raises(StoreUnavailable, match=r"already accessed.*QDRANT_PATH"):
        await second.start()
    await first.close()
    await second.start()
    await second.close()


async def test_embedded_a_damaged_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text("{")
    with pytest.raises(StoreUnavailable, match=rf"Qdrant at {tmp_path} failed to start: JSONDecodeError"):
        await VectorStore.embedded(tmp_path, "pieces", DIMENSIONS).start()


async def test_embedded_no_call_computes_or_writes_on_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[threading.Thread]] = {}

    def watch(name: str) -> None:
        real = getattr(LocalCollection, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            threads.setdefault(name, set()).add(threading.current_thread())
            return real(*args, **kwargs)

        monkeypatch.setattr(LocalCollection, name, watched)

    watched = ("__init__", "load_vectors", "upsert", "search", "delete", "count", "close")
    for name in watched:
        watch(name)
    store = VectorStore.embedded(tmp_path / "qdrant", "pieces", DIMENSIONS)
    await store.start()
    await store.replace("d", "f", "t", pieces("one"), [along(0)])
    await store.search(along(0), 1)
    await store.count()
    await store.delete("d")
    await store.close()
    assert set(threads) == set(watched)
    one = set.union(*threads.values())
    assert len(one) == 1
    assert threading.main_thread() not in one


async def test_embedded_a_call_that_is_given_up_does_not_run_beside_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, write = threading.Event(), LocalCollection.upsert

    def slow_write(*args: Any, **kwargs: Any) -> None:
        release.wait(10)
        write(*args, **kwargs)

    monkeypatch.setattr(LocalCollection, "upsert", slow_write)
    store = VectorStore.embedded(tmp_path / "qdrant", "pieces", DIMENSIONS)
    await store.start()
    store._timeout_seconds = 0.05
    with pytest.raises(StoreUnavailable, match=r"no answer within 0\.05 s"):
        await store.replace("d", "f", "t", pieces("one"), [along(0)])
    store._timeout_seconds = 10.0
    next_call = asyncio.create_task(store.count())
    await asyncio.sleep(0.1)
    assert not next_call.done()
    release.set()
    assert await next_call == 1
    await store.close()


async def test_embedded_nobody_is_shown_the_drivers_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(LocalCollection, "LARGE_DATA_THRESHOLD", 1)
    monkeypatch.setattr("qdrant_client.local.async_qdrant_local.AsyncQdrantLocal.LARGE_DATA_THRESHOLD", 1)
    monkeypatch.setattr(module, "LOCAL_LIMIT", 1)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        for _ in range(2):
            store = VectorStore.embedded(tmp_path / "qdrant", "pieces", DIMENSIONS)
            with caplog.at_level(logging.WARNING):
                await store.start()
            await store.replace("d", "f", "t", pieces("one", "two"), [along(0), along(1)])
            await store.close()
    assert [str(warning.message) for warning in shown if issubclass(warning.category, UserWarning)] == []
    assert "Set VECTOR_STORE=server" in caplog.text

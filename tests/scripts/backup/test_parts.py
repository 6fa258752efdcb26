"""What is in files is copied as of one moment, however much its owner writes meanwhile."""

import base64
import http.server
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from scripts.backup import parts
from scripts.backup.archive import BackupError
from scripts.backup.parts import Alertmanager, Folder, Prometheus, Sqlite, copy_live
from scripts.backup.servers import Qdrant


def content(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def meanwhile(monkeypatch: pytest.MonkeyPatch, *changes: Callable[[], object]) -> None:
    """Makes each change once, after a file has been copied."""
    left, copy = list(changes), parts.shutil.copyfile

    def copying(source: Path, target: Path) -> None:
        copy(source, target)
        if left:
            left.pop(0)()

    monkeypatch.setattr(parts.shutil, "copyfile", copying)


def test_what_comes_goes_or_changes_while_it_is_copied_is_copied_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written(tmp_path / "loki", chunks__a="1", chunks__b="1", index="a b", cache__x="x")

    def compact() -> None:
        written(source, chunks__c="12", index="c")
        (source / "chunks/a").unlink()
        (source / "chunks/b").unlink()

    meanwhile(monkeypatch, compact)
    copy_live(source, tmp_path / "copy", ["cache"])
    assert content(tmp_path / "copy") == {"chunks/c": "12", "index": "c"}


def test_a_log_that_only_grows_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written(tmp_path / "loki", wal="record ")
    copies: list[Path] = []

    def grow() -> None:
        with (source / "wal").open("a") as log:
            log.write("record ")
        copies.append(source)

    meanwhile(monkeypatch, *[grow] * 50)
    copy_live(source, tmp_path / "copy")
    assert len(copies) == 1
    assert content(tmp_path / "copy") == {"wal": "record "}


def test_what_never_rests_is_given_up_on_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written(tmp_path / "loki", a="1")
    meanwhile(monkeypatch, *[lambda n=n: (source / f"new{n}").write_text("") for n in range(999)])
    with pytest.raises(BackupError, match=r"loki changes faster than it can be copied"):
        copy_live(source, tmp_path / "copy")


def test_a_folder_is_replaced_and_not_added_to(tmp_path: Path) -> None:
    folder = written(tmp_path / "loki", chunks__old="old", old="old")
    written(tmp_path / "copy", chunks__new="new")
    part = Folder("loki", folder)
    assert part.holds() == f"files in {folder}"
    part.put_back(tmp_path / "copy")
    assert content(folder) == {"chunks/new": "new"}


def test_a_database_is_copied_whole_while_it_is_written_to(tmp_path: Path) -> None:
    file, stop = tmp_path / "data/grafana.db", threading.Event()
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as database:
        database.executescript("PRAGMA journal_mode=WAL; CREATE TABLE pairs (one, other);")

    def write() -> None:
        with closing(sqlite3.connect(file, timeout=10)) as database:
            while not stop.is_set():
                database.execute("INSERT INTO pairs SELECT count(*), count(*) FROM pairs")
                database.commit()

    writer = threading.Thread(target=write)
    writer.start()
    with closing(sqlite3.connect(file)) as reader:
        while reader.execute("SELECT count(*) FROM pairs").fetchone()[0] < 5:
            time.sleep(0.05)
    (tmp_path / "copy").mkdir()
    Sqlite("grafana", file.parent, "grafana.db").collect(tmp_path / "copy")
    stop.set()
    writer.join()
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["grafana.db"]
    with closing(sqlite3.connect(tmp_path / "copy/grafana.db")) as copy:
        count, last = copy.execute("SELECT count(*), max(other) + 1 FROM pairs").fetchone()
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert count == last >= 5


def test_a_database_that_is_put_back_is_not_mixed_with_the_log_of_the_one_before(tmp_path: Path) -> None:
    folder = written(tmp_path / "data", **{"grafana.db": "old", "grafana.db-wal": "old", "other": "kept"})
    written(tmp_path / "copy", **{"grafana.db": "new"})
    Sqlite("grafana", folder, "grafana.db").put_back(tmp_path / "copy")
    assert content(folder) == {"grafana.db": "new", "other": "kept"}


def test_a_database_that_is_none_is_named(tmp_path: Path) -> None:
    written(tmp_path / "data", **{"grafana.db": "nonsense" * 1000})
    (tmp_path / "copy").mkdir()
    with pytest.raises(BackupError, match=r"data/grafana.db cannot be copied: file is not a database"):
        Sqlite("grafana", tmp_path / "data", "grafana.db").collect(tmp_path / "copy")


def test_silences_are_copied_once_alertmanager_has_written_them_anew(tmp_path: Path) -> None:
    folder = written(tmp_path / "data", silences="old", nflog="old")
    (tmp_path / "copy").mkdir()
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    threading.Timer(0.5, lambda: written(folder, silences="new", nflog="new")).start()
    Alertmanager(folder, seconds=10).collect(tmp_path / "copy")
    assert content(tmp_path / "copy") == {"silences": "new", "nflog": "new"}


def test_an_alertmanager_that_does_not_write_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"Alertmanager has not written .*silences for 0.3 s: does it run\?"):
        Alertmanager(tmp_path, seconds=0.3).collect(tmp_path)


def test_a_prometheus_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"Prometheus at http://127.0.0.1:9 makes no snapshot: .*refused"):
        Prometheus(tmp_path, "http://127.0.0.1:9").collect(tmp_path)


def test_stores_that_ask_for_credentials_are_given_theirs(tmp_path: Path) -> None:
    seen: dict[str, str | None] = {}

    class Asked(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.update(self.headers)
            self.send_error(403)

        def do_GET(self) -> None:
            self.do_POST()

    (tmp_path / "password").write_text("s3cret\n")
    with http.server.HTTPServer(("127.0.0.1", 0), Asked) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(BackupError, match=r"makes no snapshot: HTTP 403"):
            Prometheus(tmp_path, address, str(tmp_path / "password")).collect(tmp_path)
        with pytest.raises(BackupError, match=r"Qdrant at .* does not do as asked \(.*403"):
            Qdrant(address, "k3y").collect(tmp_path)
        server.shutdown()
    assert base64.b64decode(str(seen["Authorization"]).removeprefix("Basic ")) == b"prometheus:s3cret"
    assert seen["api-key"] == "k3y"

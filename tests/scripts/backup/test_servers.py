"""MongoDB's records and Qdrant's vectors, read from a server that runs and put into an empty one."""

import uuid
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest

from scripts.backup import servers
from scripts.backup.archive import BackupError
from scripts.backup.servers import Mongo, Qdrant
from tests.backend.stores.conftest import mongodb_url, qdrant_port  # noqa: F401 - fixtures

RECORDS = [
    {"_id": f"m{number}", "text": "ciao " * number, "score": number / 3, "closed": None, "tags": {"a": [1, 2**40]}}
    for number in range(1200)
]


def test_every_record_is_there_again_as_it_was(mongodb_url: str, tmp_path: Path) -> None:  # noqa: F811
    part = Mongo(mongodb_url, f"test_{uuid.uuid4().hex}")
    with pymongo.MongoClient[dict[str, Any]](mongodb_url) as client:
        database = client[part._database]
        assert part.holds() == ""
        database["messages"].insert_many(RECORDS)
        database["sessions"].insert_one({"_id": "s"})
        assert part.holds() == "records of messages, sessions in MongoDB"
        part.collect(tmp_path)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["messages.bson", "sessions.bson", "uploads.bson"]
        database["messages"].delete_many({"_id": {"$gt": "m5"}})
        database["later"].insert_one({"_id": "since then"})
        part.put_back(tmp_path)
        assert sorted(database["messages"].find(), key=lambda one: int(one["_id"][1:])) == RECORDS
        assert list(database["sessions"].find()) == [{"_id": "s"}]
        assert list(database["later"].find()) == [], "what is newer than the archive is not mixed with it"
        client.drop_database(part._database)


def test_a_job_that_waits_has_its_upload_in_the_archive(
    mongodb_url: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = Mongo(mongodb_url, f"test_{uuid.uuid4().hex}")
    dump = servers._dump
    with pymongo.MongoClient[dict[str, Any]](mongodb_url) as client:
        database = client[part._database]
        for name in ("jobs", "uploads"):
            database[name].insert_many([{"_id": "waits"}, {"_id": "is done soon"}])

        def dumping(reading: Any, name: str, file: Path) -> None:
            if name == "jobs":  # after the uploads: one more comes, and after the jobs, one is done
                for both in ("uploads", "jobs"):
                    database[both].insert_one({"_id": "comes"})
            dump(reading, name, file)
            if name == "jobs":
                database["uploads"].delete_one({"_id": "is done soon"})

        monkeypatch.setattr(servers, "_dump", dumping)
        part.collect(tmp_path)
        part.put_back(tmp_path)
        jobs, uploads = (sorted(one["_id"] for one in database[name].find()) for name in ("jobs", "uploads"))
        assert jobs == uploads == ["comes", "is done soon", "waits"]
        client.drop_database(part._database)


@pytest.mark.parametrize("url", ["mongodb://anna:s3cret@127.0.0.1:9/?serverSelectionTimeoutMS=100", "anna:s3cret"])
def test_a_mongodb_that_is_away_is_named_and_its_password_is_not(tmp_path: Path, url: str) -> None:
    with pytest.raises(BackupError, match=r"MongoDB does not do as asked \(\w+\): .*MONGODB_URL") as refused:
        Mongo(url, "specola").collect(tmp_path)
    assert "s3cret" not in str(refused.value)


def test_every_vector_is_there_again(qdrant_port: int, tmp_path: Path) -> None:  # noqa: F811
    part = Qdrant(f"http://127.0.0.1:{qdrant_port}")
    with httpx.Client(base_url=f"http://127.0.0.1:{qdrant_port}", timeout=60) as client:
        assert part.holds() == ""
        for name in ("chunks", "later"):
            vectors = {"vectors": {"size": 4, "distance": "Cosine"}}
            client.put(f"/collections/{name}", json=vectors).raise_for_status()
            if name == "chunks":
                points = [{"id": n, "vector": [1, n, 0, 1], "payload": {"text": f"passage {n}"}} for n in range(1, 301)]
                client.put("/collections/chunks/points?wait=true", json={"points": points}).raise_for_status()
                part.collect(tmp_path)
        question = {"query": [1, 7, 0, 1], "limit": 3, "with_payload": True}
        before = client.post("/collections/chunks/points/query", json=question).json()["result"]
        assert client.get("/collections/chunks/snapshots").json()["result"] == [], "its own copy is removed"
        assert part.holds() == "vectors of chunks in Qdrant"
        client.post("/collections/chunks/points/delete?wait=true", json={"points": [7]}).raise_for_status()
        assert client.post("/collections/chunks/points/query", json=question).json()["result"] != before
        part.put_back(tmp_path)
        assert client.post("/collections/chunks/points/query", json=question).json()["result"] == before
        assert client.post("/collections/chunks/points/count", json={}).json()["result"]["count"] == 300
        names = [one["name"] for one in client.get("/collections").json()["result"]["collections"]]
        assert names == ["chunks"], "a collection that is newer than the archive is gone"


def test_a_qdrant_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"Qdrant at http://127.0.0.1:9 does not do as asked \(.*refused.*\)"):
        Qdrant("http://127.0.0.1:9").collect(tmp_path)

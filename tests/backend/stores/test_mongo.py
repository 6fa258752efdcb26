"""What MongoDB alone has to prove: errors without credentials, time limits, what it asks of the server."""

import asyncio
import base64
import time
import traceback
import uuid
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import urlsplit, urlunsplit

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from app.core.config import MONGODB_UPLOAD_BYTES
from app.core.logging_config import RequestContext
from app.stores.documents import StoreUnavailable
from app.stores.errors import StoreRefused
from app.stores.mongo import MongoDocumentStore, server_of
from app.stores.mongo_turns import Turns


@pytest.fixture
async def client(mongodb_url: str) -> AsyncIterator[AsyncIOMotorClient[dict[str, object]]]:
    client: AsyncIOMotorClient[dict[str, object]] = AsyncIOMotorClient(mongodb_url)
    yield client
    client.close()


class Commands(CommandListener):
    """The comment of each command on jobs that the driver sends, by the command's name."""

    def __init__(self) -> None:
        self.comments: dict[str, object] = {}

    def started(self, event: CommandStartedEvent) -> None:
        if event.command[event.command_name] == "jobs":
            self.comments[event.command_name] = event.command.get("comment")

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...


async def test_every_command_of_a_request_carries_its_id(mongodb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Commands()
    monkeypatch.setattr("app.stores.mongo.AsyncIOMotorClient", partial(AsyncIOMotorClient, event_listeners=[heard]))
    store = MongoDocumentStore(mongodb_url, f"test_{uuid.uuid4().hex}", 5.0)
    await store.start()
    heard.comments.clear()
    with RequestContext("find-me"):
        await store.insert("jobs", {"id": "a", "status": "queued", "at": 1})
        await store.put("jobs", {"id": "b", "status": "queued", "at": 2})
        await store.update("jobs", {"id": "b"}, {"status": "running"})
        await store.claim("jobs", {"status": "queued"}, {"status": "running"}, oldest_by="at")
        await store.get("jobs", "a")
        assert len(await store.find("jobs", {"status": "running"}, sort="at", limit=5)) == 2
        assert await store.count("jobs", {}) == 2
        assert await store.count("jobs", {}, distinct="status") == 1
        assert await store.count_by("jobs", "status") == {"running": 2}
        assert await store.delete("jobs", {}) == 2
    ours = ("insert", "update", "findAndModify", "find", "aggregate", "delete")
    assert {name: heard.comments[name] for name in ours} == dict.fromkeys(ours, "find-me")
    await store.get("jobs", "a")
    assert heard.comments["find"] is None, "nothing outside of a request"
    await store.close()


async def test_a_server_that_is_not_there_is_named_and_its_credentials_are_not() -> None:
    store = MongoDocumentStore("mongodb://anna:s3cret@127.0.0.1:9/?appName=x", "specola", 0.5)
    started = time.monotonic()
    with pytest.raises(
        StoreUnavailable, match=r"mongodb at 127\.0\.0\.1:9 failed to start: .*refused.*MONGODB_URL"
    ) as e:
        await store.start()
    assert time.monotonic() - started < 3
    told = "".join(traceback.format_exception(e.value))
    assert "anna" not in told
    assert "s3cret" not in told


async def test_a_server_that_never_answers_ends_in_time(silent_port: int) -> None:
    store = MongoDocumentStore(f"mongodb://127.0.0.1:{silent_port}", "specola", 0.3)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match="failed to start"):
        await store.start()
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://anna:s3cret",
        "mongodb://anna:s3/cret@host",
        "mongodb://anna:s3cret@host:port",
        "anna:s3cret@host",
        "",
        "mongodb://anna:s3%ret@host",
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_without_quoting_it(url: str) -> None:
    store = MongoDocumentStore(url, "specola", 0.3)
    with pytest.raises(StoreUnavailable, match="MONGODB_URL") as refused:
        await store.start()
    told = "".join(traceback.format_exception(refused.value))
    assert "anna" not in told
    assert "s3" not in told


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("mongodb://localhost:27017/", "localhost:27017"),
        ("mongodb://u:p@one:1,two:2/db?replicaSet=rs", "one:1,two:2"),
        ("mongodb+srv://u:p@cluster.example.org/?w=1", "cluster.example.org"),
        ("mongodb://u:p@[::1]:27017", "[::1]:27017"),
        ("mongodb://u:p@ss/w?rd@host:1/db", "host:1"),
        ("mongodb://user:word", "the server of MONGODB_URL"),
        ("user:word@host", "the server of MONGODB_URL"),
    ],
)
def test_only_the_hosts_of_a_url_are_ever_shown(url: str, named: str) -> None:
    assert server_of(url) == named


async def test_a_refusal_by_the_server_tells_its_code_and_not_the_record(mongodb_url: str) -> None:
    store = MongoDocumentStore(mongodb_url, f"test_{uuid.uuid4().hex}", 5.0)
    await store.start()
    assert store._client is not None
    with pytest.raises(StoreUnavailable, match=r"failed to put in jobs: .*code \d+") as refused:
        async with store._operation("put", "jobs"):
            await store._collection("jobs").update_one({"_id": "x"}, {"$nonsense": {"text": "private"}}, upsert=True)
    assert "private" not in "".join(traceback.format_exception(refused.value))
    await store._client.drop_database(store._name)
    await store.close()


async def test_a_record_that_is_too_large_is_refused_for_good_and_not_repeated(mongodb_url: str) -> None:
    store = MongoDocumentStore(mongodb_url, f"test_{uuid.uuid4().hex}", 5.0)
    await store.start()
    large = "private " * 2_200_000
    with pytest.raises(StoreRefused, match=r"failed to insert in uploads: \w+\.") as refused:
        await store.insert("uploads", {"id": "x", "content": large})
    assert "private" not in "".join(traceback.format_exception(refused.value))
    largest = base64.b64encode(b"x" * MONGODB_UPLOAD_BYTES).decode()
    await store.insert("uploads", {"id": "y", "created_at": time.time(), "content": largest})
    assert store._client is not None
    await store._client.drop_database(store._name)
    await store.close()


async def test_a_write_waits_for_the_journal_of_a_majority(mongodb_url: str) -> None:
    store = MongoDocumentStore(mongodb_url.rstrip("/") + "/?w=0&journal=false", "specola", 5.0)
    client = store._connect()
    assert client.write_concern.document == {"w": "majority", "j": True, "wtimeout": 5000}
    client.close()


async def test_the_indexes_are_made(mongodb_url: str, client: AsyncIOMotorClient[dict[str, object]]) -> None:
    name = f"test_{uuid.uuid4().hex}"
    store = MongoDocumentStore(mongodb_url, name, 5.0)
    await store.start()
    await store.close()
    made = await client[name]["messages"].index_information()
    assert made["session_id_created_at"]["key"] == [("session_id", 1), ("created_at", 1), ("_id", 1)]
    assert made["created_at"]["key"] == [("created_at", 1), ("_id", 1)]
    await client.drop_database(name)


async def test_a_server_that_stops_answering_ends_in_time_and_is_used_again_when_it_answers(
    mongodb_url: str,
) -> None:
    upstream = urlsplit(mongodb_url)
    answering = asyncio.Event()
    answering.set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await answering.wait()
            writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(upstream.hostname, upstream.port or 27017)
        await asyncio.gather(pipe(reader, server_writer), pipe(server_reader, writer))

    proxy = await asyncio.start_server(forward, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    url = urlunsplit(upstream._replace(netloc=upstream.netloc.replace(str(upstream.port or 27017), str(port))))
    store = MongoDocumentStore(url, f"test_{uuid.uuid4().hex}", 0.5)
    await store.start()
    answering.clear()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match="failed to put in jobs"):
        await store.put("jobs", {"id": "x"})
    assert time.monotonic() - started < 2
    answering.set()
    await store.put("jobs", {"id": "y"})
    assert await store.get("jobs", "y") == {"id": "y"}
    assert store._client is not None
    await store._client.drop_database(store._name)
    await store.close()
    proxy.close()


async def test_turns_exclude_each_other_and_end_with_a_holder_that_died(
    client: AsyncIOMotorClient[dict[str, object]],
) -> None:
    database = client[f"test_{uuid.uuid4().hex}"]
    inside = 0

    async def work(turns: Turns) -> None:
        nonlocal inside
        async with turns.turn("jobs"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(work(Turns(database, lease_seconds=5)) for _ in range(8)))
    assert await database["turns"].count_documents({}) == 0
    await database["turns"].insert_one({"_id": "jobs", "holder": "dead", "until": time.time() + 0.2})
    started = time.monotonic()
    await work(Turns(database, lease_seconds=5))
    assert 0.1 < time.monotonic() - started < 2
    await client.drop_database(database.name)

"""What the vector store does, on a server and embedded alike; and what a server has to prove."""

import asyncio
import math
import time
import uuid
from collections.abc import Callable, Sequence

import pytest

from app.core.faults import Fault, board
from app.stores import vectors as module
from app.stores.errors import StoreRefused, StoreUnavailable, WrongCollection
from app.stores.pieces import Hit, Piece
from app.stores.vectors import VectorStore

NewVectors = Callable[..., VectorStore]
DIMENSIONS = 8


def along(*axes: int) -> list[float]:
    """A vector that points equally along these axes."""
    return [float(axis in axes) for axis in range(DIMENSIONS)]


def pieces(*texts: str) -> list[Piece]:
    return [Piece(text=text, heading=f"about {text}", index=index) for index, text in enumerate(texts)]


async def test_search_finds_the_nearest_first_with_all_that_was_stored(vectors: VectorStore) -> None:
    await vectors.replace("d1", "a.md", "Title é", pieces("one", "two"), [along(0), along(0, 1)])
    await vectors.replace("d2", "b.pdf", "Other", pieces("three"), [along(2)])
    hits = await vectors.search(along(0), 2)
    assert [hit.text for hit in hits] == ["one", "two"]
    assert hits[0] == Hit("d1", "a.md", "Title é", "about one", "one", hits[0].score, 0)
    assert hits[0].score == pytest.approx(1.0, abs=1e-5)
    assert hits[1].score == pytest.approx(math.sqrt(0.5), abs=1e-5)
    assert hits[1].index == 1
    assert await vectors.count() == 3


async def test_an_empty_store_finds_nothing(vectors: VectorStore) -> None:
    await vectors.ping()
    assert await vectors.count() == 0
    assert await vectors.search(along(0), 5) == []
    await vectors.delete("nowhere")


async def test_a_vector_of_nothing_is_near_to_nothing(vectors: VectorStore) -> None:
    await vectors.replace("d", "f", "t", pieces("empty", "full"), [along(), along(0)])
    assert {hit.text: hit.score for hit in await vectors.search(along(0), 5)} == {
        "full": pytest.approx(1.0, abs=1e-5),
        "empty": 0.0,
    }
    assert [hit.score for hit in await vectors.search(along(), 5)] == [0.0, 0.0]


async def test_replace_may_be_repeated(vectors: VectorStore) -> None:
    for _ in range(2):
        await vectors.replace("d", "f", "t", pieces("one", "two"), [along(0), along(1)])
    assert await vectors.count() == 2


async def test_replace_removes_the_pieces_that_are_no_more(vectors: VectorStore) -> None:
    many = module.BATCH * 2 + 5
    await vectors.replace("d", "f", "t", pieces(*map(str, range(many))), [along(index % 8) for index in range(many)])
    await vectors.replace("other", "f", "t", pieces("kept"), [along(7)])
    assert await vectors.count() == many + 1
    await vectors.replace("d", "f", "t", pieces("new"), [along(3)])
    assert await vectors.count() == 2
    assert (await vectors.search(along(3), 1))[0].text == "new"
    await vectors.replace("d", "f", "t", [], [])
    assert [hit.text for hit in await vectors.search(along(3), 5)] == ["kept"]


async def test_delete_removes_one_document(vectors: VectorStore) -> None:
    await vectors.replace("d1", "f", "t", pieces("one", "two"), [along(0), along(1)])
    await vectors.replace("d2", "f", "t", pieces("three"), [along(2)])
    await vectors.delete("d1")
    assert [hit.document_id for hit in await vectors.search(along(0), 5)] == ["d2"]


async def test_hostile_text_is_only_text(vectors: VectorStore) -> None:
    await vectors.replace("d", "f", "t", pieces("kept"), [along(0)])
    for hostile in ("'; DROP TABLE points; --", '"}]}', "d*", "é 漢字 😀", ""):
        await vectors.replace(hostile, hostile, hostile, [Piece(hostile, hostile, 0)], [along(1)])
        hit = (await vectors.search(along(1), 1))[0]
        assert (hit.document_id, hit.filename, hit.title, hit.heading, hit.text) == (hostile,) * 5
        await vectors.delete(hostile)
        assert [hit.text for hit in await vectors.search(along(1), 5)] == ["kept"]


async def test_pieces_survive_a_restart_and_start_may_be_repeated(new_vectors: NewVectors) -> None:
    store = new_vectors()
    await store.start()
    await store.start()
    await store.replace("d", "f", "t", pieces("one"), [along(0)])
    await store.close()
    await store.close()
    store = new_vectors()
    await store.start()
    assert [hit.text for hit in await store.search(along(0), 5)] == ["one"]
    await store.close()


async def test_a_collection_of_another_dimension_is_refused_and_left_alone(new_vectors: NewVectors) -> None:
    store = new_vectors()
    await store.start()
    await store.replace("d", "f", "t", pieces("one"), [along(0)])
    await store.close()
    with pytest.raises(WrongCollection, match=r"8 dimensions \(Cosine\).*makes 16.*QDRANT_COLLECTION"):
        await new_vectors(16).start()
    store = new_vectors()
    await store.start()
    assert await store.count() == 1
    await store.close()


@pytest.mark.parametrize(
    ("given", "with_vectors", "complaint"),
    [
        (pieces("one"), [], "1 pieces came with 0 vectors"),
        (pieces("one"), [[1.0]], "a vector of 1 dimensions for a collection of 8"),
        ([Piece("one", "", 1)], [along(0)], "numbered from 0"),
    ],
)
async def test_what_does_not_fit_together_is_refused_before_anything_is_written(
    vectors: VectorStore, given: Sequence[Piece], with_vectors: list[list[float]], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        await vectors.replace("d", "f", "t", given, with_vectors)
    assert await vectors.count() == 0


async def test_the_fault_strikes_every_call_but_close(vectors: VectorStore) -> None:
    board.replace([Fault("vector_store_down", 100, time.time() + 60)])
    calls = [
        vectors.start(),
        vectors.ping(),
        vectors.count(),
        vectors.replace("d", "f", "t", [], []),
        vectors.search(along(0), 1),
        vectors.delete("d"),
        vectors.trim("d", 0),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable, match="the fault vector_store_down is on"):
            await call
    board.replace([])
    assert await vectors.count() == 0  # still open
    board.replace([Fault("vector_store_down", 100, time.time() + 60)])
    await vectors.close()


async def test_a_store_that_is_not_open_says_so(new_vectors: NewVectors) -> None:
    with pytest.raises(StoreUnavailable, match=r"not open: call start\(\) first"):
        await new_vectors().search(along(0), 1)


async def test_a_collection_that_is_gone_is_noticed(vectors: VectorStore) -> None:
    assert vectors._client is not None
    await vectors._ask(lambda client: client.delete_collection(vectors._collection))
    with pytest.raises(StoreUnavailable, match="is gone; a restart makes it anew"):
        await vectors.ping()


async def test_replicas_may_start_on_an_empty_server_at_the_same_moment(qdrant_port: int) -> None:
    name = f"test_{uuid.uuid4().hex}"
    stores = [VectorStore.server("127.0.0.1", qdrant_port, name, DIMENSIONS, 5.0) for _ in range(6)]
    await asyncio.gather(*(store.start() for store in stores))
    # All have the same collection, and none has made it anew after another wrote.
    await asyncio.gather(
        *(store.replace(f"d{n}", "f", "t", pieces("one"), [along(n)]) for n, store in enumerate(stores))
    )
    for store in stores:
        assert await store.count() == len(stores)
        await store.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, StoreRefused),
        (403, StoreRefused),
        (413, StoreRefused),
        (408, StoreUnavailable),
        (429, StoreUnavailable),
        (500, StoreUnavailable),
        (503, StoreUnavailable),
    ],
)
async def test_what_a_server_will_refuse_again_is_told_from_what_may_pass(
    status: int, error: type[StoreUnavailable]
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        writer.write(f"HTTP/1.1 {status} Reason\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        vectors = VectorStore.server("127.0.0.1", server.sockets[0].getsockname()[1], "pieces", DIMENSIONS, 5.0)
        await vectors._open()
        with pytest.raises(StoreUnavailable, match=rf"failed to upsert: .*({status}|Too Many)") as told:
            await vectors.replace("d", "f", "t", pieces("one"), [along(0)])
        assert type(told.value) is error
        assert ("full disk" in str(told.value)) == (status >= 500)
        await vectors.close()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("<html>Please log in: secret", "failed to search: JSONDecodeError"),
        ('{"result": {"points": "secret"}}', "failed to search: an answer that this client does not know"),
    ],
)
async def test_an_answer_that_is_not_qdrants_is_a_store_away_and_is_not_quoted(body: str, told: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        vectors = VectorStore.server("127.0.0.1", server.sockets[0].getsockname()[1], "pieces", DIMENSIONS, 5.0)
        await vectors._open()
        with pytest.raises(StoreUnavailable, match=told) as error:
            await vectors.search(along(0), 1)
        assert "secret" not in str(error.value)
        await vectors.close()


async def test_a_server_that_is_not_there_is_named() -> None:
    store = VectorStore.server("127.0.0.1", 9, "pieces", DIMENSIONS, 1.0)
    with pytest.raises(StoreUnavailable, match=r"Qdrant at 127\.0\.0\.1:9 failed to start: .*QDRANT_HOST"):
        await store.start()


async def test_a_server_that_never_answers_ends_in_time(silent_port: int) -> None:
    store = VectorStore.server("127.0.0.1", silent_port, "pieces", DIMENSIONS, 0.3)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"no answer within 0\.3 s"):
        await store.start()
    assert time.monotonic() - started < 2

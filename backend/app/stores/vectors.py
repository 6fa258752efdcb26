"""The vector store: pieces of documents in Qdrant, on a server or embedded in this process."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from opentelemetry.trace import SpanKind
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from app.core.authority import trusted
from app.core.context_threads import ContextThreadPool
from app.core.faults import InjectedFault, board
from app.core.spans import in_span
from app.stores.errors import StoreRefused, StoreUnavailable, WrongCollection
from app.stores.pieces import Hit, Piece, as_hit, as_point
from app.stores.qdrant_driver import (
    FAILURES,
    LOCAL_LIMIT,
    OPENING_FAILURES,
    hush,
    name_request,
    reason_of,
    refuses,
    use_wal,
)

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Call = Callable[[AsyncQdrantClient], Coroutine[Any, Any, Answer]]

BATCH = 32
"""Pieces in one write. Embedded, a search waits for at most one of these (about 0.1 s on a disk that takes 4 ms
to flush); on a server a request stays far below Qdrant's limit of 32 MB."""

EMBEDDED_TIMEOUT_SECONDS = 30.0
"""Embedded, a call also waits for those before it, and removing a document flushes the disk for each piece."""


class VectorStore:
    """One collection of vectors, compared by cosine. Every write is on disk when its call returns.

    Each call but `close` raises `StoreUnavailable` when Qdrant fails or takes longer than the time limit, and the
    `StoreRefused` among them when it would fail again.
    """

    def __init__(
        self,
        client: Callable[[], AsyncQdrantClient],
        place: str,
        advice: str,
        collection: str,
        dimensions: int,
        timeout_seconds: float,
        folder: Path | None = None,
    ) -> None:
        """`server` and `embedded` call this. `folder`: where an embedded client keeps its data."""
        self._make_client = client
        self._place = place
        self._advice = advice
        self._collection = collection
        self._dimensions = dimensions
        self._timeout_seconds = timeout_seconds
        self._folder = folder
        self._client: AsyncQdrantClient | None = None
        self._thread: ContextThreadPool | None = None

    @classmethod
    def server(
        cls,
        host: str,
        port: int,
        collection: str,
        dimensions: int,
        timeout_seconds: float,
        api_key: str = "",
        authority_file: str = "",
    ) -> "VectorStore":
        """A Qdrant server's REST interface. `timeout_seconds`: of each request. `api_key`: where it asks for one.

        `authority_file`: what signed its certificate; it is asked by HTTPS then.
        """
        # The driver's own limit is whole seconds and ends what ours has given up.
        client = partial(
            AsyncQdrantClient,
            host=host,
            port=port,
            timeout=math.ceil(timeout_seconds),
            check_compatibility=False,  # it would ask the server right here, and block
            metadata={"api-key": api_key} if api_key else {},  # the driver's own `api_key` warns of plain HTTP
            event_hooks={"request": [name_request]},
            https=bool(authority_file),
            verify=trusted(authority_file),
        )
        advice = "Check that the server runs, that QDRANT_HOST and QDRANT_PORT name it, and any QDRANT_API_KEY."
        return cls(client, f"{host}:{port}", advice, collection, dimensions, timeout_seconds)

    @classmethod
    def embedded(
        cls, path: Path, collection: str, dimensions: int, timeout_seconds: float = EMBEDDED_TIMEOUT_SECONDS
    ) -> "VectorStore":
        """Qdrant's local mode in the folder `path`: exact search, one process at a time, up to about 20,000 pieces."""
        hush()
        client = partial(AsyncQdrantClient, path=str(path))
        advice = "Check that QDRANT_PATH can be written to, that its disk has room and that no other process uses it."
        return cls(client, str(path), advice, collection, dimensions, timeout_seconds, folder=path)

    async def start(self) -> None:
        """Makes the collection and its index where they are missing. Safe to repeat.

        Raises `WrongCollection` when the collection is there for vectors of another kind.
        """
        async with self._operation("start", failures=OPENING_FAILURES):
            if self._client is not None:
                await self._prepare()
                return
            try:
                await self._open()
                await self._prepare()
            except BaseException:
                await self.close()
                raise

    async def _open(self) -> None:
        if self._folder is None:
            self._client = self._make_client()
            return
        # Local mode computes and writes to SQLite while it is awaited. One thread of its own keeps that from the
        # event loop, in order, on the one thread that SQLite's connection belongs to.
        self._thread = ContextThreadPool(max_workers=1, thread_name_prefix="qdrant")
        self._client = await asyncio.get_running_loop().run_in_executor(self._thread, self._make_client)

    async def _prepare(self) -> None:
        if not await self._ask(lambda client: client.collection_exists(self._collection)):
            await self._create()
        await self._compare()
        if self._folder is None:
            await self._ask(
                lambda client: client.create_payload_index(
                    self._collection, "document_id", models.PayloadSchemaType.KEYWORD, wait=True
                )
            )
            return
        await asyncio.get_running_loop().run_in_executor(self._thread, use_wal, self._folder)
        held = (await self._ask(lambda client: client.count(self._collection))).count
        if held > LOCAL_LIMIT:
            logger.warning(
                "%d pieces in %s: embedded Qdrant looks at each one in every search and keeps all in memory. "
                "Set VECTOR_STORE=server and upload the documents again.",
                held,
                self._place,
            )

    async def _compare(self) -> None:
        """Refuses a collection that was made for other vectors."""
        found = await self._ask(lambda client: client.get_collection(self._collection))
        vectors = found.config.params.vectors
        if not isinstance(vectors, models.VectorParams):
            kind = "more than one kind"
        elif (vectors.size, vectors.distance) != (self._dimensions, models.Distance.COSINE):
            kind = f"{vectors.size} dimensions ({vectors.distance.value})"
        else:
            return
        raise WrongCollection(
            f"the collection {self._collection!r} of Qdrant at {self._place} holds vectors of {kind}, and the "
            f"embedding model makes {self._dimensions} dimensions (Cosine). Either set the model back, or set "
            "QDRANT_COLLECTION to a new name and upload the documents again."
        )

    async def _create(self) -> None:
        vectors = models.VectorParams(size=self._dimensions, distance=models.Distance.COSINE)
        try:
            await self._ask(lambda client: client.create_collection(self._collection, vectors_config=vectors))
        except UnexpectedResponse:
            # Another replica, started at the same moment, was first.
            if not await self._ask(lambda client: client.collection_exists(self._collection)):
                raise

    async def close(self) -> None:
        """Ends the connection. Safe to repeat."""
        client, thread = self._client, self._thread
        self._client = self._thread = None
        if thread is None:
            if client is not None:
                await client.close()
            return
        if client is not None:
            await asyncio.get_running_loop().run_in_executor(thread, asyncio.run, client.close())
        thread.shutdown(wait=False)

    async def ping(self) -> None:
        """Returns when Qdrant answers and has the collection."""
        async with self._operation("ping"):
            if not await self._ask(lambda client: client.collection_exists(self._collection)):
                raise self._unavailable("ping", f"the collection {self._collection!r} is gone; a restart makes it anew")

    async def count(self) -> int:
        """How many pieces there are, of all documents."""
        async with self._operation("count"):
            return (await self._ask(lambda client: client.count(self._collection, exact=True))).count

    async def replace(
        self, document_id: str, filename: str, title: str, pieces: Sequence[Piece], vectors: Sequence[Sequence[float]]
    ) -> None:
        """Makes these the document's pieces, and removes what it had beyond them. Safe to repeat after a failure.

        A search meanwhile may find new pieces beside old ones. The time limit holds for each `BATCH` of pieces.
        """
        if len(pieces) != len(vectors):
            raise ValueError(f"{len(pieces)} pieces came with {len(vectors)} vectors: each needs one")
        if [piece.index for piece in pieces] != list(range(len(pieces))):
            raise ValueError("the pieces of a document are numbered from 0, in order")
        for vector in vectors:
            self._check(vector)
        async with self._operation("upsert"):
            for start in range(0, len(pieces), BATCH):
                points = [
                    as_point(document_id, filename, title, piece, vector)
                    for piece, vector in zip(pieces[start : start + BATCH], vectors[start : start + BATCH], strict=True)
                ]
                await self._ask(partial(_upsert, self._collection, points))
            await self._remove(document_id, _beyond(len(pieces)))

    async def trim(self, document_id: str, pieces: int) -> None:
        """Removes what the document has beyond so many pieces: a write that fails where one of more would."""
        async with self._operation("delete"):
            await self._remove(document_id, _beyond(pieces))

    async def search(self, vector: Sequence[float], limit: int) -> list[Hit]:
        """The nearest pieces, nearest first."""
        self._check(vector)
        async with self._operation("search"):
            found = await self._ask(
                lambda client: client.query_points(self._collection, query=list(vector), limit=limit, with_payload=True)
            )
        return [as_hit(point) for point in found.points]

    async def delete(self, document_id: str) -> None:
        """Removes the document's pieces, if it has any."""
        async with self._operation("delete"):
            await self._remove(document_id)

    async def _remove(self, document_id: str, *further: models.FieldCondition) -> None:
        of_document = models.FieldCondition(key="document_id", match=models.MatchValue(value=document_id))
        chosen = models.FilterSelector(filter=models.Filter(must=[of_document, *further]))
        await self._ask(lambda client: client.delete(self._collection, points_selector=chosen, wait=True))

    def _check(self, vector: Sequence[float]) -> None:
        if len(vector) != self._dimensions:
            raise ValueError(f"a vector of {len(vector)} dimensions for a collection of {self._dimensions}")

    async def _ask(self, call: Call[Answer]) -> Answer:
        """One request within the time limit. Embedded, one that is given up still ends before the next begins."""
        client = self._client
        if client is None:
            raise StoreUnavailable(f"Qdrant at {self._place} is not open: call start() first")
        async with asyncio.timeout(self._timeout_seconds):
            if self._thread is None:
                return await call(client)
            return await asyncio.get_running_loop().run_in_executor(self._thread, _run, call, client)

    @asynccontextmanager
    async def _operation(self, name: str, failures: tuple[type[Exception], ...] = FAILURES) -> AsyncIterator[None]:
        attributes = {"db.system.name": "qdrant", "db.operation.name": name, "db.collection.name": self._collection}
        with in_span(f"{name} {self._collection}", SpanKind.CLIENT, attributes):
            try:
                board.fail("vector_store_down")
                yield
            except InjectedFault as fault:
                raise self._unavailable(name, str(fault)) from fault
            except TimeoutError:
                raise self._unavailable(name, f"no answer within {self._timeout_seconds:g} s") from None
            except failures as error:
                kind = StoreRefused if refuses(error) else StoreUnavailable
                raise kind(self._told(name, reason_of(error))) from None

    def _unavailable(self, name: str, reason: str) -> StoreUnavailable:
        return StoreUnavailable(self._told(name, reason))

    def _told(self, name: str, reason: str) -> str:
        return f"Qdrant at {self._place} failed to {name}: {reason}. {self._advice}"


def _beyond(pieces: int) -> models.FieldCondition:
    """What a document has beyond so many pieces."""
    return models.FieldCondition(key="index", range=models.Range(gte=pieces))


async def _upsert(collection: str, points: list[models.PointStruct], client: AsyncQdrantClient) -> None:
    await client.upsert(collection, points=points, wait=True)


def _run(call: Call[Answer], client: AsyncQdrantClient) -> Answer:
    return asyncio.run(call(client))

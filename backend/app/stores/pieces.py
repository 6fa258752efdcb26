"""What the vector store holds and finds: a piece of a document, and its form as a point in Qdrant."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from qdrant_client import models

_IDS = uuid.UUID("0d0f2f0e-7f3c-5a53-9c0a-1f2f5f3b6c11")  # any fixed namespace: the same piece, the same point

_PAYLOAD = ("document_id", "filename", "title", "heading", "text", "index")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a document's text, the heading it stands under, and its place in the document (from 0)."""

    text: str
    heading: str
    index: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece that was found, the document it is of, and how near it is (cosine similarity, -1 to 1)."""

    document_id: str
    filename: str
    title: str
    heading: str
    text: str
    score: float
    index: int


def as_point(document_id: str, filename: str, title: str, piece: Piece, vector: Sequence[float]) -> models.PointStruct:
    """The same piece of the same document is the same point."""
    payload = {"document_id": document_id, "filename": filename, "title": title, **asdict(piece)}
    identity = str(uuid.uuid5(_IDS, f"{document_id}:{piece.index}"))
    return models.PointStruct(id=identity, vector=list(vector), payload=payload)


def as_hit(point: models.ScoredPoint) -> Hit:
    """What a search found. Raises KeyError for a point that is not of `as_point`."""
    payload = point.payload or {}
    return Hit(score=point.score, **{name: payload[name] for name in _PAYLOAD})

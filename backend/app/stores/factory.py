"""The two stores, as the settings ask for them."""

from pathlib import Path
from typing import Literal, Protocol

from pydantic import SecretStr

from app.stores.documents import DocumentStore
from app.stores.vectors import VectorStore


class StoreSettings(Protocol):
    """What of the settings the stores need."""

    @property
    def document_store(self) -> Literal["mongodb", "sqlite"]: ...
    @property
    def mongodb_url(self) -> SecretStr: ...
    @property
    def mongodb_database(self) -> str: ...
    @property
    def sqlite_path(self) -> Path: ...
    @property
    def vector_store(self) -> Literal["server", "local"]: ...
    @property
    def qdrant_host(self) -> str: ...
    @property
    def qdrant_port(self) -> int: ...
    @property
    def qdrant_api_key(self) -> SecretStr: ...
    @property
    def authority_file(self) -> str: ...
    @property
    def qdrant_path(self) -> Path: ...
    @property
    def qdrant_collection(self) -> str: ...
    @property
    def store_timeout_seconds(self) -> float: ...


def build_document_store(settings: StoreSettings) -> DocumentStore:
    """The store of records, not yet started. Loads the driver that is used and not the other."""
    if settings.document_store == "mongodb":
        from app.stores.mongo import MongoDocumentStore

        url = settings.mongodb_url.get_secret_value()
        return MongoDocumentStore(url, settings.mongodb_database, settings.store_timeout_seconds)
    from app.stores.sqlite import SqliteDocumentStore

    return SqliteDocumentStore(settings.sqlite_path, settings.store_timeout_seconds)


def build_vector_store(settings: StoreSettings, dimensions: int) -> VectorStore:
    """The store of vectors of so many dimensions, not yet started."""
    if settings.vector_store == "server":
        return VectorStore.server(
            settings.qdrant_host,
            settings.qdrant_port,
            settings.qdrant_collection,
            dimensions,
            settings.store_timeout_seconds,
            settings.qdrant_api_key.get_secret_value(),
            settings.authority_file,
        )
    return VectorStore.embedded(settings.qdrant_path, settings.qdrant_collection, dimensions)

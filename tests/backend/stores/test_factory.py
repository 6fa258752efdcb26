"""The settings choose the stores."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr

from app.stores.factory import build_document_store, build_vector_store

URL, KEY = SecretStr("mongodb://anna:s3cret@127.0.0.1:9/"), SecretStr("a-key")


@dataclass(frozen=True)
class Settings:
    sqlite_path: Path
    qdrant_path: Path
    document_store: Literal["mongodb", "sqlite"] = "sqlite"
    vector_store: Literal["server", "local"] = "local"
    mongodb_url: SecretStr = URL
    mongodb_database: str = "specola"
    qdrant_host: str = "127.0.0.1"
    qdrant_port: int = 9
    qdrant_api_key: SecretStr = KEY
    authority_file: str = ""
    qdrant_collection: str = "chunks"
    store_timeout_seconds: float = 0.5


async def test_without_servers_both_stores_are_files(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "records.sqlite", tmp_path / "qdrant")
    documents, vectors = build_document_store(settings), build_vector_store(settings, 4)
    assert documents.kind == "sqlite"
    await documents.start()
    await vectors.start()
    await documents.ping()
    await vectors.ping()
    await documents.close()
    await vectors.close()
    assert (tmp_path / "records.sqlite").exists()
    assert (tmp_path / "qdrant" / "collection" / "chunks").is_dir()


async def test_with_servers_they_are_asked(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "records.sqlite", tmp_path / "qdrant", "mongodb", "server")
    documents, vectors = build_document_store(settings), build_vector_store(settings, 4)
    assert documents.kind == "mongodb"
    with pytest.raises(Exception, match=r"mongodb at 127\.0\.0\.1:9 "):
        await documents.start()
    with pytest.raises(Exception, match=r"Qdrant at 127\.0\.0\.1:9 "):
        await vectors.start()
    assert not settings.sqlite_path.exists()
    assert not settings.qdrant_path.exists()

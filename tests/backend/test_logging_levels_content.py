"""A driver that writes what passes through it is not listened to more closely, unless content may be in lines."""

from pathlib import Path

import pytest

from app.core.log_levels import levels
from tests.backend.conftest import make_settings, started


@pytest.mark.parametrize("name", ["aiosqlite", "httpcore", "httpcore.http11", "qdrant_client"])
async def test_a_driver_stays_at_warning(tmp_path: Path, name: str) -> None:
    async with started(make_settings(tmp_path)) as client:
        for level in ("DEBUG", "INFO"):
            answer = await client.put("/internal/log-level", json={"logger": name, "level": level})
            assert answer.status_code == 422
            assert "LOG_CONTENT" in answer.json()["detail"]


async def test_it_can_be_listened_to_less(tmp_path: Path) -> None:
    async with started(make_settings(tmp_path)) as client:
        answer = await client.put("/internal/log-level", json={"logger": "aiosqlite", "level": "ERROR", "seconds": 1})
        assert answer.status_code == 200
    levels.restore()


async def test_where_content_may_be_in_lines_it_does_as_it_is_told(tmp_path: Path) -> None:
    async with started(make_settings(tmp_path, log_content=True)) as client:
        answer = await client.put("/internal/log-level", json={"logger": "aiosqlite", "level": "DEBUG", "seconds": 1})
        assert answer.status_code == 200
    levels.restore()

"""How access is set up: keys as they are stored, the token's file, and programs that ask for neither."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.inbox import create_inbox
from app.main import create_app
from app.services.access import ApiKeys
from app.stores.factory import build_document_store
from tests.backend.conftest import make_settings
from tests.backend.test_access import TOKEN, assert_refused, bearer


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[ApiKeys]:
    store = build_document_store(make_settings(tmp_path))
    await store.start()
    yield ApiKeys(store)
    await store.close()


async def test_what_is_stored_of_a_key_does_not_give_it_away(keys: ApiKeys) -> None:
    key = await keys.make("someone", ["documents", "chat"], 60)
    (record,) = await keys.all()
    assert key[-20:] not in str(record)
    assert (record["scopes"], record["rate_per_minute"]) == (["chat", "documents"], 60)
    assert await keys.make("someone else", ["chat"], 0) != key


@pytest.mark.parametrize(
    ("name", "scopes", "rate", "why"),
    [
        ("", ["chat"], 0, "name"),
        ("x" * 65, ["chat"], 0, "name"),
        ("a", [], 0, "scopes"),
        ("a", ["root"], 0, "scopes"),
        ("a", ["chat"], -1, "rate"),
        ("taken", ["chat"], 0, "taken"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(
    keys: ApiKeys, name: str, scopes: list[str], rate: int, why: str
) -> None:
    await keys.make("taken", ["chat"], 0)
    with pytest.raises(ValueError, match=why):
        await keys.make(name, scopes, rate)
    assert len(await keys.all()) == 1


async def test_a_name_is_free_again_once_its_key_is_revoked(keys: ApiKeys) -> None:
    await keys.make("kiosk", ["chat"], 0)
    assert await keys.revoke("kiosk") == 1
    await keys.make("kiosk", ["chat"], 0)
    assert [record["revoked_at"] is None for record in await keys.all()] == [True, False]


async def test_the_metrics_of_alert_inbox_ask_for_the_token_too(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    app = create_inbox(make_settings(tmp_path, internal_token_file=str(tmp_path / "token")))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert_refused(await client.get("/metrics"), 401, "")
        assert (await client.get("/metrics", headers=bearer(TOKEN))).status_code == 200
        assert (await client.get("/health/live")).status_code == 200


def test_a_token_that_is_none_keeps_the_service_from_starting(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        create_app(make_settings(tmp_path, internal_token_file=str(tmp_path / "missing")))
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ValueError, match="holds 0 characters"):
        create_app(make_settings(tmp_path, internal_token_file=str(tmp_path / "empty")))


def test_where_nothing_is_asked_for_nothing_is_in_the_way(tmp_path: Path) -> None:
    names = [middleware.cls.__name__ for middleware in create_app(make_settings(tmp_path)).user_middleware]
    assert names == ["ObservabilityMiddleware", "BodyLimitMiddleware"]

"""Keys and the operators' token: who may call what, how often, and what is said of whoever may not."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.core.config import Settings
from app.main import create_app
from app.services.access import ApiKeys
from app.stores.documents import StoreUnavailable
from app.stores.factory import build_document_store
from tests.backend.conftest import lines, make_settings, sample, started

Make = Callable[..., Awaitable[str]]
TOKEN = "a-token-of-the-operators"
CHAT, JOBS = "/api/v1/chat/sessions", "/api/v1/indexing/jobs"
#: Open to everyone: none of them gives data.
OPEN = {"/", "/health", "/health/live", "/health/ready"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    return make_settings(tmp_path, api_keys_required=True, internal_token_file=str(token))


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Any]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30) as client:
        yield client


@pytest.fixture
def make(app: Any) -> Make:
    """Makes a key that the app knows at once."""
    keys: ApiKeys = app.state.services.keys

    async def make(*scopes: str, rate: int = 0, name: str = "someone") -> str:
        key = await keys.make(name, scopes, rate)
        await keys.refresh()
        return key

    return make


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def assert_refused(answer: httpx.Response, status: int, challenge: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["www-authenticate"] == f'Bearer realm="specola"{challenge}'


async def failures(client: httpx.AsyncClient) -> dict[str, float]:
    text = (await client.get("/metrics", headers=bearer(TOKEN))).text
    name = "authentication_failures_total"
    return {reason: sample(text, name, reason=reason) for reason in re.findall(rf'{name}{{reason="(\w+)"}}', text)}


async def test_without_credentials_nothing_gives_data(app: Any, client: httpx.AsyncClient) -> None:
    routes = [
        (method.upper(), re.sub(r"\{\w+\}", "7d0c2a4e-1b1f-4c7c-9d5e-2f1c0a9b8e7d", path))
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    ]
    assert len(routes) > 20
    for method, path in routes + [("GET", p) for p in ("/docs", "/openapi.json", "/redoc", "/nothing", "//metrics")]:
        answer = await client.request(method, f"http://test{path}")
        if path not in OPEN:
            assert_refused(answer, 401, "")
        elif path.startswith("/health") and path != "/health/live":
            assert (answer.status_code, answer.content) == (200, b""), path
    assert (await client.get("/health/live")).json() == {"status": "alive"}
    assert "<html" in (await client.get("/")).text
    assert (await client.get("/static/api.js")).status_code == 200


async def test_a_key_may_do_what_its_scopes_say(client: httpx.AsyncClient, make: Make) -> None:
    asked = {"chat": ("POST", CHAT), "documents": ("GET", JOBS), "admin": ("GET", "/internal/log-level")}
    for scope in asked:
        key = await make(scope, name=scope)
        for needed, (method, path) in asked.items():
            answer = await client.request(method, path, headers=bearer(key))
            if needed == scope:
                assert answer.is_success, (scope, path)
            else:
                assert_refused(answer, 403, f', error="insufficient_scope", scope="{needed}"')


@pytest.mark.parametrize("path", ["/api/v1/feedback", "/api/v1/experience", f"{CHAT}/x/messages"])
async def test_ratings_and_measurements_need_the_scope_of_chat(
    client: httpx.AsyncClient, make: Make, path: str
) -> None:
    assert (await client.post(path, headers=bearer(await make("chat")), json={"none": 1})).status_code == 422
    documents = await make("documents", name="other")
    assert (await client.post(path, headers=bearer(documents), json={"none": 1})).status_code == 403


async def test_operators_come_in_by_their_token_or_by_an_admins_key_and_nobody_else(
    client: httpx.AsyncClient, make: Make
) -> None:
    admin, chat = await make("admin", name="admin"), await make("chat", name="chat")
    for path in ("/metrics", "/internal/tracing", "/internal/faults", "/openapi.json"):
        for key, status in {TOKEN: 200, admin: 200, chat: 403, TOKEN + "x": 401, TOKEN[:-1]: 401}.items():
            assert (await client.get(path, headers=bearer(key))).status_code == status, (path, key)
    for path in ("/health", "/health/ready"):
        assert (await client.get(path, headers=bearer(TOKEN))).json()["checks"]
        assert (await client.get(path, headers=bearer(admin))).json()["checks"]
        assert (await client.get(path, headers=bearer(chat))).content == b"", "the status alone, as without a key"
        assert_refused(await client.get(path, headers=bearer("guessed")), 401, ', error="invalid_token"')
    assert (await client.post(CHAT, headers=bearer(TOKEN))).status_code == 401, "the token is no key"


async def test_a_probe_without_credentials_learns_the_status_and_no_more(client: httpx.AsyncClient) -> None:
    fault = {"fault": "database_down", "seconds": 30}
    assert (await client.put("/internal/faults", json=fault, headers=bearer(TOKEN))).status_code == 200
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.content) == (503, b"")


async def test_a_revoked_key_serves_no_more_and_a_key_needs_no_store_to_be_known(
    app: Any, client: httpx.AsyncClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable() -> Any:
        await asyncio.sleep(0)
        raise StoreUnavailable("away")

    keys: ApiKeys = app.state.services.keys
    key = await make("documents", "admin")
    fault = {"fault": "database_down", "seconds": 30}
    assert (await client.put("/internal/faults", json=fault, headers=bearer(key))).status_code == 200
    await keys.refresh()
    assert (await client.get(JOBS, headers=bearer(key))).status_code == 503, "known, and the database is away"
    assert (await client.delete("/internal/faults", headers=bearer(key))).status_code == 204
    monkeypatch.setattr(keys, "all", unavailable)
    with pytest.raises(StoreUnavailable):
        await keys.refresh()
    assert (await client.get(JOBS, headers=bearer(key))).status_code == 200, "keys stay known"
    monkeypatch.undo()
    assert await keys.revoke("someone") == 1
    await keys.refresh()
    assert_refused(await client.get(JOBS, headers=bearer(key)), 401, ', error="invalid_token"')
    assert await keys.revoke("someone") == 0


async def test_a_replica_hears_of_what_others_did_by_itself(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.access.REFRESH_SECONDS", 0.05)
    store = build_document_store(settings)
    await store.start()
    elsewhere = ApiKeys(store)
    early = await elsewhere.make("early", ["documents"], 0)
    async with started(settings) as client:

        async def answered(key: str, status: int) -> bool:
            for _ in range(200):
                if (await client.get(JOBS, headers=bearer(key))).status_code == status:
                    return True
                await asyncio.sleep(0.02)
            return False

        assert (await client.get(JOBS, headers=bearer(early))).status_code == 200, "from the start"
        assert await answered(await elsewhere.make("late", ["documents"], 0), 200)
        await elsewhere.revoke("early")
        assert await answered(early, 401)
    await store.close()


async def test_a_key_is_used_no_more_often_than_its_rate(app: Any, client: httpx.AsyncClient, make: Make) -> None:
    keys: ApiKeys = app.state.services.keys
    now = 1000.0
    keys._clock = lambda: now
    key, other = await make("documents", rate=3), await make("documents", rate=3, name="other")
    for _ in range(3):
        assert (await client.get(JOBS, headers=bearer(key))).status_code == 200
    await keys.refresh()  # which gives nothing back
    answer = await client.get(JOBS, headers=bearer(key))
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "20", "a third of a minute"
    assert (await client.get(JOBS, headers=bearer(other))).status_code == 200, "another key has a rate of its own"
    now += 20
    assert [(await client.get(JOBS, headers=bearer(key))).status_code for _ in range(2)] == [200, 429]
    now += 3600
    assert [(await client.get(JOBS, headers=bearer(key))).status_code for _ in range(4)] == [200, 200, 200, 429]


async def test_refusals_are_counted_by_reason_and_by_route(app: Any, client: httpx.AsyncClient, make: Make) -> None:
    good, revoked = await make("chat"), await make("chat", name="revoked")
    await app.state.services.keys.revoke("revoked")
    await app.state.services.keys.refresh()
    before = await failures(client)
    assert set(before) == {"missing", "malformed", "unknown", "revoked", "scope"}
    forged = good[:-4] + ("aaaa" if good[-4:] != "aaaa" else "bbbb")
    nobody = "sk-specola-0123456789abcdef-" + "x" * 43
    for headers in (
        {},
        {"Authorization": f"Basic {good}"},
        bearer("x"),
        bearer(forged),
        bearer(nobody),
        bearer(revoked),
    ):
        assert (await client.get(JOBS + "/anything", headers=headers)).status_code == 401
    assert (await client.get(JOBS, headers=bearer(good))).status_code == 403
    after = await failures(client)
    assert {reason: after[reason] - before[reason] for reason in after} == {
        "missing": 1,
        "malformed": 2,
        "unknown": 2,
        "revoked": 1,
        "scope": 1,
    }
    text = (await client.get("/metrics", headers=bearer(TOKEN))).text
    assert sample(text, "http_requests_total", endpoint=JOBS + "/{job_id}", status="401") >= 6


async def test_no_key_stands_in_a_line_a_span_or_an_answer(
    app: Any, configured: Settings, client: httpx.AsyncClient, make: Make, spans: InMemorySpanExporter
) -> None:
    revoked = await make("chat")
    await app.state.services.keys.revoke("someone")
    good = await make("chat")
    told = [
        await client.request(method, path, headers={**bearer(key), "X-API-Key": key}, json={"key": key})
        for key in (good, revoked, good[:-1] + "_", good[:-1], TOKEN, TOKEN + "!")
        for method, path in (("GET", JOBS), ("POST", CHAT), ("GET", "/internal/faults"), ("PUT", "/internal/faults"))
    ]
    written = lines(configured)
    everything = f"{written} {[s.to_json() for s in spans.get_finished_spans()]} {[(a.text, a.headers) for a in told]}"
    assert good[-20:] not in everything
    assert TOKEN not in everything
    refused = {line["reason"]: line for line in written if line["event"] == "credentials refused"}
    for reason, whose in {"scope": good, "revoked": revoked}.items():
        assert refused[reason]["key_id"] == whose.split("-")[2], "whose key it is can be looked up"
        assert (refused[reason]["level"], len(refused[reason]["request_id"])) == ("warning", 32)


async def test_each_refusal_is_one_line_for_the_alert_on_them_probes_too(
    configured: Settings, client: httpx.AsyncClient
) -> None:
    for path in (JOBS, "/metrics", "/health"):
        await client.get(path, headers=bearer("guessed"))
    rule = (Path(__file__).parents[2] / "loki/rules/fake/rules.yml").read_text()
    expression = re.search(r"\|~ `(.*failed)` \[5m\]", rule)
    assert expression
    written = lines(configured)
    text = (configured.log_dir / "application.log").read_text().splitlines()
    counted = [line for line, raw in zip(written, text, strict=True) if re.search(expression[1], raw)]
    assert [line["endpoint"] for line in counted] == [JOBS, "/metrics", "/health"]


async def test_no_websocket_is_opened_before_somebody_thought_of_who_may(app: Any) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": "websocket", "path": "/new", "headers": [], "app": app}, None, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_the_token_alone_closes_what_is_for_operators_and_nothing_else(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"api_keys_required": False}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for path in ("/metrics", "/internal/faults", "/internal/nothing"):
                assert_refused(await client.get(path), 401, "")
                assert_refused(await client.get(path, headers=bearer("x" * 20)), 401, ', error="invalid_token"')
            assert (await client.get("/metrics", headers=bearer(TOKEN))).status_code == 200
            assert (await client.get("/health")).content == b""
            assert (await client.get(JOBS)).status_code == 200
            assert (await client.get("/docs")).status_code == 200

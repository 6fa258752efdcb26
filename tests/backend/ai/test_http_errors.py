"""What a provider over HTTP makes of each failure, against a server on loopback."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from app.services.ai.base import AIError
from app.services.ai.http_provider import HttpProvider, azure_api, openai_api
from tests.backend.ai.clients import PROMPT, azure, checked, collect, failing, openai
from tests.backend.ai.fake_openai import (
    API_KEY,
    GOOD_ANSWER,
    SECRET_PROMPT,
    Behaviour,
    FakeOpenAI,
    answering,
    answering_bytes,
    embedding,
    event,
    hanging,
    hanging_up,
    refusing,
    streaming,
    usage,
)
from tests.backend.ai.scripted import until_error


@pytest.mark.parametrize(
    "behaviour",
    [
        answering_bytes(b"<html>Please log in</html>"),
        answering(200, []),
        answering(200, {"data": [{"index": 0}]}),
        answering(200, {"data": [{"index": 0, "embedding": ["x"]}]}),
        answering(200, {"data": [{"index": 0, "embedding": ["nan", 1]}]}),
        answering(200, {"data": [{"index": 0, "embedding": [1, 2]}], "usage": {"prompt_tokens": -5}}),
        embedding(),
    ],
)
async def test_rubbish_for_embeddings_is_a_protocol_error(server: FakeOpenAI, behaviour: Behaviour) -> None:
    server.script = [behaviour]
    async with openai(server.url) as provider:
        with pytest.raises(AIError) as caught:
            await provider.embed([SECRET_PROMPT])
    assert checked(caught.value).reason == "protocol"


@pytest.mark.parametrize(
    ("status", "reason", "hint"),
    [
        (400, "client_error", "too long"),
        (401, "client_error", "OPENAI_API_KEY"),
        (403, "client_error", "OPENAI_API_KEY"),
        (404, "client_error", "OPENAI_MODEL"),
        (408, "timeout", "its side"),
        (422, "client_error", "OPENAI_BASE_URL"),
        (429, "rate_limited", "quota"),
        (301, "client_error", "OPENAI_BASE_URL"),
        (500, "server_error", "its side"),
        (503, "server_error", "its side"),
    ],
)
async def test_each_status_has_its_reason_and_says_what_to_do(
    server: FakeOpenAI, status: int, reason: str, hint: str
) -> None:
    error = await failing(server, refusing(status))
    assert error.reason == reason
    assert str(status) in str(error)
    assert hint in str(error)
    assert "127.0.0.1" in str(error)
    assert error.retry_after is None
    assert error.worth_waiting == (status not in (301, 400, 422)), "all others say nothing of the request"


async def test_azures_errors_name_azures_settings(server: FakeOpenAI) -> None:
    server.script = [refusing(401), refusing(404)]
    async with azure(server.url) as provider:
        with pytest.raises(AIError, match="AZURE_OPENAI_KEY"):
            await collect(provider)
        with pytest.raises(AIError, match="AZURE_OPENAI_EMBEDDING_DEPLOYMENT"):
            await provider.embed(["a text"])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "Mon, 01 Jan 2030 0:0:99999999999 GMT"}, None),
    ],
)
async def test_the_wait_that_a_rate_limit_asks_for_is_handed_on(
    server: FakeOpenAI, headers: dict[str, str], seconds: float | None
) -> None:
    error = await failing(server, refusing(429, headers))
    assert (error.reason, error.retry_after) == ("rate_limited", seconds)


async def test_the_wait_may_be_a_date(server: FakeOpenAI) -> None:
    date = datetime.now(UTC) + timedelta(seconds=30)
    error = await failing(server, refusing(503, {"Retry-After": format_datetime(date, usegmt=True)}))
    assert error.retry_after == pytest.approx(30, abs=3)


async def test_a_server_that_says_nothing_is_a_timeout(server: FakeOpenAI) -> None:
    assert (await failing(server, hanging(), seconds=0.1)).reason == "timeout"


async def test_a_server_that_pauses_too_long_in_an_answer_is_a_timeout(server: FakeOpenAI) -> None:
    assert (await failing(server, streaming([event("a")] * 2, pause=0.3), seconds=0.1)).reason == "timeout"


async def test_a_server_that_hangs_up_before_it_answers_is_a_lost_connection(server: FakeOpenAI) -> None:
    assert (await failing(server, hanging_up)).reason == "connection"


async def test_a_server_that_is_not_there_is_a_lost_connection(unused_tcp_port: int) -> None:
    async with openai(f"http://user:hidden@127.0.0.1:{unused_tcp_port}") as provider:
        for call in (collect(provider), provider.embed(["a text"]), provider.check()):
            with pytest.raises(AIError, match="OPENAI_BASE_URL") as caught:
                await call
            assert checked(caught.value).reason == "connection"
            assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "behaviour",
    [
        streaming([event("half an ans")], breaking=True),
        streaming([event("half an ans")], done=True),
        streaming([event("half an ans")], done=False),
        streaming([b"data: {not json\n\n", *GOOD_ANSWER]),
        streaming([b"data: []\n\n", *GOOD_ANSWER]),
        streaming([event("a") | {"choices": [{"delta": {"content": 5}}]}, *GOOD_ANSWER]),
        streaming([event("a") | {"choices": [1]}, *GOOD_ANSWER]),
        streaming([event("a") | {"choices": [{"finish_reason": 5}]}, *GOOD_ANSWER]),
        streaming([*GOOD_ANSWER, usage(1, 1) | {"usage": {"prompt_tokens": "many"}}]),
        streaming([b"data: " + b"x" * 1_100_000, *[b"x"] * 100], pause=0.3),
        answering_bytes(b"<html>Please log in</html>"),
        answering_bytes(b""),
    ],
    ids=[
        "hung up",
        "done without an end",
        "no end",
        "no JSON",
        "list",
        "number for text",
        "number for a choice",
        "number for a reason",
        "usage",
        "endless line",
        "page",
        "empty",
    ],
)
async def test_a_broken_stream_is_a_protocol_error(server: FakeOpenAI, behaviour: Behaviour) -> None:
    assert (await failing(server, behaviour, seconds=2.0)).reason == "protocol"


async def test_what_came_before_a_break_is_handed_on(server: FakeOpenAI) -> None:
    server.script = [streaming([event("half an ans")], breaking=True)]
    async with openai(server.url) as provider:
        assert await until_error(provider.stream(PROMPT)) == (["half an ans"], "protocol")


async def test_an_error_inside_a_stream_is_the_servers(server: FakeOpenAI) -> None:
    inside = streaming([event("a"), {"error": {"message": SECRET_PROMPT}}])
    assert (await failing(server, inside)).reason == "server_error"


async def test_the_check_fails_for_a_key_that_is_not_valid_and_for_a_page(server: FakeOpenAI) -> None:
    server.script = [refusing(401), answering_bytes(b"<html>Please log in</html>"), answering(200, {"data": None})]
    reasons: list[str] = []
    async with openai(server.url) as provider:
        for _ in range(3):
            with pytest.raises(AIError) as caught:
                await provider.check()
            reasons.append(checked(caught.value).reason)
    assert reasons == ["client_error", "protocol", "protocol"]


async def test_a_key_that_no_header_may_hold_is_not_shown(server: FakeOpenAI) -> None:
    provider = HttpProvider(openai_api(server.url, f"{API_KEY}\nx"), "m", "e", 2, 5.0)
    with pytest.raises(AIError) as caught:
        await provider.check()
    await provider.close()
    checked(caught.value)


def test_the_key_is_not_in_the_description_of_an_api() -> None:
    for api in (openai_api("http://localhost", API_KEY), azure_api("http://localhost", API_KEY, "c", "e", "v")):
        assert API_KEY not in repr(api)

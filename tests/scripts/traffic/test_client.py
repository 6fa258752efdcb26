"""Requests as they go over the wire, against a real server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scripts.traffic.client import LONGEST_WAIT, Client, seconds_to_wait
from scripts.traffic.sse import Events
from scripts.traffic.tally import Tally

SESSIONS = "/api/v1/chat/sessions"


@pytest.fixture
async def client(backend: Any) -> AsyncIterator[Client]:
    client = Client(backend.url, Tally(), connections=5)
    yield client
    await client.close()


@pytest.fixture
async def messages(client: Client) -> str:
    reply = await client.call("open session", "POST", SESSIONS, expect=201)
    return f"{SESSIONS}/{reply.body['session_id']}/messages"


async def test_each_request_has_an_id_of_its_own_and_its_users_name(client: Client, backend: Any) -> None:
    for _ in range(2):
        await client.call("open session", "POST", SESSIONS, expect=201, user="reader-1")
    headers = [seen[2] for seen in backend.seen]
    assert [one["x-user-id"] for one in headers] == ["reader-1", "reader-1"]
    first, second = (one["x-request-id"] for one in headers)
    assert first != second
    assert first.startswith("traffic-")


async def test_two_runs_never_share_a_request_id(backend: Any) -> None:
    for _ in range(2):
        client = Client(backend.url, Tally(), connections=5)
        await client.call("open session", "POST", SESSIONS, expect=201)
        await client.close()
    assert len({seen[2]["x-request-id"] for seen in backend.seen}) == 2


async def test_a_key_goes_with_every_request_and_is_sent_where_one_was_given_alone(backend: Any) -> None:
    for key in ("", "sk-of-the-test"):
        client = Client(backend.url, Tally(), connections=5, key=key)
        await client.call("open session", "POST", SESSIONS, expect=201)
        await client.ask(f"{SESSIONS}/x/messages", "Is anyone there?", "reader-1")
        await client.close()
    assert [seen[2].get("authorization") for seen in backend.seen] == [None, None, *["Bearer sk-of-the-test"] * 2]


async def test_an_answer_as_expected_is_no_error_whatever_its_status(client: Client) -> None:
    reply = await client.call("bad request", "GET", "/no/such/path", expect=404)
    assert (reply.ok, reply.status, client.tally.errors) == (True, 404, 0)


async def test_another_status_is_an_error_that_is_kept_with_id_and_reason(client: Client, backend: Any) -> None:
    reply = await client.call("close session", "DELETE", f"{SESSIONS}/unknown", expect=204)
    failure = client.tally.failures[-1]
    assert not reply.ok
    assert failure.problem == "404 in place of 204: unknown session"
    assert failure.request_id == backend.seen[-1][2]["x-request-id"]


async def test_an_answer_without_what_it_must_have_is_an_error(client: Client, backend: Any) -> None:
    backend.instead["POST", SESSIONS] = [JSONResponse({}, 201), PlainTextResponse("hello", 201)]
    for _ in range(2):
        reply = await client.call("open session", "POST", SESSIONS, expect=201, needs="session_id")
        assert not reply.ok
        assert client.tally.failures[-1].problem == "the answer has no session_id"


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wish_to_wait_is_passed_on(client: Client, backend: Any, status: int) -> None:
    backend.instead["POST", SESSIONS] = [Response("", status, {"Retry-After": "7"})]
    reply = await client.call("open session", "POST", SESSIONS, expect=201)
    assert reply.retry_after == 7.0
    assert client.tally.told_to_wait == 1


async def test_a_dead_server_is_an_error_and_no_exception() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{taken.getsockname()[1]}", Tally(), connections=5)
        reply = await client.call("health", "GET", "/health/ready", expect=200)
        streamed = await client.ask("/any", "Why?", "reader-1")
        await client.close()
    assert (reply.status, reply.ok, streamed.status, streamed.ok) == (0, False, 0, False)
    assert client.tally.labels["health"] == {"no answer (ConnectError)": 1}


async def test_a_stream_is_read_to_its_end(client: Client, messages: str) -> None:
    reply = await client.ask(messages, "Why?", "reader-1")
    assert reply.ok
    assert reply.body["sources"] == [{"filename": "README.md", "score": 0.9}]
    assert reply.body["message_id"]
    assert reply.first_token is not None
    assert list(client.tally.first_tokens) == [reply.first_token]
    assert client.tally.labels["streamed question"] == {"200": 1}


@pytest.mark.parametrize(
    ("end", "label", "problem"),
    [
        ("nothing", "200 cut off", "the stream ended without its event `done`"),
        ("error", "200 error event", "the model went away"),
    ],
)
async def test_a_stream_that_breaks_is_an_error(
    client: Client, backend: Any, messages: str, end: str, label: str, problem: str
) -> None:
    backend.stream_end = end
    reply = await client.ask(messages, "Why?", "reader-1")
    assert not reply.ok
    assert client.tally.labels["streamed question"] == {label: 1}
    assert client.tally.failures[-1].problem == problem


async def test_a_stream_that_is_refused_is_an_error_with_its_reason(
    client: Client, backend: Any, messages: str
) -> None:
    backend.instead["POST", messages] = [JSONResponse({"detail": "the model is down"}, 503, {"Retry-After": "1"})]
    reply = await client.ask(messages, "Why?", "reader-1")
    assert (reply.status, reply.ok, reply.retry_after) == (503, False, 1.0)
    assert client.tally.failures[-1].problem == "503 in place of 200: the model is down"


@pytest.mark.parametrize("leave_after", [0, 1, 3])
async def test_an_abandoned_stream_is_closed_midway_and_no_error(
    client: Client, backend: Any, messages: str, leave_after: int
) -> None:
    backend.stream_pause = 0.1
    reply = await client.ask(messages, "Why?", "reader-1", leave_after)
    for _ in range(100):
        if backend.left_midway:
            break
        await asyncio.sleep(0.02)
    assert backend.left_midway == 1
    assert (reply.ok, reply.abandoned, reply.body["message_id"]) == (True, True, None)
    assert (client.tally.abandoned, client.tally.errors) == (1, 0)
    assert client.tally.labels["streamed question"] == {"200 abandoned": 1}


async def test_a_stream_that_is_over_before_it_is_left_is_not_abandoned(client: Client, messages: str) -> None:
    reply = await client.ask(messages, "Why?", "reader-1", leave_after=5)
    assert (reply.abandoned, client.tally.abandoned) == (False, 0)
    assert reply.body["message_id"]


async def test_a_request_that_takes_for_ever_is_given_up(
    client: Client, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.traffic.client.REQUEST_LIMIT", 0.1)
    backend.delay = 1.0
    reply = await client.call("open session", "POST", SESSIONS, expect=201)
    assert reply.status == 0
    assert client.tally.labels["open session"] == {"no answer (TimeoutError)": 1}


async def test_a_request_that_is_cut_off_is_counted_and_no_error(client: Client, backend: Any) -> None:
    backend.delay = 1.0
    task = asyncio.create_task(client.call("open session", "POST", SESSIONS, expect=201))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert client.tally.labels["open session"] == {"cut off at the end": 1}
    assert client.tally.errors == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("3", 3.0),
        ("0.5", 0.5),
        ("-4", 0.0),
        ("1e9", LONGEST_WAIT),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0),
    ],
)
def test_retry_after_is_understood_or_ignored(header: str | None, seconds: float | None) -> None:
    assert seconds_to_wait(header) == seconds


def test_retry_after_as_a_date_is_the_time_until_then() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert seconds_to_wait(date) == pytest.approx(30, abs=2)


def test_events_are_put_together_from_lines() -> None:
    events = Events()
    lines = [": ping", "event: token", 'data: {"text":', 'data:  "a"}', "id: 4", "", "", "data: 1", ""]
    assert [event for line in lines if (event := events.feed(line))] == [("token", {"text": "a"}), ("message", 1)]


def test_data_that_is_no_json_is_an_error() -> None:
    events = Events()
    events.feed("data: {")
    with pytest.raises(ValueError, match="Expecting"):
        events.feed("")

"""Requests to the backend: each with an id of its own, timed, judged by what was expected, and counted."""

import asyncio
import itertools
import math
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from scripts.traffic.sse import Events
from scripts.traffic.tally import Kind, Outcome, Tally

#: Seconds for a whole request, stream included; beyond it even a slow model has given up.
REQUEST_LIMIT = 90.0
#: No wish to wait is followed for longer, in seconds: a run is minutes long.
LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or that there was none (`status` 0). `ok`: it is what was expected.

    `retry_after` is in seconds and set only with 429 and 503. `first_token` is in seconds, of a stream.
    """

    status: int
    ok: bool = False
    body: Any = None
    retry_after: float | None = None
    first_token: float | None = None
    abandoned: bool = False


@dataclass(slots=True)
class _Trial:
    """A request under way: whatever is known of it when it ends, however it ends."""

    status: int = 0
    label: str = ""
    #: What the answer itself says, if it is a problem document.
    detail: str = ""
    #: Why it is not what was expected.
    problem: str = ""
    retry_after: float | None = None

    def answered(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.label = str(response.status_code)
        if response.status_code in (429, 503):
            self.retry_after = seconds_to_wait(response.headers.get("retry-after"))

    def failed(self, label: str, problem: str) -> None:
        self.label, self.problem = label, problem


def seconds_to_wait(value: str | None) -> float | None:
    """A Retry-After header (seconds or a date) in seconds, at most `LONGEST_WAIT`; None if it says nothing."""
    if value is None:
        return None
    try:
        wait = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        wait = (moment - datetime.now(UTC)).total_seconds()
    return None if math.isnan(wait) else min(max(wait, 0.0), LONGEST_WAIT)


def _detail(body: Any) -> str:
    """What a problem document says, short enough for one line."""
    if isinstance(body, dict):
        return str(body.get("detail") or body.get("title") or "")[:200]
    return ""


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


class Client:
    """The backend as its users reach it. Never raises for what the backend does: everything is a `Reply`."""

    def __init__(self, url: str, tally: Tally, connections: int, key: str = "") -> None:
        self.tally = tally
        self._ids = map("traffic-{}-{}".format, itertools.repeat(secrets.token_hex(4)), itertools.count(1))
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(60.0, connect=5.0),
            limits=httpx.Limits(max_connections=connections + 10, max_keepalive_connections=connections),
            headers={"User-Agent": "specola-traffic"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            # A proxy of the shell's would stand between this program and a backend on the same machine.
            trust_env=False,
        )

    async def close(self) -> None:
        """Gives back the connections."""
        await self._http.aclose()

    async def call(
        self,
        kind: Kind,
        method: str,
        path: str,
        *,
        expect: int,
        needs: str = "",
        user: str = "",
        **content: Any,
    ) -> Reply:
        """One request whose answer is read whole and must have a field `needs`. `content` is httpx's own."""
        body: Any = None
        async with self._trial(kind, expect) as (trial, headers):
            response = await self._http.request(method, path, headers=headers | _user(user), **content)
            trial.answered(response)
            body = _json(response)
            trial.detail = _detail(body)
            if trial.status == expect and needs and not (isinstance(body, dict) and body.get(needs)):
                trial.failed(f"{trial.status} incomplete", f"the answer has no {needs}")
        return Reply(trial.status, not trial.problem, body, trial.retry_after)

    async def ask(self, path: str, question: str, user: str, leave_after: int | None = None) -> Reply:
        """A question answered as a stream; the reply's body is {message_id, sources}.

        `leave_after` closes the connection after that many events (0: once the headers are there).
        """
        start = time.perf_counter()
        answer: dict[str, Any] = {"message_id": None, "sources": []}
        first_token: float | None = None
        abandoned = False
        async with (
            self._trial("streamed question", 200) as (trial, headers),
            self._http.stream(
                "POST", path, headers=headers | _user(user), json={"content": question, "stream": True}
            ) as response,
        ):
            trial.answered(response)
            if response.status_code != 200:
                await response.aread()
                trial.detail = _detail(_json(response))
            else:
                async for number, name, data in _events(response):
                    if number == leave_after and name != "done":
                        abandoned = True
                        break
                    if name == "token" and first_token is None:
                        first_token = time.perf_counter() - start
                    _keep(answer, name, data, trial)
                if abandoned:
                    self.tally.abandoned += 1
                    trial.label = "200 abandoned"
                elif answer["message_id"] is None and not trial.problem:
                    trial.failed("200 cut off", "the stream ended without its event `done`")
        if first_token is not None:
            self.tally.first_tokens.append(first_token)
        return Reply(trial.status, not trial.problem, answer, trial.retry_after, first_token, abandoned)

    @asynccontextmanager
    async def _trial(self, kind: Kind, expect: int) -> AsyncIterator[tuple[_Trial, dict[str, str]]]:
        """Times a request, gives it an id, and counts how it ended."""
        trial = _Trial()
        request_id = next(self._ids)
        start = time.perf_counter()
        try:
            async with asyncio.timeout(REQUEST_LIMIT):
                yield trial, {"X-Request-ID": request_id}
            if trial.status != expect:
                trial.problem = f"{trial.status} in place of {expect}: {trial.detail or 'without a reason'}"
        except (httpx.HTTPError, OSError, ValueError) as error:
            # TimeoutError is an OSError; ValueError is an event whose data is not JSON.
            reason = type(error).__name__
            trial.failed(f"{trial.label or 'no answer'} ({reason})", str(error) or reason)
        except asyncio.CancelledError:
            trial.label = "cut off at the end"
            raise
        finally:
            if trial.retry_after is not None:
                self.tally.told_to_wait += 1
            seconds = time.perf_counter() - start
            self.tally.add(Outcome(kind, trial.label, seconds, request_id, trial.problem))


async def _events(response: httpx.Response) -> AsyncIterator[tuple[int, str, Any]]:
    """(number, name, data) of each event; number 0 comes before the first, once the headers are there."""
    yield 0, "", None
    parts, number = Events(), 0
    async for line in response.aiter_lines():
        event = parts.feed(line)
        if event:
            number += 1
            yield number, *event


def _user(user: str) -> dict[str, str]:
    return {"X-User-ID": user} if user else {}


def _keep(answer: dict[str, Any], name: str, data: Any, trial: _Trial) -> None:
    if name == "sources":
        answer["sources"] = data
    elif name == "done" and isinstance(data, dict):
        answer["message_id"] = data.get("message_id")
    elif name == "error":
        trial.failed("200 error event", _detail(data) or "the stream ended with its event `error`")

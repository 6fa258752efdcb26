"""A user with a session, who makes one request whenever it is their turn."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from scripts.traffic.client import Client, Reply
from scripts.traffic.library import key_of, key_of_filename
from scripts.traffic.plan import Turn, Visit, score, verdict

API = "/api/v1"
#: Seconds between an answer and the same user's next request, on average: reading and typing.
THINKING = 4.0
#: How often one user waits as long as the backend asks (429, 503) before giving up.
PATIENCE = 3
#: Longer than any backend's limit for a question, in characters.
TOO_LONG = 50_000


class Visitor:
    """Follows a plan. `session` is the open session's id, if there is one."""

    def __init__(self, client: Client, plan: Visit, dice: Random) -> None:
        self._client = client
        self._plan = plan
        self._dice = dice
        self._patience = PATIENCE
        self._first_token: float | None = None
        self._todo: deque[Callable[[], Awaitable[Reply]]] = deque([self._open])
        self._todo.extend(partial(self._ask, turn) for turn in plan.turns)
        if plan.experience is not None:
            self._todo.append(self._report)
        if plan.closes:
            self._todo.append(self.close)
        self.session: str | None = None

    async def step(self) -> float | None:
        """Makes one request; seconds until the next, or None when this was the last."""
        call = self._todo.popleft()
        reply = await call()
        if reply.retry_after is not None and self._patience > 0:
            self._patience -= 1
            self._todo.appendleft(call)
            return reply.retry_after
        if self.session is None:
            self._todo.clear()
        return min(self._dice.expovariate(1 / THINKING), 5 * THINKING) if self._todo else None

    @property
    def wants_to_close(self) -> bool:
        """Whether a session is open that this user means to close."""
        return self.session is not None and self._plan.closes

    async def ask_too_much(self) -> Reply:
        """A question that no backend should take."""
        return await self._client.call(
            "bad request",
            "POST",
            f"{API}/chat/sessions/{self.session}/messages",
            expect=422,
            user=self._plan.user,
            json={"content": "why " * (TOO_LONG // 4), "stream": False},
        )

    async def close(self) -> Reply:
        """Closes the session, which is gone for this user unless the backend asks to come back later."""
        session, self.session = self.session, None
        reply = await self._client.call(
            "close session",
            "DELETE",
            f"{API}/chat/sessions/{session}",
            expect=204,
            user=self._plan.user,
        )
        if reply.ok:
            self._client.tally.sessions_closed += 1
        elif reply.retry_after is not None:
            self.session = session
        return reply

    async def _open(self) -> Reply:
        reply = await self._client.call(
            "open session",
            "POST",
            f"{API}/chat/sessions",
            expect=201,
            needs="session_id",
            user=self._plan.user,
        )
        if reply.ok:
            self._client.tally.sessions_opened += 1
            self.session = reply.body["session_id"]
        return reply

    async def _ask(self, turn: Turn) -> Reply:
        path = f"{API}/chat/sessions/{self.session}/messages"
        if turn.streamed:
            reply = await self._client.ask(path, turn.question.text, self._plan.user, turn.leave_after)
            self._first_token = reply.first_token or self._first_token
        else:
            reply = await self._client.call(
                "question",
                "POST",
                path,
                expect=200,
                needs="message_id",
                user=self._plan.user,
                json={"content": turn.question.text, "stream": False},
            )
        if reply.ok and not reply.abandoned:
            self._judge(turn, reply.body)
        elif reply.status == 404:
            self.session = None
        return reply

    def _judge(self, turn: Turn, answer: dict[str, Any]) -> None:
        judgement = verdict(source_keys(answer.get("sources")), key_of(turn.question.source))
        self._client.tally.answers[judgement] += 1
        if turn.rates:
            rating: dict[str, Any] = {
                "message_id": answer["message_id"],
                "score": score(judgement, turn.generous),
            }
            if turn.comment:
                rating["comment"] = turn.comment
            self._todo.appendleft(partial(self._rate, rating))

    async def _rate(self, rating: dict[str, Any]) -> Reply:
        reply = await self._client.call(
            "feedback", "POST", f"{API}/feedback", expect=201, user=self._plan.user, json=rating
        )
        if reply.ok:
            self._client.tally.scores[rating["score"]] += 1
        return reply

    async def _report(self) -> Reply:
        values = dict(self._plan.experience or {})
        if self._first_token is not None:
            values["first_token"] = round(self._first_token, 4)
        error = self._plan.script_error
        return await self._client.call(
            "experience",
            "POST",
            f"{API}/experience",
            expect=204,
            user=self._plan.user,
            json={
                "measurements": [{"metric": metric, "value": value} for metric, value in values.items()],
                "errors": [{"kind": error}] if error else [],
            },
        )


def source_keys(sources: Any) -> Sequence[str]:
    """The documents that an answer's sources were made from, best first."""
    if not isinstance(sources, list):
        return []
    return [key_of_filename(str(source.get("filename", ""))) for source in sources if isinstance(source, dict)]

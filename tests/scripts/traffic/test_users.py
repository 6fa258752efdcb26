"""Users and the librarian, each request of theirs, against a real server."""

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from scripts.traffic import mistakes
from scripts.traffic.client import Client
from scripts.traffic.display import Plain
from scripts.traffic.librarian import INTERVAL, LOOK, Librarian, stock
from scripts.traffic.library import Upload
from scripts.traffic.plan import Turn, Visit
from scripts.traffic.questions import Question
from scripts.traffic.visitor import PATIENCE, Visitor, source_keys

API = "/api/v1"
SESSIONS = f"{API}/chat/sessions"
QUESTION = Question("How does one begin?", "README.md")
TURN = Turn(QUESTION, streamed=False, leave_after=None, rates=True, generous=True, comment="Thanks.")
STREAMED = replace(TURN, streamed=True, rates=False)
VISIT = Visit("reader-1", (TURN,), {"cumulative_layout_shift": 0.01}, "script", closes=True)
FILE = Upload("README.md", "markdown", "text/markdown", b"# Read me")


class Silent(Plain):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        super().__init__(None)  # type: ignore[arg-type]

    def say(self, text: str) -> None:
        self.lines.append(text)


async def steps(visitor: Visitor) -> list[float]:
    pauses = []
    while (pause := await visitor.step()) is not None:
        pauses.append(pause)
    return pauses


def refused(status: int, seconds: str = "2") -> Response:
    return JSONResponse({"detail": "busy"}, status, {"Retry-After": seconds})


async def test_a_visit_opens_asks_rates_reports_and_closes(client: Client, backend: Any) -> None:
    pauses = await steps(Visitor(client, VISIT, Random(1)))
    assert [(method, path.split("/")[-1]) for method, path, _, _ in backend.seen] == [
        ("POST", "sessions"),
        ("POST", "messages"),
        ("POST", "feedback"),
        ("POST", "experience"),
        ("DELETE", path_end(backend)),
    ]
    assert {headers["x-user-id"] for _, _, headers, _ in backend.seen} == {"reader-1"}
    assert len(pauses) == 4
    assert client.tally.errors == 0
    assert backend.sessions == set()


def path_end(backend: Any) -> str:
    return str(backend.seen[-1][1].split("/")[-1])


@pytest.mark.parametrize(
    ("source", "wanted", "judgement", "score"),
    [
        ("README.md", "README.md", "right", 5),
        ("README.how-to-begin.pdf", "README.md", "right", 5),
        ("docs-cats.md", "README.md", "wrong", 2),
    ],
)
async def test_the_rating_follows_from_the_sources(
    client: Client, backend: Any, source: str, wanted: str, judgement: str, score: int
) -> None:
    backend.source = source
    turn = replace(TURN, question=Question("Why?", wanted))
    await steps(Visitor(client, replace(VISIT, turns=(turn,)), Random(1)))
    assert client.tally.answers == {judgement: 1}
    (rating,) = backend.requests("POST", f"{API}/feedback")
    assert rating["score"] == score
    assert rating["comment"] == "Thanks."
    assert client.tally.scores == {score: 1}


async def test_a_streamed_answer_is_judged_as_any_other(client: Client, backend: Any) -> None:
    await steps(Visitor(client, replace(VISIT, turns=(replace(STREAMED, rates=True, comment=""),)), Random(1)))
    assert client.tally.answers == {"right": 1}
    (rating,) = backend.requests("POST", f"{API}/feedback")
    assert set(rating) == {"message_id", "score"}


async def test_an_abandoned_answer_is_neither_judged_nor_rated(client: Client, backend: Any) -> None:
    turn = replace(TURN, streamed=True, leave_after=1)
    await steps(Visitor(client, replace(VISIT, turns=(turn,)), Random(1)))
    assert client.tally.abandoned == 1
    assert client.tally.answers == {}
    assert backend.requests("POST", f"{API}/feedback") == []


async def test_the_first_token_that_was_seen_is_what_the_user_reports(client: Client, backend: Any) -> None:
    backend.stream_pause = 0.05
    await steps(Visitor(client, replace(VISIT, turns=(STREAMED,)), Random(1)))
    (report,) = backend.requests("POST", f"{API}/experience")
    values = {entry["metric"]: entry["value"] for entry in report["measurements"]}
    assert values["cumulative_layout_shift"] == 0.01
    assert 0.05 <= values["first_token"] < 1.0
    assert report["errors"] == [{"kind": "script"}]


async def test_some_leave_without_closing(client: Client, backend: Any) -> None:
    visitor = Visitor(client, replace(VISIT, closes=False, experience=None), Random(1))
    await steps(visitor)
    assert len(backend.sessions) == 1
    assert not visitor.wants_to_close


async def test_whoever_is_told_to_wait_waits_that_long_and_does_the_same_again(client: Client, backend: Any) -> None:
    backend.instead["POST", SESSIONS] = [refused(503)]
    visitor = Visitor(client, VISIT, Random(1))
    assert await visitor.step() == 2.0
    await steps(visitor)
    assert client.tally.sessions_opened == 1
    assert client.tally.sessions_closed == 1


async def test_patience_ends(client: Client, backend: Any) -> None:
    backend.instead["POST", SESSIONS] = [refused(503) for _ in range(10)]
    assert await steps(Visitor(client, VISIT, Random(1))) == [2.0] * PATIENCE
    assert len(backend.seen) == PATIENCE + 1


async def test_a_question_that_failed_is_not_rated_and_the_next_one_is_asked(client: Client, backend: Any) -> None:
    backend.instead["POST", f"{SESSIONS}/"] = [JSONResponse({"detail": "broken"}, 500)]
    await steps(Visitor(client, replace(VISIT, turns=(TURN, STREAMED)), Random(1)))
    assert len(backend.requests("POST", f"{SESSIONS}/")) == 2
    assert backend.requests("POST", f"{API}/feedback") == []
    assert client.tally.answers == {"right": 1}


async def test_whose_session_is_gone_leaves(client: Client, backend: Any) -> None:
    visitor = Visitor(client, VISIT, Random(1))
    await visitor.step()
    backend.sessions.clear()
    assert await visitor.step() is None


async def test_a_rating_or_an_end_that_is_refused_is_not_counted(client: Client, backend: Any) -> None:
    backend.instead["POST", f"{API}/feedback"] = [JSONResponse({}, 500)]
    backend.instead["DELETE", SESSIONS] = [JSONResponse({}, 500)]
    await steps(Visitor(client, VISIT, Random(1)))
    assert (client.tally.scores, client.tally.sessions_closed, client.tally.errors) == ({}, 0, 2)


def test_sources_of_any_shape_are_survived() -> None:
    assert source_keys(None) == []
    assert source_keys([{"filename": "a.md"}, {}, "b.md"]) == ["a", ""]


async def test_every_mistake_is_answered_as_it_should_be(client: Client) -> None:
    for mistake in mistakes.some(Random(1)):
        reply = await client.call("bad request", mistake.method, mistake.path, expect=mistake.expect, **mistake.content)
        assert reply.ok, (mistake.name, client.tally.failures)


async def test_a_mistake_is_made_at_random(client: Client, backend: Any) -> None:
    for number in range(30):
        await mistakes.make(client, Random(number))
    assert set(client.tally.labels["bad request"]) == {"404", "405", "415", "422"}
    assert client.tally.errors == 0


async def test_closing_is_tried_again_when_the_backend_asks_for_it(client: Client, backend: Any) -> None:
    backend.instead["DELETE", SESSIONS] = [refused(503)]
    assert (await steps(Visitor(client, VISIT, Random(1))))[-1] == 2.0
    assert backend.sessions == set()


async def test_stocking_uploads_everything_and_waits_until_it_is_indexed(
    client: Client, backend: Any, quick: None
) -> None:
    screen = Silent()
    other = replace(FILE, filename="a.pdf", format="pdf", media_type="application/pdf")
    assert await stock(client, [FILE, other], 10.0, screen)
    assert backend.files == {"README.md": b"# Read me", "a.pdf": b"# Read me"}
    assert backend.types == {"README.md": "text/markdown", "a.pdf": "application/pdf"}
    assert client.tally.labels["job status"]["200"] > 2
    assert client.tally.uploads == {"markdown": 1, "pdf": 1}
    assert client.tally.indexed == 2
    assert screen.lines == ["Uploading documents: 0 of 2"]


async def test_stocking_waits_when_the_queue_is_full(client: Client, backend: Any, quick: None) -> None:
    backend.instead["POST", f"{API}/documents"] = [refused(429, "0.1")]
    assert await stock(client, [FILE], 10.0, Silent())
    assert client.tally.told_to_wait == 1
    assert client.tally.uploads == {"markdown": 1}


async def test_stocking_goes_on_after_a_file_that_is_refused(client: Client, backend: Any, quick: None) -> None:
    backend.instead["POST", f"{API}/documents"] = [JSONResponse({"detail": "unreadable"}, 422)]
    assert await stock(client, [FILE, FILE], 10.0, Silent())
    assert client.tally.uploads == {"markdown": 1}
    assert client.tally.errors == 1


async def test_stocking_has_a_limit(client: Client, backend: Any, quick: None) -> None:
    backend.instead["GET", f"{API}/indexing"] = [JSONResponse({"status": "running"}) for _ in range(1000)]
    assert not await stock(client, [FILE], 0.3, Silent())
    backend.instead["POST", f"{API}/documents"] = [refused(429, "50") for _ in range(1000)]
    assert not await stock(client, [FILE], 0.3, Silent())


async def test_the_librarian_uploads_slowly_and_follows_each_job(client: Client, backend: Any) -> None:
    librarian = Librarian(client, [FILE], seed=1)
    assert [await librarian.step() for _ in range(2)] == [LOOK, LOOK]
    await asyncio.sleep(0.15)
    assert [await librarian.step() for _ in range(2)] == [INTERVAL, LOOK]
    assert client.tally.uploads == {"markdown": 2}
    assert client.tally.indexed == 1


async def test_the_librarian_sees_jobs_fail_and_vanish(client: Client, backend: Any) -> None:
    librarian = Librarian(client, [FILE], seed=1)
    backend.instead["GET", f"{API}/indexing"] = [JSONResponse({"status": "failed"}), JSONResponse({}, 404)]
    assert [await librarian.step() for _ in range(4)] == [LOOK, INTERVAL, LOOK, INTERVAL]
    assert client.tally.indexing_failed == 1


async def test_the_librarian_waits_when_told_to(client: Client, backend: Any) -> None:
    backend.instead["POST", f"{API}/documents"] = [refused(429, "9"), JSONResponse({}, 500)]
    librarian = Librarian(client, [FILE], seed=1)
    assert [await librarian.step() for _ in range(3)] == [9.0, INTERVAL, LOOK]

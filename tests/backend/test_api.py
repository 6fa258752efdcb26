"""The service as its clients meet it, with embedded stores and the local AI."""

import asyncio
import json
import math
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.config import Settings
from tests.backend.conftest import indexed, make_settings, sample, started

HANDBOOK = b"""# Lighthouse handbook

## Lamp
The lamp is lit at dusk by the keeper, who trims the wick with brass scissors.

## Fog
In fog the bell is rung every ninety seconds until ships have passed the reef.
"""


async def open_session(client: httpx.AsyncClient, user: str = "alice") -> str:
    answer = await client.post("/api/v1/chat/sessions", headers={"X-User-ID": user})
    assert answer.status_code == 201
    return str(answer.json()["session_id"])


async def ask(client: httpx.AsyncClient, session: str, question: str, **more: Any) -> httpx.Response:
    return await client.post(f"/api/v1/chat/sessions/{session}/messages", json={"content": question, **more})


async def scrape(client: httpx.AsyncClient) -> str:
    return (await client.get("/metrics")).text


def assert_problem(answer: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    """An error answer is a problem, carries the request's id, and says what was wrong."""
    body: dict[str, Any] = answer.json()
    assert answer.status_code == status, body
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    assert all(word in body["detail"] for word in words), body["detail"]
    return body


async def test_a_document_can_be_asked_about_once_it_is_indexed(client: httpx.AsyncClient) -> None:
    job = await indexed(client, "handbook.md", HANDBOOK, "text/markdown")
    assert job["status"] == "completed"
    assert job["chunks"] >= 2
    session = await open_session(client)
    answer = (await ask(client, session, "How often is the bell rung in fog?")).json()
    assert "ninety seconds" in answer["answer"]
    assert answer["sources"][0]["filename"] == "handbook.md"
    assert answer["sources"][0]["title"] == "Lighthouse handbook"
    assert answer["tokens"]["output"] > 0
    assert (await client.delete(f"/api/v1/chat/sessions/{session}")).status_code == 204
    assert_problem(await ask(client, session, "Still there?"), 404, "session")


async def test_a_streamed_answer_is_the_same_answer_in_pieces(client: httpx.AsyncClient) -> None:
    await indexed(client, "handbook.md", HANDBOOK, "text/markdown")
    question = "Who trims the wick?"
    whole = (await ask(client, await open_session(client), question)).json()
    streamed = await ask(client, await open_session(client), question, stream=True)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    events = [block.split("\n") for block in streamed.text.strip().split("\n\n")]
    named = [(lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))) for lines in events]
    assert named[0][0] == "sources"
    assert "".join(data["text"] for name, data in named if name == "token") == whole["answer"]
    assert named[-1][0] == "done"
    assert named[-1][1]["request_id"] == streamed.headers["x-request-id"]


async def test_a_question_that_nothing_answers_is_said_to_be_so_and_counted(client: httpx.AsyncClient) -> None:
    before = sample(await scrape(client), "rag_query_failures_total", reason="no_match")
    answer = (await ask(client, await open_session(client), "zxqv wmtk plorf?")).json()
    assert answer["sources"] == []
    assert answer["answer"]
    assert sample(await scrape(client), "rag_query_failures_total", reason="no_match") == before + 1


async def test_a_rating_counts_once_and_a_second_one_replaces_it(client: httpx.AsyncClient) -> None:
    await indexed(client, "handbook.md", HANDBOOK, "text/markdown")
    message = (await ask(client, await open_session(client), "Who lights the lamp?")).json()["message_id"]
    for score in (1, 5):
        rated = await client.post("/api/v1/feedback", json={"message_id": message, "score": score})
        assert (rated.status_code, rated.json()["score"]) == (201, score)
    await asyncio.sleep(0.6)
    assert sample(await scrape(client), "user_satisfaction_score") == 5
    unknown = {"message_id": str(uuid.uuid4()), "score": 3}
    assert_problem(await client.post("/api/v1/feedback", json=unknown), 404, "message_id")


async def test_gauges_follow_the_stores(client: httpx.AsyncClient) -> None:
    assert math.isnan(sample(await scrape(client), "user_satisfaction_score"))
    first, _ = await open_session(client, "alice"), await open_session(client, "bob")
    await open_session(client, "bob")
    await indexed(client, "handbook.md", HANDBOOK, "text/markdown")
    await asyncio.sleep(0.6)
    text = await scrape(client)
    assert sample(text, "chat_sessions_active") == 3
    assert sample(text, "active_users_total") == 2
    assert sample(text, "indexing_jobs_by_status", status="completed") == 1
    await client.delete(f"/api/v1/chat/sessions/{first}")
    await asyncio.sleep(0.6)
    assert sample(await scrape(client), "chat_sessions_active") == 2


@pytest.mark.parametrize(
    ("name", "content", "kind", "status", "words"),
    [
        ("x.exe", b"MZ", "application/octet-stream", 415, ["pdf"]),
        ("x.txt", b"", "text/plain", 422, ["empty"]),
        ("x.txt", b"caf\xe9", "text/plain", 422, ["UTF-8"]),
        ("x.pdf", b"%PDF-1.4 nonsense", "application/pdf", 422, ["pdf"]),
        ("x.json", b"[" * 5000, "application/json", 422, ["deep"]),
        ("x.txt", b"y" * 2_100_000, "text/plain", 413, []),
    ],
)
async def test_what_cannot_be_indexed_is_refused_with_its_reason(
    tmp_path: Path, name: str, content: bytes, kind: str, status: int, words: list[str]
) -> None:
    async with started(make_settings(tmp_path, max_upload_bytes=2_000_000)) as client:
        answer = await client.post("/api/v1/documents", files={"file": (name, content, kind)})
        assert_problem(answer, status, *words)


async def test_a_full_queue_says_when_to_return(tmp_path: Path) -> None:
    async with started(make_settings(tmp_path, max_queued_jobs=1)) as client:
        fault = {"fault": "vector_store_down", "seconds": 30}  # jobs go back into the queue meanwhile
        assert (await client.put("/internal/faults", json=fault)).status_code == 200
        answers = [
            await client.post("/api/v1/documents", files={"file": (f"{n}.txt", b"text", "text/plain")})
            for n in range(6)
        ]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert_problem(refused[0], 429, "waiting")
        assert int(refused[0].headers["retry-after"]) > 0


async def test_limits_of_questions_and_bodies(settings: Settings, client: httpx.AsyncClient) -> None:
    session = await open_session(client)
    too_long = "x" * (settings.max_question_chars + 1)
    assert_problem(await ask(client, session, too_long), 422, str(settings.max_question_chars))
    assert_problem(await ask(client, session, "x" * settings.max_json_bytes), 413)
    assert_problem(await ask(client, session, "   "), 422)
    assert_problem(await ask(client, str(uuid.uuid4()), "hello?"), 404)
    assert_problem(await ask(client, "not-a-uuid", "hello?"), 422)
    assert_problem(await client.get("/api/v1/indexing/jobs/not-a-uuid"), 422)
    assert_problem(await client.get(f"/api/v1/indexing/jobs/{uuid.uuid4()}"), 404)
    assert_problem(await client.get("/api/v1/documents"), 405)
    assert_problem(await client.get("/api/v1/indexing/jobs?status=wrong"), 422)
    assert_problem(await client.post("/api/v1/documents", content=b"x"), 422)


async def test_an_invalid_value_is_named_but_not_repeated(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/feedback", json={"message_id": "canary-value", "score": 9})
    body = assert_problem(answer, 422)
    assert {error["where"] for error in body["errors"]} == {"body.message_id", "body.score"}
    assert "canary-value" not in answer.text


async def test_an_unknown_field_is_refused_without_its_name(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/api/v1/experience", json={"canary-name": 1, "errors": [{"kind": "script", "x-name": 1}]}
    )
    body = assert_problem(answer, 422)
    assert [error["where"] for error in body["errors"]] == ["body.errors.0.…", "body.…"]
    assert "-name" not in answer.text


async def test_experience_becomes_metrics_and_rubbish_does_not(client: httpx.AsyncClient) -> None:
    def value(text: str) -> tuple[float, float, float]:
        return (
            sample(text, "user_experience_seconds_sum", metric="first_token"),
            sample(text, "user_experience_layout_shift_sum"),
            sample(text, "user_experience_errors_total", kind="script"),
        )

    before = value(await scrape(client))
    report = {
        "measurements": [
            {"metric": "first_token", "value": 0.5},
            {"metric": "cumulative_layout_shift", "value": 0.25},
        ],
        "errors": [{"kind": "script"}],
    }
    assert (await client.post("/api/v1/experience", json=report)).status_code == 204
    after = value(await scrape(client))
    assert tuple(b - a for a, b in zip(before, after, strict=True)) == pytest.approx((0.5, 0.25, 1))
    for rubbish in (
        {"measurements": [{"metric": "first_token", "value": -1}]},
        {"measurements": [{"metric": "first_token", "value": 1e9}]},
        {"measurements": [{"metric": "made_up", "value": 1}]},
        {"measurements": [{"metric": "cumulative_layout_shift", "value": 500}]},
        {"measurements": [{"metric": "first_token", "value": 1}] * 51},
        {"errors": [{"kind": "made_up"}]},
        {"unknown": 1},
    ):
        assert_problem(await client.post("/api/v1/experience", json=rubbish), 422)
    nan = b'{"measurements": [{"metric": "first_token", "value": NaN}]}'
    json_type = {"content-type": "application/json"}
    assert_problem(await client.post("/api/v1/experience", content=nan, headers=json_type), 422)
    assert value(await scrape(client)) == after


@pytest.mark.parametrize(
    ("fault", "reason"), [("ai_down", "embedding"), ("vector_store_down", "vector_store"), ("database_down", None)]
)
async def test_a_part_that_is_away_is_a_503_with_a_time_to_return(
    client: httpx.AsyncClient, fault: str, reason: str | None
) -> None:
    session = await open_session(client)
    before = await scrape(client)
    await client.put("/internal/faults", json={"fault": fault, "seconds": 30})
    answer = await ask(client, session, "Who lights the lamp?")
    assert_problem(answer, 503, fault if fault != "ai_down" else "")
    assert int(answer.headers["retry-after"]) > 0
    if reason:
        failures = "rag_query_failures_total"
        after = await scrape(client)
        assert sample(after, failures, reason=reason) == sample(before, failures, reason=reason) + 1
    assert (await client.delete("/internal/faults")).status_code == 204
    assert (await ask(client, session, "Who lights the lamp?")).status_code == 200


async def test_faults_are_seen_listed_and_end_by_themselves(client: httpx.AsyncClient) -> None:
    await client.put("/internal/faults", json={"fault": "http_errors", "percent": 100, "seconds": 0.5})
    listed = (await client.get("/internal/faults")).json()
    assert [fault["fault"] for fault in listed] == ["http_errors"]
    assert sample(await scrape(client), "faults_active", fault="http_errors") == 1
    assert (await client.get("/api/v1/indexing/jobs")).status_code == 500
    await asyncio.sleep(0.6)
    assert (await client.get("/api/v1/indexing/jobs")).status_code == 200
    assert (await client.get("/internal/faults")).json() == []


async def test_faults_cannot_be_set_where_they_are_not_enabled(tmp_path: Path) -> None:
    async with started(make_settings(tmp_path, faults_enabled=False)) as client:
        assert_problem(await client.put("/internal/faults", json={"fault": "ai_down"}), 404)


async def test_failing_indexing_jobs_are_failed_with_their_reason(client: httpx.AsyncClient) -> None:
    await client.put("/internal/faults", json={"fault": "indexing_failures", "seconds": 30})
    job = await indexed(client, "handbook.md", HANDBOOK, "text/markdown")
    assert job["status"] == "failed"
    assert "indexing_failures" in job["error"]
    jobs = (await client.get("/api/v1/indexing/jobs?status=failed")).json()["jobs"]
    assert [one["id"] for one in jobs] == [job["id"]]


async def test_a_job_that_finds_a_store_away_waits_for_it(client: httpx.AsyncClient) -> None:
    await client.put("/internal/faults", json={"fault": "vector_store_down", "seconds": 1.5})
    start = time.monotonic()
    job = await indexed(client, "handbook.md", HANDBOOK, "text/markdown")
    assert job["status"] == "completed"
    assert time.monotonic() - start > 1
    assert job["attempts"] == 1, "waiting is no attempt"


async def test_a_body_of_another_media_type_is_a_415_that_names_the_right_one(client: httpx.AsyncClient) -> None:
    session = await open_session(client)
    form = await client.post(f"/api/v1/chat/sessions/{session}/messages", data={"content": "Who?"})
    assert_problem(form, 415, "application/json")
    assert_problem(await client.post("/api/v1/documents", json={"file": "x"}), 415, "multipart/form-data")
    wrong = await client.post(f"/api/v1/chat/sessions/{session}/messages", json={"content": 5})
    assert_problem(wrong, 422)
    path, kind = f"/api/v1/chat/sessions/{session}/messages", {"Content-Type": "application/vnd.api+json"}
    assert_problem(await client.post(path, content=b'{"content": 5}', headers=kind), 422)


async def test_a_file_has_at_most_as_many_bytes_as_the_setting_says(tmp_path: Path) -> None:
    async with started(make_settings(tmp_path, max_upload_bytes=1000)) as client:
        for size, status in ((1000, 202), (1001, 413), (20_000, 413)):
            answer = await client.post("/api/v1/documents", files={"file": ("x.txt", b"x" * size)})
            assert answer.status_code == status, answer.text
            if status == 413:
                assert_problem(answer, 413, "1000", "MAX_UPLOAD_BYTES")


async def test_questions_are_answered_without_a_history_where_none_is_wanted(tmp_path: Path) -> None:
    async with started(make_settings(tmp_path, max_history_turns=0)) as client:
        assert (await ask(client, await open_session(client), "Who lights the lamp?")).status_code == 200

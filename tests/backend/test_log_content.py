"""What people say, and what they are told, stands in no line unless LOG_CONTENT asks for it."""

import json
from pathlib import Path

import pytest

from app.core.logging_config import close_logging, configure_logging
from tests.backend.conftest import indexed, make_settings, started

HEADING = "Diagnosis of Anna Bianchi"
DOCUMENT, QUESTION, COMMENT = "The harbour is deep.", "How deep is the harbour of anna@example.org?", "Deep enough."


async def written(folder: Path, log_content: bool) -> str:
    settings = make_settings(folder, log_content=log_content)
    configure_logging(settings)
    try:
        async with started(settings) as client:
            await indexed(client, "harbour.txt", DOCUMENT.encode())
            session = (await client.post("/api/v1/chat/sessions")).json()["session_id"]
            ask = f"/api/v1/chat/sessions/{session}/messages"
            message = (await client.post(ask, json={"content": QUESTION})).json()["message_id"]
            await client.post(ask, json={"content": QUESTION, "stream": True})
            await client.post("/api/v1/feedback", json={"message_id": message, "score": 5, "comment": COMMENT})
    finally:
        close_logging()
    return "".join(path.read_text() for path in settings.log_dir.glob("application.*.log"))


async def test_by_default_no_line_repeats_it(tmp_path: Path) -> None:
    lines = await written(tmp_path, log_content=False)
    assert '"endpoint":"/api/v1/feedback"' in lines
    for text in (DOCUMENT, "How deep", COMMENT, "anna"):
        assert text not in lines


async def test_why_a_document_was_refused_is_told_without_its_headings(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, max_text_chars=5000)
    configure_logging(settings)
    try:
        async with started(settings) as client:
            text = json.dumps({"first": "x" * 4000, HEADING: "y" * 2000})
            job = await indexed(client, "long.json", text.encode(), "application/json")
    finally:
        close_logging()
    assert job["status"] == "failed"
    assert HEADING in job["error"], "who uploaded it is told where"
    lines = "".join(path.read_text() for path in settings.log_dir.glob("application.*.log"))
    assert '"reason":"too_long"' in lines
    assert HEADING not in lines


@pytest.mark.parametrize("what", ["question", "answer", "document", "comment"])
async def test_when_asked_for_each_has_its_line_redacted_as_every_other(tmp_path: Path, what: str) -> None:
    lines = await written(tmp_path, log_content=True)
    own = [line for line in lines.splitlines() if f'"event":"{what}"' in line]
    assert len(own) == (2 if what in ("question", "answer") else 1)
    expected = {"question": "How deep is the harbour of [redacted", "document": DOCUMENT, "comment": COMMENT}
    assert all(expected.get(what, '"content":"') in line for line in own)
    assert "anna" not in lines

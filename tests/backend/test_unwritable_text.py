"""Half a surrogate pair is no text: JSON and a form's charset can carry it, and no store or answer can."""

import httpx
import pytest

from app.core.config import Settings
from app.inbox import create_inbox
from tests.backend.test_api import ask, open_session

JSON = {"Content-Type": "application/json"}


async def test_in_a_comment_it_is_refused(client: httpx.AsyncClient) -> None:
    message = (await ask(client, await open_session(client), "Who lights the lamp?")).json()["message_id"]
    body = f'{{"message_id": "{message}", "score": 3, "comment": "half a \\ud83d smile"}}'
    assert (await client.post("/api/v1/feedback", content=body, headers=JSON)).status_code == 422


@pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape"])
async def test_in_a_file_name_it_is_replaced(client: httpx.AsyncClient, charset: str) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="half \\ud800.txt"\r\n\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    answer = await client.post("/api/v1/documents", content=head + b"A lamp.\r\n--x--\r\n", headers=headers)
    assert (answer.status_code, answer.json()["filename"]) == (202, "half ?.txt")


async def test_in_an_alert_it_is_replaced_and_the_alerts_can_be_read(settings: Settings) -> None:
    body = """{"receiver": "page", "status": "firing", "alerts": [{"status": "firing", "fingerprint": "\\ud800",
        "labels": {"alertname": "half \\ud800"}, "annotations": {"dashboard": "http://g/d/\\udfff"}}]}"""
    transport = httpx.ASGITransport(create_inbox(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://inbox") as client:
        assert (await client.post("/alerts", content=body, headers=JSON)).status_code == 204
        (alert,) = (await client.get("/alerts")).json()
    assert alert["labels"] == {"alertname": "half ?"}

"""The page where the service asks for keys: it has a field for one, and nothing is refused before it was used."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from app.services.access import REFRESH_SECONDS
from scripts.backend_process import BACKEND, BackendProcess
from tests.e2e.browser import CHROMIUM, QUESTION, WITHOUT_CHROMIUM, Backend, Visit, visit

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT_CHROMIUM)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[BackendProcess]:
    with BackendProcess(tmp_path, API_KEYS_REQUIRED="true") as process:
        yield process


def made(service: BackendProcess, scopes: str) -> str:
    """A new key, in the running service's store."""
    command = [sys.executable, "-m", "app.keys", "make", scopes.replace(",", " "), "--scopes", scopes]
    return subprocess.check_output(command, cwd=BACKEND, env={**os.environ, **service.environment}, text=True).strip()


def test_a_key_is_given_once_a_tab_and_everything_works(service: BackendProcess, chromium: Browser) -> None:
    key, admin = made(service, "chat,documents"), made(service, "admin")
    backend, context = Backend(service.address), chromium.new_context()
    with context, visit(context, backend) as someone:
        field, indexed = someone.page.get_by_label("API key"), someone.page.locator("#indexed-list")
        someone.ask(QUESTION)
        expect(someone.page.get_by_role("alert")).to_contain_text("An API key is needed")
        time.sleep(REFRESH_SECONDS)  # until the service has heard of the key
        field.fill(key)
        someone.page.get_by_role("button", name="Use it").click()
        expect(indexed).to_contain_text("Nothing yet")
        someone.index()
        someone.ask(QUESTION)
        answer = someone.last_answer()
        expect(answer.locator(".answer")).to_contain_text("1887")
        answer.get_by_role("radio", name="4").check()
        answer.get_by_role("button", name="Send rating").click()
        expect(answer.get_by_role("status")).to_contain_text("Rated 4 of 5")
        someone.page.reload()
        expect(field).to_have_value(key)
        assert key not in someone.evaluate("Object.values(localStorage).join() + document.cookie")
        elsewhere = context.new_page()
        elsewhere.goto(backend.url)
        expect(elsewhere.get_by_label("API key")).to_have_value("")
        elsewhere.close()
        someone.leave()
        authorized = {"Authorization": f"Bearer {admin}"}
        text = httpx.get(f"{backend.url}/metrics", headers=authorized).text
    assert 'user_experience_seconds_count{metric="first_token"} 1.0' in text
    refused = [line for line in text.splitlines() if line.startswith("http_requests_total") and 'status="401"' in line]
    asked = ['http_requests_total{endpoint="/api/v1/chat/sessions",method="POST",status="401"} 1.0']
    assert [line for line in refused if not line.endswith(" 0.0")] == asked, "the question that was asked without a key"


def test_where_none_is_asked_for_there_is_no_field(someone: Visit) -> None:
    expect(someone.page.locator("#key")).to_be_hidden()

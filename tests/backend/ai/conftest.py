"""What the tests of the AI share."""

from collections.abc import AsyncIterator

import pytest

from tests.backend.ai.fake_openai import FakeOpenAI, fake_openai


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeOpenAI]:
    # A proxy of the environment is not for this machine itself.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with fake_openai() as fake:
        yield fake

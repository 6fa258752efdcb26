"""Providers over HTTP for the tests, and what to ask them."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from app.services.ai.base import AIError, Chunk, Passage, Prompt, Turn
from app.services.ai.http_provider import HttpProvider, azure_api, openai_api
from tests.backend.ai.fake_openai import API_KEY, SECRET_PROMPT, Behaviour, FakeOpenAI

PROMPT = Prompt(
    SECRET_PROMPT,
    [Passage("Runbook", "Delete old backups.")],
    [Turn("user", "Hello"), Turn("assistant", "Good day")],
)


@asynccontextmanager
async def openai(url: str, *, seconds: float = 5.0, **more: object) -> AsyncIterator[HttpProvider]:
    provider = HttpProvider(
        openai_api(f"{url}/v1/", API_KEY),
        chat_model="gpt-test",
        embedding_model="embed-test",
        dimensions=2,
        timeout_seconds=seconds,
        transport=httpx.AsyncHTTPTransport(verify=False),
        **more,  # type: ignore[arg-type]
    )
    try:
        yield provider
    finally:
        await provider.close()


@asynccontextmanager
async def azure(url: str) -> AsyncIterator[HttpProvider]:
    provider = HttpProvider(
        azure_api(url, API_KEY, "chat-deployment", "text-embedding-3-small", "2024-10-21"),
        chat_model="chat-deployment",
        embedding_model="text-embedding-3-small",
        dimensions=2,
        timeout_seconds=5.0,
        transport=httpx.AsyncHTTPTransport(verify=False),
    )
    try:
        yield provider
    finally:
        await provider.close()


async def collect(provider: HttpProvider, prompt: Prompt = PROMPT) -> list[Chunk]:
    return [chunk async for chunk in provider.stream(prompt)]


async def failing(server: FakeOpenAI, behaviour: Behaviour, *, seconds: float = 5.0) -> AIError:
    """The error that a stream ends in, after a look for what must not be in it."""
    server.script = [behaviour]
    async with openai(server.url, seconds=seconds) as provider:
        with pytest.raises(AIError) as caught:
            await asyncio.wait_for(collect(provider), 5)
    return checked(caught.value)


def checked(error: AIError) -> AIError:
    shown = f"{error} {error!r} {''.join(traceback.format_exception(error))}"
    assert SECRET_PROMPT not in shown
    assert API_KEY not in shown
    return error

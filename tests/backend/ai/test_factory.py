"""From settings to a working AI, or to an error that says which setting is wrong."""

import time
from collections.abc import Mapping

import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel, SecretStr

from app.core.faults import Fault, board
from app.services.ai.base import AIError, Passage, Prompt
from app.services.ai.factory import build_ai
from app.services.metrics_service import metrics
from tests.backend.ai.fake_openai import GOOD_ANSWER, FakeOpenAI, refusing, streaming
from tests.backend.ai.scripted import drain

PROMPT = Prompt("How do I free space?", [Passage("Disk", "Delete old backups to free space.")])


class Settings(BaseModel, frozen=True):
    """What the factory reads, with working values."""

    ai_provider: str = "local"
    azure_openai_endpoint: str = "https://name.openai.azure.com"
    azure_openai_key: SecretStr = SecretStr("azure-key")
    azure_openai_deployment: str = "azure-chat"
    azure_openai_embedding_deployment: str = "azure-embedding"
    azure_openai_api_version: str = "2024-10-21"
    openai_base_url: str = "https://api.openai.com/v1"
    openai_api_key: SecretStr = SecretStr("openai-key")
    openai_model: str = "openai-chat"
    openai_embedding_model: str = "openai-embedding"
    ai_embedding_dimensions: int = 64
    ai_timeout_seconds: float = 5.0
    ai_max_attempts: int = 2
    ai_circuit_failures: int = 2
    ai_circuit_reset_seconds: float = 20.0
    ai_prices: Mapping[str, tuple[float, float]] = {"openai-chat": (2.0, 8.0)}


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_without_any_key_the_local_provider_answers() -> None:
    ai = build_ai(Settings())
    assert (ai.name, ai.dimensions) == ("local", 64)
    chunks = await drain(ai.stream(PROMPT))
    assert "Delete old backups" in "".join(chunk.text for chunk in chunks)
    (vector,) = await ai.embed(["a text"])
    assert len(vector) == 64
    await ai.check()
    await ai.close()


async def test_the_ai_can_be_taken_down_on_purpose() -> None:
    ai = build_ai(Settings())
    board.replace([Fault("ai_down", 100, time.time() + 60)])
    try:
        with pytest.raises(AIError, match="ai_down"):
            await ai.embed(["a text"])
    finally:
        board.replace([])
    await ai.embed(["a text"])
    await ai.close()


@pytest.mark.parametrize(
    ("provider", "models"),
    [("azure", ("azure-chat", "azure-embedding")), ("openai", ("openai-chat", "openai-embedding"))],
)
async def test_the_chosen_provider_is_made(provider: str, models: tuple[str, str]) -> None:
    ai = build_ai(Settings(ai_provider=provider))
    assert (ai.name, (ai.chat_model, ai.embedding_model), ai.dimensions) == (provider, models, 64)
    await ai.close()


@pytest.mark.parametrize(
    ("provider", "field"),
    [
        ("azure", "azure_openai_endpoint"),
        ("azure", "azure_openai_key"),
        ("azure", "azure_openai_deployment"),
        ("azure", "azure_openai_embedding_deployment"),
        ("azure", "azure_openai_api_version"),
        ("openai", "openai_base_url"),
        ("openai", "openai_api_key"),
        ("openai", "openai_model"),
        ("openai", "openai_embedding_model"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(provider: str, field: str) -> None:
    empty = SecretStr(" ") if field.endswith("key") else ""
    settings = Settings(ai_provider=provider).model_copy(update={field: empty})
    with pytest.raises(ValueError, match=f"{field.upper()} is empty.*AI_PROVIDER={provider}.*set it"):
        build_ai(settings)


@pytest.mark.parametrize("address", ["name.openai.azure.com", "ftp://name", "https://"])
def test_an_address_that_is_none_is_named(address: str) -> None:
    with pytest.raises(ValueError, match="AZURE_OPENAI_ENDPOINT is not an address"):
        build_ai(Settings(ai_provider="azure", azure_openai_endpoint=address))


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_no_header_may_hold_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="OPENAI_API_KEY holds characters") as caught:
        build_ai(Settings(ai_provider="openai", openai_api_key=SecretStr(key)))
    assert key not in str(caught.value)


def test_a_provider_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="AI_PROVIDER is 'magic'; set it to local, azure or openai"):
        build_ai(Settings(ai_provider="magic"))


async def test_a_key_from_a_file_may_end_in_a_line_break(server: FakeOpenAI) -> None:
    server.script = [streaming(GOOD_ANSWER)]
    ai = build_ai(Settings(ai_provider="openai", openai_base_url=server.url, openai_api_key=SecretStr("k\n")))
    await drain(ai.stream(PROMPT))
    await ai.close()
    assert server.requests[0].headers["authorization"] == "Bearer k"


async def test_everything_is_joined_to_the_metrics(server: FakeOpenAI) -> None:
    metrics.prepare_ai("openai-chat", "openai-embedding")
    before = value("ai_retries_total", model="openai-chat", reason="server_error")
    cost = value("ai_cost_usd_total", model="openai-chat")
    server.script = [refusing(500), streaming(GOOD_ANSWER), refusing(500), refusing(500)]
    ai = build_ai(
        Settings(ai_provider="openai", openai_base_url=server.url), extra_headers=lambda: {"X-Request-ID": "abc"}
    )
    await drain(ai.stream(PROMPT))
    assert value("ai_retries_total", model="openai-chat", reason="server_error") == before + 1
    assert value("ai_cost_usd_total", model="openai-chat") == pytest.approx(cost + (11 * 2 + 3 * 8) / 1e6)
    assert server.requests[0].headers["x-request-id"] == "abc"
    with pytest.raises(AIError):
        await drain(ai.stream(PROMPT))
    assert value("ai_circuit_state", model="openai-chat", state="open") == 1
    await ai.close()

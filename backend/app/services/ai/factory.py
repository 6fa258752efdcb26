"""Makes the AI that the settings ask for."""

from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from app.services.ai.base import AIProvider
from app.services.ai.faulty import FaultyProvider
from app.services.ai.http_provider import HttpProvider, azure_api, openai_api
from app.services.ai.local import LocalProvider
from app.services.ai.resilience import Limits, ResilientProvider
from app.services.ai.service import AIService
from app.services.metrics_service import metrics

#: A whole call, with its retries and the length of its stream, may take so many times AI_TIMEOUT_SECONDS.
WHOLE_CALL = 4


class AISettings(Protocol):
    """What this module reads of the settings; `app.core.config` says what each means."""

    @property
    def ai_provider(self) -> str: ...
    @property
    def azure_openai_endpoint(self) -> str: ...
    @property
    def azure_openai_key(self) -> SecretStr: ...
    @property
    def azure_openai_deployment(self) -> str: ...
    @property
    def azure_openai_embedding_deployment(self) -> str: ...
    @property
    def azure_openai_api_version(self) -> str: ...
    @property
    def openai_base_url(self) -> str: ...
    @property
    def openai_api_key(self) -> SecretStr: ...
    @property
    def openai_model(self) -> str: ...
    @property
    def openai_embedding_model(self) -> str: ...
    @property
    def ai_embedding_dimensions(self) -> int: ...
    @property
    def ai_timeout_seconds(self) -> float: ...
    @property
    def ai_max_attempts(self) -> int: ...
    @property
    def ai_circuit_failures(self) -> int: ...
    @property
    def ai_circuit_reset_seconds(self) -> float: ...
    @property
    def ai_prices(self) -> Mapping[str, tuple[float, float]]: ...


def build_ai(settings: AISettings, extra_headers: Callable[[], Mapping[str, str]] = dict) -> AIService:
    """The service over the provider of `AI_PROVIDER`, guarded by time limits, retries and circuits.

    `extra_headers` is asked before each call to a provider over HTTP, for headers that join it to the request at
    hand. Raises `ValueError` that names the variable that is missing or wrong, and what to do.
    """
    seconds = settings.ai_timeout_seconds
    guarded = ResilientProvider(
        FaultyProvider(_provider(settings, extra_headers)),
        Limits(seconds, seconds, seconds * WHOLE_CALL, settings.ai_max_attempts),
        settings.ai_circuit_failures,
        settings.ai_circuit_reset_seconds,
        metrics.track_ai_retry,
        metrics.set_ai_circuit,
    )
    return AIService(guarded, settings.ai_prices)


def _provider(settings: AISettings, extra_headers: Callable[[], Mapping[str, str]]) -> AIProvider:
    kind, dimensions, seconds = settings.ai_provider, settings.ai_embedding_dimensions, settings.ai_timeout_seconds
    if kind == "local":
        return LocalProvider(dimensions)
    if kind == "azure":
        chat_model = _given("AZURE_OPENAI_DEPLOYMENT", settings.azure_openai_deployment, kind)
        embedding_model = _given("AZURE_OPENAI_EMBEDDING_DEPLOYMENT", settings.azure_openai_embedding_deployment, kind)
        api = azure_api(
            _address("AZURE_OPENAI_ENDPOINT", settings.azure_openai_endpoint, kind),
            _key("AZURE_OPENAI_KEY", settings.azure_openai_key, kind),
            chat_model,
            embedding_model,
            _given("AZURE_OPENAI_API_VERSION", settings.azure_openai_api_version, kind),
        )
    elif kind == "openai":
        chat_model = _given("OPENAI_MODEL", settings.openai_model, kind)
        embedding_model = _given("OPENAI_EMBEDDING_MODEL", settings.openai_embedding_model, kind)
        api = openai_api(
            _address("OPENAI_BASE_URL", settings.openai_base_url, kind),
            _key("OPENAI_API_KEY", settings.openai_api_key, kind),
        )
    else:
        raise ValueError(f"AI_PROVIDER is {kind!r}; set it to local, azure or openai")
    return HttpProvider(api, chat_model, embedding_model, dimensions, seconds, extra_headers)


def _given(variable: str, value: str, provider: str) -> str:
    if not value.strip():
        raise ValueError(
            f"{variable} is empty, but AI_PROVIDER={provider} needs it: set it, or choose AI_PROVIDER=local"
        )
    return value.strip()


def _address(variable: str, value: str, provider: str) -> str:
    address = _given(variable, value, provider)
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{variable} is not an address: set it to one that begins with https:// (or http://)")
    return address


def _key(variable: str, value: SecretStr, provider: str) -> str:
    # A key read from a file often ends in a line break, which no header may hold.
    key = _given(variable, value.get_secret_value(), provider)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"{variable} holds characters that no key has: copy it again, without spaces or quotes")
    return key

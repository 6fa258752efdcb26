"""Azure OpenAI, and any server that speaks OpenAI's protocol, over one HTTP client."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from app.services.ai import wire
from app.services.ai.base import AIError, Chunk, Embeddings, ErrorReason, Prompt, Usage
from app.services.ai.prompting import estimate_tokens, estimate_usage, messages

#: Longest wait for a connection (seconds): a host that is there answers in far less.
CONNECT_SECONDS = 5.0
#: How long an idle connection is kept (seconds); httpx's own 5 would mean a new TLS handshake for most questions.
KEEP_SECONDS = 30.0
#: The family of models that shortens its embeddings on request; others refuse the parameter.
SHORTENS = "text-embedding-3"


@dataclass(frozen=True, slots=True)
class Api:
    """Where a provider's calls go, and how they are signed."""

    name: str
    where: wire.Where
    chat_url: str
    embeddings_url: str
    models_url: str
    headers: Mapping[str, str] = field(repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    #: Whether the body names the model; in Azure the deployment in the address does.
    names_model: bool = True


def azure_api(endpoint: str, key: str, deployment: str, embedding_deployment: str, api_version: str) -> Api:
    """Azure OpenAI: `endpoint` is the resource's (https://NAME.openai.azure.com), a deployment names a model.

    Usage in streams needs `api_version` 2024-09-01-preview or later.
    """
    base = f"{endpoint.rstrip('/')}/openai"
    return Api(
        name="azure",
        where=wire.Where(
            _host(endpoint),
            "AZURE_OPENAI_KEY",
            "AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_VERSION",
            "AZURE_OPENAI_DEPLOYMENT, AZURE_OPENAI_EMBEDDING_DEPLOYMENT",
        ),
        chat_url=f"{base}/deployments/{deployment}/chat/completions",
        embeddings_url=f"{base}/deployments/{embedding_deployment}/embeddings",
        models_url=f"{base}/models",
        headers={"api-key": key},
        params={"api-version": api_version},
        names_model=False,
    )


def openai_api(base_url: str, key: str) -> Api:
    """OpenAI or a server like it: `base_url` goes up to the version, as in https://api.openai.com/v1."""
    base = base_url.rstrip("/")
    return Api(
        name="openai",
        where=wire.Where(_host(base_url), "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL, OPENAI_EMBEDDING_MODEL"),
        chat_url=f"{base}/chat/completions",
        embeddings_url=f"{base}/embeddings",
        models_url=f"{base}/models",
        headers={"Authorization": f"Bearer {key}"},
    )


class HttpProvider:
    """A provider behind HTTP. One client, so that connections are used again.

    `timeout_seconds` bounds each wait for bytes, not a whole call. `extra_headers` is asked before each call, for
    what joins it to the request at hand (X-Request-ID, traceparent). A given `transport` goes past any proxy that
    the environment names.
    """

    def __init__(
        self,
        api: Api,
        chat_model: str,
        embedding_model: str,
        dimensions: int,
        timeout_seconds: float,
        extra_headers: Callable[[], Mapping[str, str]] = dict,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = api.name
        self.chat_model, self.embedding_model, self.dimensions = chat_model, embedding_model, dimensions
        self._api, self._extra_headers = api, extra_headers
        self._client = httpx.AsyncClient(
            headers=api.headers,
            params=api.params,
            timeout=httpx.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEEP_SECONDS),
            # Nothing that a provider hands out in one user's call goes along in another's.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            transport=transport,
        )

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Vectors of these texts, of exactly `dimensions` numbers each."""
        body: dict[str, Any] = {"input": list(texts)}
        if self._api.names_model:
            body["model"] = self.embedding_model
        if SHORTENS in self.embedding_model:
            body["dimensions"] = self.dimensions
        answer = await self._call("POST", self._api.embeddings_url, body)
        vectors, usage = wire.embeddings(answer, len(texts), self._api.where)
        odd = next((len(vector) for vector in vectors if len(vector) != self.dimensions), None)
        if odd is not None:
            raise AIError(
                "client_error",
                f"{self.embedding_model} gives embeddings of {odd} numbers where {self.dimensions} are expected; "
                f"set AI_EMBEDDING_DIMENSIONS={odd} and index the documents again",
            )
        return Embeddings(vectors, usage or Usage(input_tokens=estimate_tokens(*texts)))

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """The answer as the model writes it. Where the server counts no tokens, they are estimated."""
        body: dict[str, Any] = {
            "messages": messages(prompt),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._api.names_model:
            body["model"] = self.chat_model
        written: list[str] = []
        finish_reason: str | None = None
        usage: Usage | None = None
        with self._failing_as("connection"):
            request = self._client.stream("POST", self._api.chat_url, json=body, headers=self._extra_headers())
            async with request as response:
                self._raise_for_status(response)
                with self._failing_as("protocol"):
                    async for data in wire.events(response, self._api.where):
                        delta = wire.delta(data, self._api.where)
                        finish_reason = delta.finish_reason or finish_reason
                        usage = delta.usage or usage
                        if delta.text:
                            written.append(delta.text)
                            yield Chunk(delta.text)
        if finish_reason is None:
            raise AIError("protocol", f"{self._api.where.host} broke off in the middle of its answer")
        # After the response is closed, so that closing this generator here does not cost the connection.
        yield Chunk(finish_reason=finish_reason, usage=usage or estimate_usage(prompt, "".join(written)))

    async def check(self) -> None:
        """Asks for the list of models, which is free and needs the key."""
        wire.model_list(await self._call("GET", self._api.models_url), self._api.where)

    async def close(self) -> None:
        """Closes the client and its connections."""
        await self._client.aclose()

    async def _call(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> bytes:
        with self._failing_as("connection"):
            response = await self._client.request(method, url, json=body, headers=self._extra_headers())
        self._raise_for_status(response)
        return response.content

    def _raise_for_status(self, response: httpx.Response) -> None:
        error = wire.status_error(response, self._api.where)
        if error:
            raise error

    @contextmanager
    def _failing_as(self, reason: ErrorReason) -> Iterator[None]:
        """Turns httpx's errors into ours: a timeout, or else this reason.

        `from None`, because h11 quotes a header that it refuses, and that may be the key.
        """
        where = self._api.where
        try:
            yield
        except httpx.TimeoutException as error:
            raise AIError("timeout", f"{where.host} did not answer in time ({type(error).__name__})") from None
        except httpx.RequestError as error:
            kind = type(error).__name__
            if reason == "connection":
                text = f"No connection to {where.host} ({kind}); check that it runs, and {where.address}"
            else:
                text = f"{where.host} broke off in the middle of its answer ({kind})"
            raise AIError(reason, text) from None


def _host(url: str) -> str:
    # Without the name and password that an address may hold.
    return httpx.URL(url).netloc.decode("ascii")

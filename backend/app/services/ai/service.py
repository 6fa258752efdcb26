"""The AI as the rest of the service sees it: embeds, answers, and measures itself."""

import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Literal

from opentelemetry.trace import Span, SpanKind

from app.core.spans import SpanOrder, apart, in_span, within
from app.services.ai.base import AIError, AIProvider, Chunk, Prompt, Usage
from app.services.metrics_service import metrics

#: Texts in one call. OpenAI takes 2,048 and 300,000 tokens; a time limit should hold less than it can.
EMBED_BATCH = 128
#: What the conventions call a provider, where that is not our name for it.
PROVIDERS = {"azure": "azure.ai.openai"}


class AIService:
    """One provider, with every call counted, timed and priced.

    `prices` gives USD per million tokens, (input, output), by model; a model without a price costs nothing.
    Every method raises `AIError` and nothing else.
    """

    def __init__(self, provider: AIProvider, prices: Mapping[str, tuple[float, float]]) -> None:
        self._provider, self._prices = provider, prices

    @property
    def name(self) -> str:
        """`local`, `azure` or `openai`."""
        return self._provider.name

    @property
    def chat_model(self) -> str:
        """The model that answers."""
        return self._provider.chat_model

    @property
    def embedding_model(self) -> str:
        """The model that embeds."""
        return self._provider.embedding_model

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self._provider.dimensions

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in their order; any number of texts."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), EMBED_BATCH):
            with (
                in_span(*self._span(self.embedding_model, "embeddings")) as span,
                self._measured(self.embedding_model, "embedding", span) as usages,
            ):
                embeddings = await self._provider.embed(texts[start : start + EMBED_BATCH])
                usages.append(embeddings.usage)
            vectors += embeddings.vectors
        return vectors

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """The answer, piece by piece. Whoever stops reading closes it (`aclosing`): that is no error."""
        waiting = True
        with (
            apart(*self._span(self.chat_model, "chat")) as span,
            self._measured(self.chat_model, "chat", span) as usages,
        ):
            started = time.perf_counter()  # after the whole call's clock, or the part could be longer than the whole
            async with aclosing(self._provider.stream(prompt)) as made, aclosing(within(span, made)) as chunks:
                async for chunk in chunks:
                    if waiting and chunk.text:
                        waiting = False
                        metrics.track_first_token(self.chat_model, time.perf_counter() - started)
                    if chunk.usage:
                        usages.append(chunk.usage)
                    if chunk.finish_reason:
                        span.set_attribute("gen_ai.response.finish_reasons", (chunk.finish_reason,))
                    yield chunk

    async def check(self) -> None:
        """Raises `AIError` unless the provider answers. Costs no tokens."""
        await self._provider.check()

    async def close(self) -> None:
        """Gives back connections."""
        await self._provider.close()

    @contextmanager
    def _measured(self, model: str, kind: Literal["chat", "embedding"], span: Span) -> Iterator[list[Usage]]:
        """Around one call, which puts its usage into the list: counts it however it ends, given up included."""
        started = time.perf_counter()
        usages: list[Usage] = []
        try:
            yield usages
        except AIError as error:
            metrics.track_ai_error(model, kind, error.reason)
            raise
        finally:
            metrics.track_ai_request(model, kind, time.perf_counter() - started, sum(usage.total for usage in usages))
            for usage in usages:
                metrics.track_ai_usage(model, usage.input_tokens, usage.output_tokens, self._cost(model, usage))
                span.set_attribute("gen_ai.usage.input_tokens", usage.input_tokens)
                if kind == "chat":
                    span.set_attribute("gen_ai.usage.output_tokens", usage.output_tokens)

    def _span(self, model: str, operation: str) -> SpanOrder:
        """A model call's span, by OpenTelemetry's conventions for generative AI: never what was asked or answered."""
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": model,
            "gen_ai.provider.name": PROVIDERS.get(self.name, self.name),
        }
        return f"{operation} {model}", SpanKind.CLIENT, attributes

    def _cost(self, model: str, usage: Usage) -> float:
        input_price, output_price = self._prices.get(model, (0.0, 0.0))
        return (usage.input_tokens * input_price + usage.output_tokens * output_price) / 1_000_000

"""What every AI provider offers, and the words in which it fails."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

#: Bounded, because it is a metric label (`ai_errors_total{reason}`).
ErrorReason = Literal[
    "timeout",
    "rate_limited",
    "server_error",
    "client_error",
    "connection",
    "protocol",
    "circuit_open",
    "injected",
]


class AIError(Exception):
    """A provider could not do what was asked.

    `reason` is one of `ErrorReason`; `retry_after` is the provider's own wish in seconds, if it gave one.
    `misconfigured`: the key, the address or the model is wrong, and no request of its kind would do better.
    The message never holds the provider's body, which may quote the prompt.
    """

    def __init__(
        self, reason: ErrorReason, message: str, retry_after: float | None = None, *, misconfigured: bool = False
    ) -> None:
        super().__init__(message)
        self.reason: ErrorReason = reason
        self.retry_after = retry_after
        self.misconfigured = misconfigured

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed a moment later, so that a retry makes sense."""
        return self.reason in ("timeout", "rate_limited", "server_error", "connection")

    @property
    def worth_waiting(self) -> bool:
        """Whether this is about the provider and not about the request, so that background work should wait."""
        return self.transient or self.misconfigured or self.reason in ("circuit_open", "injected")


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved piece of a document: the material an answer is made from."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of the conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question with what was retrieved for it and what was said before, oldest first."""

    question: str
    passages: Sequence[Passage] = ()
    history: Sequence[Turn] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the provider counts them."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector a text, in the order asked, each of the provider's `dimensions`."""

    vectors: list[list[float]]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer. The last one has `finish_reason` and `usage`, and may have no text."""

    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None


class AIProvider(Protocol):
    """A model that embeds and answers. Implementations raise `AIError` and nothing else."""

    #: `local`, `azure` or `openai`: the `gen_ai.provider.name` of a span.
    name: str
    #: Model names, from the settings: they are metric labels, so never a client's choice.
    chat_model: str
    embedding_model: str
    #: Length of an embedding.
    dimensions: int

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Vectors of these texts."""
        ...

    def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """The answer, piece by piece. Every answer is streamed; who wants it whole collects it.

        Who stops early closes it (`aclosing`), which ends the provider's work too.
        """
        ...

    async def check(self) -> None:
        """Raises `AIError` unless the provider answers. Costs no tokens."""
        ...

    async def close(self) -> None:
        """Gives back connections."""
        ...

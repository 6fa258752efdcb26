"""Where lines and spans are read from: Loki and Tempo where they run, else the files that they would be fed from."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from scripts.find.model import Line, Span

#: More lines of one question are not fetched: what Loki gives in one answer at most.
MAX_LINES = 5000


@dataclass(frozen=True)
class Reach:
    """From when and until when a store has data, in Unix seconds; None where it has none, or cannot tell."""

    oldest: float | None
    newest: float | None


class LogSource(Protocol):
    """Log lines. Every method raises SourceError when the store does not answer."""

    name: str

    def lines(self, identities: Collection[str], since: float) -> list[Line]:
        """Lines whose request id or trace id is one of these, not older than `since` (Unix seconds)."""
        ...

    def failures(self, since: float) -> list[Line]:
        """Lines that tell of a failure, not older than `since`."""
        ...

    def reach(self) -> Reach:
        """How far the data reaches."""
        ...

    def remarks(self) -> list[str]:
        """What a person should know of what was read so far."""
        ...


class TraceSource(Protocol):
    """Spans. Every method raises SourceError when the store does not answer."""

    name: str

    def spans(self, requests: Collection[str], traces: Collection[str], since: float) -> list[Span]:
        """Every span of these traces, and of the traces that serve or follow from these requests."""
        ...

    def reach(self) -> Reach:
        """How far the data reaches."""
        ...

    def remarks(self) -> list[str]:
        """What a person should know of what was read so far."""
        ...

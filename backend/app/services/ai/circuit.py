"""A circuit breaker: a provider that keeps failing is left alone for a while, instead of being waited for each time.

Written out, because the libraries looked at (circuitbreaker 2.1, purgatory 3.0) let every waiting call through at once
when they try again, take no clock, and purgatory judges by the wall clock, which may jump.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from app.services.ai.base import AIError, ErrorReason

CircuitState = Literal["closed", "open", "half_open"]

#: What says that the provider is not there. A refusal (4xx, a rate limit too) says that it is.
FAILURES: frozenset[ErrorReason] = frozenset(("timeout", "server_error", "connection", "protocol", "injected"))


class Circuit:
    """Closed at first; open after `failures` failed calls in a row; after `reset_seconds` half open: a single call
    is let through, whose end closes it or opens it again.

    `clock` gives seconds and never goes back; `on_state` hears of each new state.
    """

    def __init__(
        self, failures: int, reset_seconds: float, clock: Callable[[], float], on_state: Callable[[CircuitState], None]
    ) -> None:
        self._limit, self._reset_seconds = failures, reset_seconds
        self._clock, self._on_state = clock, on_state
        self.state: CircuitState = "closed"
        self._failed = 0
        self._opened_at = 0.0
        # Counts the changes of state, so that a call that began before the last one has no say any more.
        self._era = 0

    @contextmanager
    def call(self) -> Iterator[int]:
        """Around a call until its first sign of life. Yields its era, for `succeeded` and `failed` later on.

        Raises `AIError` (`circuit_open`, with the seconds to wait) instead of letting the call through.
        """
        era = self._enter()
        try:
            yield era
        except AIError as error:
            self.failed(era, error)
            raise
        except BaseException:
            # Cancelled: that says nothing about the provider. The next call may try in this one's place.
            if era == self._era and self.state == "half_open":
                self._change("open")
            raise
        if era == self._era and self.state == "half_open":
            self._change("closed")

    def succeeded(self, era: int) -> None:
        """A call has come to a good end."""
        if era == self._era:
            self._failed = 0

    def failed(self, era: int, error: AIError) -> None:
        """A call has ended in this error."""
        if era != self._era:
            return
        if error.reason not in FAILURES:
            self._failed = 0
            if self.state == "half_open":
                self._change("closed")
            return
        self._failed += 1
        if self.state == "half_open" or self._failed >= self._limit:
            self._opened_at = self._clock()
            self._change("open")

    def _enter(self) -> int:
        if self.state == "closed":
            return self._era
        wait = self._opened_at + self._reset_seconds - self._clock()
        if self.state == "half_open" or wait > 0:
            raise AIError(
                "circuit_open",
                "The AI provider failed too often and is left alone for now: see ai_errors_total for the reason, "
                f"or try again in {max(wait, 1):.0f} s",
                retry_after=max(wait, 1.0),
            )
        self._change("half_open")
        return self._era

    def _change(self, state: CircuitState) -> None:
        self.state = state
        self._failed = 0
        self._era += 1
        self._on_state(state)

"""What happened in a run, counted in bounded memory however long it lasts."""

import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

#: Kinds of request, in the order of the summary.
Kind = Literal[
    "health",
    "upload",
    "job status",
    "open session",
    "question",
    "streamed question",
    "feedback",
    "experience",
    "close session",
    "bad request",
]

#: The newest times that quantiles are computed from, of each kind.
TIMES_KEPT = 5_000
#: The last failures that the summary names, one of each kind and label: five of a kind say no more than one.
FAILURES_KEPT = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request: what became of it (`label`: a status, or why there is none) and its time in seconds.

    `problem` says what was wrong, and is empty when the answer was what was to be expected.
    """

    kind: Kind
    label: str
    seconds: float
    request_id: str
    problem: str = ""


@dataclass(slots=True)
class Tally:
    """A run's counts. Whoever makes something happen counts it here."""

    labels: dict[str, Counter[str]] = field(default_factory=dict)
    times: dict[str, deque[float]] = field(default_factory=dict)
    failures: list[Outcome] = field(default_factory=list)
    sent: int = 0
    errors: int = 0
    #: Times since the last progress line.
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=TIMES_KEPT))
    first_tokens: deque[float] = field(default_factory=lambda: deque(maxlen=TIMES_KEPT))
    answers: Counter[str] = field(default_factory=Counter)
    scores: Counter[int] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)
    indexed: int = 0
    indexing_failed: int = 0
    sessions_opened: int = 0
    sessions_closed: int = 0
    #: Streams that a user left on purpose.
    abandoned: int = 0
    #: Answers 429 or 503 that named a time to wait.
    told_to_wait: int = 0
    #: Arrivals left out because as many requests as allowed were under way.
    skipped_busy: int = 0
    #: Arrivals left out because this program itself was late.
    skipped_late: int = 0

    def add(self, outcome: Outcome) -> None:
        """Counts one request."""
        self.sent += 1
        self.labels.setdefault(outcome.kind, Counter())[outcome.label] += 1
        self.times.setdefault(outcome.kind, deque(maxlen=TIMES_KEPT)).append(outcome.seconds)
        self.recent.append(outcome.seconds)
        if outcome.problem:
            self.errors += 1
            others = [one for one in self.failures if (one.kind, one.label) != (outcome.kind, outcome.label)]
            self.failures = [*others, outcome][-FAILURES_KEPT:]

    @property
    def skipped(self) -> int:
        """Arrivals left out, for whichever reason."""
        return self.skipped_busy + self.skipped_late


def quantile(values: Iterable[float], share: float) -> float:
    """The value that this share (0 to 1) of the values does not exceed; not a number when there are none."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if share > 0 else ordered[0]

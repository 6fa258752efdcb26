"""The numbers at which a panel changes its colour, each in one place.

Where an alert watches the same thing, its rule uses the same number: a panel that is red without an alert,
or the other way round, teaches people to trust neither.
"""

from dataclasses import dataclass
from typing import Final

# Okabe and Ito's palette: told apart with every common kind of colour blindness, on dark and on light.
GOOD: Final = "#009E73"
WARNING: Final = "#E69F00"
BAD: Final = "#D55E00"
NEUTRAL: Final = "#56B4E9"
OTHER: Final = "#CC79A7"
DEEP: Final = "#0072B2"
MUTED: Final = "#999999"


@dataclass(frozen=True)
class Limits:
    """Colours from a value upwards: the base colour, then (value, colour) in rising order of value."""

    base: str = NEUTRAL
    steps: tuple[tuple[float, str], ...] = ()


NONE: Final = Limits()


def too_high(warning: float, bad: float | None = None) -> Limits:
    """Good below `warning`; bad from `bad` on, when there is such a value."""
    steps = ((warning, WARNING),) if bad is None else ((warning, WARNING), (bad, BAD))
    return Limits(GOOD, steps)


def too_low(bad: float, warning: float, lowest: float | None = None) -> Limits:
    """Bad below `bad`, a warning up to `warning`, good from there on.

    A dial writes "no data" in the base colour: with the `lowest` value that there can be, that is not the bad one.
    """
    steps = ((bad, WARNING), (warning, GOOD))
    return Limits(BAD, steps) if lowest is None else Limits(MUTED, ((lowest, BAD), *steps))


# Share of scraped replicas, 0 to 1. All of them is the only good value; anything above none is "partly".
REPLICAS_UP: Final = Limits(BAD, ((0.001, WARNING), (1.0, GOOD)))

# Seconds, 95th percentile. The specification's alert HighResponseTime.
RESPONSE_SECONDS: Final = too_high(2.0)

# Share of requests, 0 to 1. One in a hundred spends a 99 % objective; at one in twenty people notice.
ERROR_RATIO: Final = too_high(0.01, 0.05)

# Share of questions for which something fitting was found and answered, 0 to 1.
RAG_SUCCESS: Final = too_low(0.80, 0.90, lowest=0.0)

# Seconds, 95th percentile; both are bounds of the histogram's buckets, between which a quantile is a guess.
# Beyond one second a reader thinks that nothing happens.
FIRST_TOKEN_SECONDS: Final = too_high(1.0, 2.0)

# Seconds, 95th percentile; bounds of buckets too. A search is one part of an answer that may take two seconds.
VECTOR_SEARCH_SECONDS: Final = too_high(0.1, 0.5)

# Mean score, 1 to 5. Below "neither good nor bad" people are dissatisfied.
SATISFACTION: Final = too_low(3.0, 3.5)

# The colours of the three quantiles, on every panel that shows them.
QUANTILES: Final = {"p50": NEUTRAL, "p95": WARNING, "p99": BAD}

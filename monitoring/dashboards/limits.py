"""The numbers at which a panel changes its colour.

Where an alert watches the same thing, the number is read from its rule in prometheus/rules/: a panel that is red
without an alert, or the other way round, teaches people to trust neither.
"""

from dataclasses import dataclass
from typing import Final

from monitoring import slo
from monitoring.rules import limit

# Okabe and Ito's palette: told apart with every common kind of colour blindness, on dark and on light.
GOOD: Final = "#009E73"
WARNING: Final = "#E69F00"
BAD: Final = "#D55E00"
NEUTRAL: Final = "#56B4E9"
OTHER: Final = "#CC79A7"
DEEP: Final = "#0072B2"
MUTED: Final = "#999999"
PALETTE: Final = frozenset({GOOD, WARNING, BAD, NEUTRAL, OTHER, DEEP, MUTED})


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
RESPONSE_SECONDS: Final = too_high(limit("HighResponseTime"))

# Share of requests, 0 to 1: what spends the availability objective's budget as fast as it lasts, and HighErrorRate.
ERROR_RATIO: Final = too_high(slo.load().objectives[0].budget, limit("HighErrorRate"))

# Share of questions for which something fitting was found and answered, 0 to 1.
RAG_SUCCESS: Final = too_low(limit("RagSuccessLow"), 0.90, lowest=0.0)

# Seconds, 95th percentile; both are bounds of the histogram's buckets, between which a quantile is a guess.
# Beyond one second a reader thinks that nothing happens.
FIRST_TOKEN_SECONDS: Final = too_high(1.0, limit("AIFirstTokenSlow"))

# Seconds, 95th percentile; bounds of buckets too. A search is one part of an answer that may take two seconds.
VECTOR_SEARCH_SECONDS: Final = too_high(0.1, limit("VectorSearchSlow"))

# Mean score, 1 to 5. Below "neither good nor bad" people are dissatisfied.
SATISFACTION: Final = too_low(limit("UserSatisfactionFalling"), 3.5)

# US dollars within 30 days: nobody's budget but an example's. Put yours here; AICostRunningAway watches the hour.
MONTHLY_BUDGET_USD: Final = 100.0
COST_OF_MONTH: Final = too_high(0.8 * MONTHLY_BUDGET_USD, MONTHLY_BUDGET_USD)

# Seconds, 95th percentile: the loop's own lag. The alert EventLoopBlocked.
LOOP_LAG_SECONDS: Final = too_high(limit("EventLoopBlocked"))

# The colours of the three quantiles, on every panel that shows them.
QUANTILES: Final = {"p50": NEUTRAL, "p95": WARNING, "p99": BAD}

"""PromQL that repeats, in the one form in which it is right.

Windows are `$__rate_interval` for what is drawn over time (it always holds at least four scrapes) and
`$__range` for a single number over the time that is shown.
"""

from typing import Final

# Every series of the backend, of the replicas that are chosen at the top of the page.
BACKEND: Final = 'job="backend", instance=~"$instance"'

# What people and programs ask for; probes and scrapes would otherwise pull every quantile and ratio to
# their own side as soon as there is little traffic.
REAL_TRAFFIC: Final = 'endpoint!~"/health.*|/metrics|/internal/.*"'


def select(metric: str, *matchers: str) -> str:
    """A selector for one metric of the chosen replicas."""
    return f"{metric}{{{', '.join((BACKEND, *matchers))}}}"


def _aggregate(operation: str, by: tuple[str, ...], inner: str) -> str:
    return f"{operation} by ({', '.join(by)}) ({inner})" if by else f"{operation}({inner})"


def per_second(counter: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """How fast a counter grows, per second, summed over the replicas."""
    return _aggregate("sum", by, f"rate({select(counter, *matchers)}[$__rate_interval])")


def in_shown_time(counter: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """How much a counter grew within the shown time, summed over the replicas. For instant queries."""
    return _aggregate("sum", by, f"increase({select(counter, *matchers)}[$__range])")


def quantile(share: float, histogram: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """A quantile over all replicas together; nothing, rather than NaN, where nothing was observed."""
    buckets = per_second(f"{histogram}_bucket", *matchers, by=("le", *by))
    return f"histogram_quantile({share}, {buckets}) >= 0"


def quantile_in_shown_time(share: float, histogram: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """A quantile of all that was observed within the shown time. For instant queries."""
    return f"histogram_quantile({share}, {in_shown_time(f'{histogram}_bucket', *matchers, by=('le', *by))}) >= 0"


def bucket_counts(histogram: str, *matchers: str) -> str:
    """Observations in each bucket within the window, for a heatmap."""
    return _aggregate("sum", ("le",), f"increase({select(f'{histogram}_bucket', *matchers)}[$__rate_interval])")


def share(part: str, whole: str) -> str:
    """Part of a whole, 0 to 1; nothing, rather than NaN, where the whole is nothing."""
    return f"({part} or vector(0)) / ({whole} > 0)"


def shared(gauge: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """A gauge that every replica computes from the shared store: each shows the whole, so none is added."""
    return _aggregate("max", by, select(gauge, *matchers))

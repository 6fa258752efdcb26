"""PromQL that repeats, in the one form in which it is right.

Windows are `$__rate_interval` for what is drawn over time (it always holds at least four scrapes) and
`$__range` for a single number over the time that is shown.
"""

from typing import Final

# Every series of the backend, of the replicas that are chosen at the top of the page.
BACKEND: Final = 'job="backend", instance=~"$instance"'

# prometheus/rules/panels.yml records some of it for each replica and for all of them. This is on both records, and what
# is chosen at the top of the page is told apart by it: what was recorded of all is found while all is chosen, and costs
# the same however many there are; as soon as anything else is chosen, only what was recorded of each replica is found.
_CHOSEN: Final = '"${environment:text}, ${instance:text}"'
#: Seconds from one sample of those records to the next; in words; and what `recorded` is asked for requests by.
RECORDED_EVERY: Final = 30
AS_RECORDED: Final = f"as recorded every {RECORDED_EVERY} s by prometheus/rules/panels.yml"
REQUESTS: Final = ("endpoint_status", "http_requests")

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


def recorded(labels: str, counted: str, *matchers: str, by: tuple[str, ...] = (), window: str = "$__interval") -> str:
    """The rates of a counter that rules recorded by these labels, added up: for ratios and quantiles.

    A mean over each step would be one over those of its moments at which there was a series: too much of a late one.
    """
    of_all = ", ".join((f"chosen={_CHOSEN}", *matchers))
    of_each = ", ".join((f"chosen!={_CHOSEN}", 'instance=~"$instance"', *matchers))
    found = (f"job_{labels}:{counted}:rate1m{{{of_all}}}", f"instance_{labels}:{counted}:rate1m{{{of_each}}}")
    return _aggregate("sum", by, " or ".join(f"sum_over_time({selector}[{window}])" for selector in found))


def recorded_per_second(labels: str, counted: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """As `per_second`, of a counter that rules recorded by these labels."""
    return f"{1000 * RECORDED_EVERY} / $__interval_ms * {recorded(labels, counted, *matchers, by=by)}"


def recorded_in_shown_time(labels: str, counted: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """As `in_shown_time`, of a counter that rules recorded by these labels."""
    return f"{RECORDED_EVERY} * {recorded(labels, counted, *matchers, by=by, window='$__range')}"


def recorded_quantile(share: float, histogram: str, by: tuple[str, ...] = (), window: str = "$__interval") -> str:
    """As `quantile`, of a histogram whose buckets rules recorded by the same labels."""
    labels = "_".join((*by, "le"))
    return f"histogram_quantile({share}, {recorded(labels, f'{histogram}_bucket', by=('le', *by), window=window)}) >= 0"


def dots(histogram: str, *matchers: str) -> str:
    """Finds nothing, and quickly, but has the exemplars of the histogram, which a record has not."""
    buckets = select(f"{histogram}_bucket", *matchers)
    return f"sum by (le) (rate({buckets}[$__rate_interval] @ end())) < 0"


def share(part: str, whole: str) -> str:
    """Part of a whole, 0 to 1; nothing, rather than NaN, where the whole is nothing."""
    return f"({part} or vector(0)) / ({whole} > 0)"


def shared(gauge: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """A gauge that every replica computes from the shared store: each shows the whole, so none is added."""
    return _aggregate("max", by, select(gauge, *matchers))

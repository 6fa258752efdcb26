"""Which series there are to ask for, with their kinds and labels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

# Prometheus adds these to whatever it scrapes.
TARGET_LABELS: Final = frozenset({"job", "instance"})


@dataclass(frozen=True)
class Series:
    """A name that can be queried: counter, gauge, or bucket, sum and count of a histogram."""

    kind: str
    labels: frozenset[str] = field(default=frozenset())


Exposition: TypeAlias = Mapping[str, Series]

# What Prometheus makes by itself, see its documentation of jobs and of alerting rules.
FROM_PROMETHEUS: Final[Exposition] = {
    "up": Series("gauge", TARGET_LABELS),
    "scrape_duration_seconds": Series("gauge", TARGET_LABELS),
    "scrape_samples_scraped": Series("gauge", TARGET_LABELS),
    "ALERTS": Series("gauge", TARGET_LABELS | {"alertname", "alertstate", "severity", "service"}),
}


# What Tempo writes there about every span: the dimensions of tempo/tempo.yml, and neither job nor instance.
_OF_SPANS: Final = frozenset({"service", "span_name", "span_kind", "status_code", "environment"})
FROM_TEMPO: Final[Exposition] = {
    "traces_spanmetrics_calls_total": Series("counter", _OF_SPANS),
    "traces_spanmetrics_latency_bucket": Series("bucket", _OF_SPANS | {"le"}),
    "traces_service_graph_request_total": Series("counter", frozenset({"client", "server", "connection_type"})),
}


def of_registry(registry: CollectorRegistry) -> Exposition:
    """Everything that a scrape of this registry can contain, label sets that do not exist yet included."""
    found: dict[str, Series] = {}
    for collector in _collectors(registry):
        labels = TARGET_LABELS | frozenset(collector._labelnames)
        for family in collector.describe():
            if family.type == "histogram":
                found[f"{family.name}_bucket"] = Series("bucket", labels | {"le"})
                found[f"{family.name}_sum"] = Series("sum", labels)
                found[f"{family.name}_count"] = Series("count", labels)
            elif family.type == "counter":
                found[f"{family.name}_total"] = Series("counter", labels)
            else:
                found[family.name] = Series(family.type, labels)
    return found


def _collectors(registry: CollectorRegistry) -> Iterable[MetricWrapperBase]:
    # A scrape names only the label sets that exist; what a metric is able to have stands in its own object.
    return [c for c in registry._collector_to_names if isinstance(c, MetricWrapperBase)]

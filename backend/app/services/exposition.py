"""A registry as Prometheus text or OpenMetrics, several times faster than prometheus_client's own, and in slices.

prometheus_client writes every name and label anew for each line, which is most of what a scrape costs. Here it writes
each line once, the part before the value is kept, and from then on only values and exemplars are written. What is not a
plain counter, gauge or histogram it writes itself. tests/backend/test_exposition.py holds that both give the same text.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

#: Other requests have their turn after this long (seconds). A thread instead would keep each of them waiting for
#: Python's lock up to 5 ms at every step.
SLICE_SECONDS = 0.001
_END = b"# EOF\n"


class _Fixed:
    """A registry of these metrics."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class Exposition:
    """Writes one registry in one format."""

    def __init__(self, registry: CollectorRegistry, encode: Callable[[Any], bytes], content_type: str) -> None:
        self.content_type = content_type
        self._registry, self._encode = registry, encode
        self._openmetrics = encode(_Fixed([])) == _END
        self._headers: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()
        self._beginnings: WeakKeyDictionary[Any, list[str]] = WeakKeyDictionary()

    async def render(self) -> bytes:
        """The whole text; other tasks run in between."""
        parts, due = [], time.perf_counter() + SLICE_SECONDS
        for part in self._parts():
            parts.append(part)
            if time.perf_counter() > due:
                await asyncio.sleep(0)
                due = time.perf_counter() + SLICE_SECONDS
        if self._openmetrics:
            parts.append(_END)
        return b"".join(parts)

    def _parts(self) -> Iterator[bytes]:
        with self._registry._lock:
            collectors: list[Any] = list(self._registry._collector_to_names)
        for collector in collectors:
            if type(collector) not in (Counter, Gauge, Histogram):
                yield self._whole(collector.collect())
                continue
            header = self._headers.get(collector)
            if header is None:
                header = self._headers[collector] = self._whole(collector.describe())
            yield header
            if not collector._labelnames:
                yield self._lines(collector, collector, {})
                continue
            with collector._lock:
                children = list(collector._metrics.items())
            for values, child in children:
                yield self._lines(collector, child, dict(zip(collector._labelnames, values, strict=True)))

    def _lines(self, collector: Any, child: Any, labels: Mapping[str, str]) -> bytes:
        """The lines of one label set."""
        samples = child._child_samples()
        beginnings = self._beginnings.get(child)
        if beginnings is None:
            beginnings = self._beginnings[child] = self._begin(collector, samples, labels)
        return "".join(
            [
                f"{beginning} {floatToGoString(sample.value)}"
                f"{_exemplar(sample.exemplar) if sample.exemplar and self._openmetrics else ''}\n"
                for beginning, sample in zip(beginnings, samples, strict=True)
            ]
        ).encode()

    def _begin(self, collector: Any, samples: Iterable[Sample], labels: Mapping[str, str]) -> list[str]:
        """What stands before the value in each of these samples' lines."""
        (metric,) = collector.describe()
        for sample in samples:
            metric.add_sample(metric.name + sample.name, {**labels, **sample.labels}, 0.0)
        lines = self._whole([metric]).decode().removeprefix(self._headers[collector].decode())
        return [line.removesuffix(" 0.0") for line in lines.splitlines()]

    def _whole(self, metrics: Iterable[Metric]) -> bytes:
        """Written by prometheus_client."""
        return self._encode(_Fixed(metrics)).removesuffix(_END)


def _exemplar(exemplar: Exemplar) -> str:
    labels = ",".join(
        [
            '{}="{}"'.format(name, value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\""))
            for name, value in sorted(exemplar.labels.items())
        ]
    )
    moment = "" if exemplar.timestamp is None else f" {exemplar.timestamp}"
    return f" # {{{labels}}} {floatToGoString(exemplar.value)}{moment}"


@lru_cache(maxsize=4)  # the header is whatever a client sends
def exposition_for(registry: CollectorRegistry, accept: str) -> Exposition:
    """What an Accept header asks for: OpenMetrics, with exemplars, or text, which is also for a header that makes no
    sense."""
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is no number
        encode, content_type = choose_encoder("")
    return Exposition(registry, encode, content_type)

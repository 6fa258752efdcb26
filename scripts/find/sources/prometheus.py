"""Exemplars from Prometheus: the measurements that name a trace."""

from collections.abc import Collection

from scripts.find.model import Exemplar, SourceError
from scripts.find.sources.http import Server

#: Every latency histogram.
HISTOGRAMS = '{__name__=~".+_seconds_bucket"}'


class Prometheus:
    """The exemplars that Prometheus scraped."""

    def __init__(self, address: str) -> None:
        self._server = Server("Prometheus", address)
        self.name = self._server.name

    def exemplars(self, traces: Collection[str], start: float, end: float) -> list[Exemplar]:
        """Those of these traces, measured between `start` and `end` (Unix seconds). Raises SourceError."""
        answer = self._server.get("/api/v1/query_exemplars", query=HISTOGRAMS, start=f"{start:.3f}", end=f"{end:.3f}")
        try:
            found = [
                Exemplar(
                    metric=series["seriesLabels"]["__name__"].removesuffix("_bucket"),
                    labels=series["seriesLabels"],
                    trace_id=one["labels"].get("trace_id", ""),
                    value=float(one["value"]),
                    time=float(one["timestamp"]),
                )
                for series in answer["data"]
                for one in series["exemplars"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{self.name} answers with something that is not Prometheus': {error!r}") from None
        return sorted((one for one in found if one.trace_id in traces), key=lambda one: (one.metric, one.time))

"""What `/metrics` costs: processor time a series, and how long another request waits while it is written."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder
from rich.console import Console
from rich.table import Table

from app.core.config import Settings
from app.core.faults import FAULT_NAMES
from app.main import DATABASE_OPERATIONS, create_app
from app.services.exposition import exposition_for
from app.services.health_service import CHECK_NAMES
from app.services.metrics_service import MetricsService
from scripts.bench.results import Target, show_targets, write

FORMATS = {"text": "text/plain", "OpenMetrics, with exemplars": "application/openmetrics-text; version=1.0.0"}
ROUNDS = 9
#: Series of the scrape during which another task's longest wait is taken: six times a busy backend's.
MANY_SERIES = 20_000
STATUSES = (200, 201, 404, 422, 499, 500, 503)
EXEMPLAR = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}


def busy_registry() -> CollectorRegistry:
    """A backend's registry after a busy day: every endpoint with every status, an exemplar in every bucket."""
    registry = CollectorRegistry()
    service = MetricsService(registry)
    service.prepare_ai("gpt-4o-mini", "text-embedding-3-small")
    service.prepare_database(DATABASE_OPERATIONS)
    service.prepare_names(CHECK_NAMES, FAULT_NAMES)
    with tempfile.TemporaryDirectory() as folder:
        paths = create_app(Settings(log_dir=Path(folder), faults_enabled=True)).openapi()["paths"]
    for path, operations in paths.items():
        for method in operations:
            for status in STATUSES:
                service.track_http_request(method.upper(), path, status, 0.0123, 0.0123)
    for histogram in _histograms(registry):
        for child in histogram._metrics.values() if histogram._labelnames else [histogram]:
            for bound in (*child._upper_bounds[:-1], 1e3):
                child.observe(bound * 0.99, EXEMPLAR)
    return registry


def many_series() -> CollectorRegistry:
    """A registry of `MANY_SERIES`."""
    registry = CollectorRegistry()
    histogram = Histogram("took_seconds", "Time", ["path"], registry=registry)
    lines = 0
    while lines < MANY_SERIES:
        child = histogram.labels(f"/items/{lines}")
        child.observe(0.01, EXEMPLAR)
        lines += len(child._upper_bounds) + 2
    return registry


def _histograms(registry: CollectorRegistry) -> list[Any]:
    return [one for one in registry._collector_to_names if isinstance(one, Histogram)]


def series(text: bytes) -> int:
    """How many series an exposition has."""
    return sum(not line.startswith(b"#") for line in text.splitlines())


def cost_a_series(registry: CollectorRegistry, accept: str) -> tuple[int, float, float]:
    """How many series there are, and the processor seconds of one: ours, and prometheus_client's own."""
    exposition, (encode, _) = exposition_for(registry, accept), choose_encoder(accept)
    text = asyncio.run(exposition.render())
    if text != encode(registry):
        raise AssertionError("the exposition is not what prometheus_client would have written")
    count = series(text)

    async def ours() -> float:
        start = time.process_time()
        await exposition.render()
        return time.process_time() - start

    def theirs() -> float:
        start = time.process_time()
        encode(registry)
        return time.process_time() - start

    pairs = [(asyncio.run(ours()), theirs()) for _ in range(ROUNDS)]
    return count, min(pair[0] for pair in pairs) / count, min(pair[1] for pair in pairs) / count


async def longest_wait(scrape: Callable[[], Awaitable[object]]) -> float:
    """The longest time (seconds) that another task of the loop waited for its turn meanwhile; the best of a few
    scrapes, since a busy machine adds its own."""
    waits = []
    for _ in range(ROUNDS):
        longest, last, running = 0.0, time.perf_counter(), asyncio.ensure_future(scrape())
        while not running.done():
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        await running
        waits.append(longest)
    return min(waits)


def main(console: Console, results: Path) -> bool:
    """Measures, prints, writes metrics.json. True when every target is met."""
    registry, many = busy_registry(), many_series()
    table = Table(title="/metrics, processor time a series", title_justify="left")
    for heading in ("format", "series", "µs a series", "prometheus_client's own", "a scrape"):
        table.add_column(heading, justify="left" if heading == "format" else "right")
    targets, data = [], {}
    for name, accept in FORMATS.items():
        count, ours, theirs = cost_a_series(registry, accept)
        table.add_row(name, f"{count}", f"{ours * 1e6:.1f}", f"{theirs * 1e6:.1f}", f"{ours * count * 1e3:.1f} ms")
        targets.append(Target(f"/metrics, {name}, a series", ours * 1e6, 12.0, "µs"))
        data[name] = {
            "series": count,
            "us_a_series": round(ours * 1e6, 2),
            "library_us_a_series": round(theirs * 1e6, 2),
        }
    accept = FORMATS["OpenMetrics, with exemplars"]
    exposition, (encode, _) = exposition_for(many, accept), choose_encoder(accept)
    wait = asyncio.run(longest_wait(exposition.render))
    thread = asyncio.run(longest_wait(lambda: asyncio.to_thread(encode, many)))
    targets.append(Target(f"longest wait of another request, {MANY_SERIES} series", wait * 1e3, 5.0, "ms"))
    targets.append(Target("the same with prometheus_client in a thread, as is usual", thread * 1e3, None, "ms"))
    console.print(table)
    write(results / "metrics.json", {"formats": data}, targets)
    return show_targets(console, targets)

"""The variants that are measured side by side, and what each claims to do: a claim is checked before it is timed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from scripts.bench import libraries
from scripts.bench.subject import Place, Subject, bare_app


@dataclass(frozen=True, slots=True)
class Variant:
    """One set-up around the route. Each is built in a process of its own: libraries share global state."""

    name: str
    title: str
    build: Callable[[Place], Subject]
    metrics: bool = False
    lines: bool = False
    sampled: float | None = None  # the share of requests that become spans; None: nothing is traced


def _bare(_: Place) -> Subject:
    return Subject(bare_app())


def _specola(place: Place, sampled: float | None) -> Subject:
    from scripts.bench.ours import specola  # its metrics would meet the libraries' in one registry

    return specola(place, sampled)


def _ours(name: str, title: str, sampled: float | None) -> Variant:
    return Variant(name, f"Specola: {title}", partial(_specola, sampled=sampled), True, True, sampled)


BARE, METRICS_AND_LINE, ALL_TRACED, ONE_IN_TEN = "bare", "ours-metrics-line", "ours-all", "ours-tenth"
USUAL, USUAL_LEAN = "usual-three", "usual-three-lean"

VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(BARE, "FastAPI route alone", _bare),
        _ours(METRICS_AND_LINE, "metrics and access line", None),
        _ours(ONE_IN_TEN, "all three, one in ten traced", 0.1),
        _ours(ALL_TRACED, "all three, all traced", 1.0),
        Variant("instrumentator", "prometheus-fastapi-instrumentator", libraries.instrumentator, metrics=True),
        Variant("starlette-exporter", "starlette_exporter", libraries.starlette_exporter, metrics=True),
        Variant("specification", "the specification's logging", libraries.specification_logging, lines=True),
        Variant(
            "otel-none",
            "opentelemetry-instrumentation-fastapi, none sampled",
            partial(libraries.opentelemetry, sampled=False),
            sampled=0.0,
        ),
        Variant(
            "otel-lean",
            "opentelemetry-instrumentation-fastapi, all sampled, no receive and send spans",
            partial(libraries.opentelemetry, sampled=True, lean=True),
            sampled=1.0,
        ),
        Variant(
            "otel-all",
            "opentelemetry-instrumentation-fastapi, all sampled",
            partial(libraries.opentelemetry, sampled=True),
            sampled=1.0,
        ),
        Variant(
            USUAL_LEAN,
            "the usual three, no receive and send spans",
            partial(libraries.usual_three, lean=True),
            True,
            True,
            1.0,
        ),
        Variant(USUAL, "the usual three, as they ship", libraries.usual_three, True, True, 1.0),
    )
}

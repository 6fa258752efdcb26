"""What each panel has to show for series that are known: one module a dashboard, named after its file.

A module has `KNOWN`: series in promtool's notation, and for each panel the numbers that its queries make of them. They
are reckoned by hand, or in the open, from the series: never copied from what Prometheus says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: A single number, or one by labels such as `status="queued"`; none where a query has nothing to say.
Numbers = float | Mapping[str, float]

#: Two replicas of the backend.
A: Final = 'job="backend", instance="a:8000"'
B: Final = 'job="backend", instance="b:8000"'


@dataclass(frozen=True)
class Known:
    """Series with a sample every `step`; what is seen at the moment `at`, for each query of a panel in turn.

    `until`: the samples' end, where queries look ahead from `at`.
    """

    series: Mapping[str, str]
    panels: Mapping[str, tuple[Numbers, ...]]
    at: str = "1h"
    step: str = "5s"
    recorded_every: str = "30s"
    until: str = ""


def growing(name: str, labels: str, a_step: float, samples: int = 730) -> dict[str, str]:
    """A counter that grows by so much from one sample to the next, and has run for long."""
    return {f"{name}{{{labels}}}": f"100000+{a_step}x{samples}"}


def buckets(name: str, labels: str, a_step: Mapping[str, float], samples: int = 730) -> dict[str, str]:
    """A histogram: how many observations up to each `le` come with each sample; the largest is that of +Inf too."""
    grown = {**a_step, "+Inf": max(a_step.values())} if "+Inf" not in a_step else dict(a_step)
    found = {f'{name}_bucket{{{labels}, le="{le}"}}': f"100000+{n}x{samples}" for le, n in grown.items()}
    return {**found, f"{name}_count{{{labels}}}": f"100000+{grown['+Inf']}x{samples}"}


def constant(name: str, labels: str, value: float, samples: int = 730) -> dict[str, str]:
    """A gauge that stays."""
    return {f"{name}{{{labels}}}": f"{value}x{samples}"}


def in_turn(name: str, labels: str, *phases: tuple[float, int]) -> dict[str, str]:
    """A counter whose pace changes: by how much from one sample to the next, and for how many samples, one by one."""
    begin, parts = 100_000.0, []
    for a_step, samples in phases:
        parts.append(f"{begin:.10g}+{a_step}x{samples - 1}")
        begin += a_step * samples
    return {f"{name}{{{labels}}}": " ".join(parts)}


def rising(name: str, labels: str, begin: float, a_step: float, samples: int = 730) -> dict[str, str]:
    """A gauge that rises, or falls, by so much from one sample to the next."""
    return {f"{name}{{{labels}}}": f"{begin:.10g}{a_step:+.10g}x{samples}"}

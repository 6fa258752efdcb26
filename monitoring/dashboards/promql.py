"""PromQL as a tree: which series a query reads, and what is done to them on the way out."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import promql_parser as pp

# Grafana's windows, replaced by durations that nobody would write, so that they are recognised in the tree.
WINDOWS: Final = {
    "$__rate_interval": timedelta(seconds=7331),
    "$__range": timedelta(seconds=7333),
    "$__interval": timedelta(seconds=7337),
}
AGGREGATES: Final = frozenset(
    {"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values"}
)


@dataclass(frozen=True)
class Step:
    """A function, or an aggregation with the labels that it keeps (`by`) or drops (`without`)."""

    name: str
    by: tuple[str, ...] | None = None
    without: tuple[str, ...] | None = None

    @property
    def aggregates(self) -> bool:
        """Whether several series become one here."""
        return self.name in AGGREGATES


@dataclass(frozen=True)
class Use:
    """One selector of a query, its window if any, and the steps around it from the outermost to the nearest."""

    metric: str
    matchers: tuple[pp.Matcher, ...]
    window: timedelta | None
    steps: tuple[Step, ...]

    @property
    def function(self) -> str:
        """The step that takes the selector as it is; empty when there is none."""
        return self.steps[-1].name if self.steps else ""

    def matcher(self, label: str) -> pp.Matcher | None:
        """The first matcher of a label."""
        return next((matcher for matcher in self.matchers if matcher.name == label), None)


def parse(query: str) -> pp.Expr:
    """The tree of a query with Grafana's windows in it. Raises ValueError when it is not PromQL."""
    query = query.replace("$__interval_ms", f"{WINDOWS['$__interval'].total_seconds() * 1000:.0f}")
    for name, duration in WINDOWS.items():
        query = query.replace(name, f"{duration.seconds}s")
    return pp.parse(query)


def uses(expr: pp.Expr, steps: tuple[Step, ...] = ()) -> Iterator[Use]:
    """Every selector in a tree."""
    if isinstance(expr, pp.VectorSelector):
        yield _use(expr, None, steps)
    elif isinstance(expr, pp.MatrixSelector):
        yield _use(expr.vector_selector, expr.range, steps)
    elif isinstance(expr, pp.Call):
        for argument in expr.args:
            yield from uses(argument, (*steps, Step(expr.func.name)))
    elif isinstance(expr, pp.AggregateExpr):
        yield from uses(expr.expr, (*steps, _aggregation(expr)))
    elif isinstance(expr, pp.BinaryExpr):
        yield from uses(expr.lhs, steps)
        yield from uses(expr.rhs, steps)
    elif isinstance(expr, pp.ParenExpr | pp.UnaryExpr | pp.SubqueryExpr):
        yield from uses(expr.expr, steps)


def _use(selector: pp.VectorSelector, window: timedelta | None, steps: tuple[Step, ...]) -> Use:
    matchers = tuple(selector.matchers.matchers)
    name = selector.name or next((m.value for m in matchers if m.name == "__name__"), "")
    return Use(name, tuple(m for m in matchers if m.name != "__name__"), window, steps)


def _aggregation(expr: pp.AggregateExpr) -> Step:
    name, modifier = str(expr.op), expr.modifier
    if modifier is None:
        return Step(name, by=())
    labels = tuple(modifier.labels)
    kept = modifier.type == pp.AggModifierType.By
    return Step(name, by=labels) if kept else Step(name, without=labels)

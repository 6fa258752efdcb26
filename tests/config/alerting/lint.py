"""Whether what a rule asks for exists, in what the parts of the stack really expose."""

import re
from collections.abc import Iterator

import promql_parser as pp
from prometheus_client import REGISTRY, CollectorRegistry

import app.inbox  # noqa: F401 - its metrics register themselves
from app.services.metrics_service import MetricsService
from monitoring.dashboards.exposition import FROM_PROMETHEUS, Exposition, Series, of_registry
from monitoring.dashboards.promql import Use, parse, uses
from monitoring.exposition import FOLDER, recorded
from monitoring.rules import Rule


def expositions() -> dict[str, Exposition]:
    """What can be asked for, by job."""
    registry = CollectorRegistry()
    MetricsService(registry)
    found = {file.stem: dict(recorded(file.stem)) for file in FOLDER.glob("*.txt")}
    found["backend"] |= of_registry(registry)
    found["alert-inbox"] |= of_registry(REGISTRY)
    return {job: {**series, **FROM_PROMETHEUS} for job, series in found.items()}


def of_records(rules: list[Rule]) -> Exposition:
    """What the recording rules make, with their own labels and those that they keep of what they read."""
    made: dict[str, frozenset[str]] = {}
    for rule in rules:
        if rule.record:
            kept = made.get(rule.name, frozenset()) | rule.labels.keys()
            for use in uses(parse(rule.expr)):
                by = [step.by for step in use.steps if step.by is not None]
                kept |= frozenset(label for labels in by for label in labels)
                kept |= frozenset() if by else made.get(use.metric, frozenset())
            made[rule.name] = kept
    return {name: Series("gauge", labels) for name, labels in made.items()}


def unknown(expr: str, parts: dict[str, Exposition], records: Exposition) -> list[str]:
    """A line for each metric and label of an expression that nothing exposes."""
    return [line for use in uses(parse(expr)) for line in _unknown(use, parts, records, expr)]


def _unknown(use: Use, parts: dict[str, Exposition], records: Exposition, expr: str) -> Iterator[str]:
    if use.metric in records:
        labels = set(records[use.metric].labels)
        if ":" in use.metric and not labels:
            return  # made of other records, whose labels it has
    else:
        asked = [job for job in parts if _may_be(use, job)]
        exposing = [parts[job][use.metric] for job in asked if use.metric in parts[job]]
        if not exposing:
            yield f"{use.metric} is exposed by none of {', '.join(sorted(asked)) or 'the jobs that are named'}"
            return
        if use.matcher("job") is None and use.metric not in FROM_PROMETHEUS:
            yield f"{use.metric} is not narrowed to a job: others may export it too"
        labels = set().union(*(series.labels for series in exposing))
    made = set(re.findall(r'"(\w+)", "[^"]*\$1"', expr))
    named = {matcher.name for matcher in use.matchers}
    grouped = {label for step in use.steps for label in (*(step.by or ()), *(step.without or ()))}
    for label in sorted((named | grouped) - labels - made - {"le"}):
        yield f"{use.metric} has no label {label}"


def _may_be(use: Use, job: str) -> bool:
    matcher = use.matcher("job")
    if matcher is None:
        return True
    if matcher.op in (pp.MatchOp.Equal, pp.MatchOp.NotEqual):
        return bool(matcher.value == job) == (matcher.op == pp.MatchOp.Equal)
    return bool(re.fullmatch(matcher.value, job)) == (matcher.op == pp.MatchOp.Re)

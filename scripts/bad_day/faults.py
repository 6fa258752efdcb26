"""What breaks on a bad day, and the alerts that follow from it by the rules of Prometheus and Loki.

Names, labels and durations are those of the rule files. What stands here is what the files cannot know: which alerts
one fault sets off, and how long their expressions take to notice it and to forget it.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from monitoring.durations import seconds
from monitoring.rules import FOLDER, Rule, alerts

LOKI_FOLDER = FOLDER.parents[1] / "loki" / "rules" / "fake"
MINUTE = 60.0
DAY = 24 * 60 * MINUTE


@dataclass(frozen=True)
class Follower:
    """One alert that a fault sets off: the expression holds `notice` after its start and until `forget` after its end.

    In seconds. `window` tells alerts of one name apart. A fault shorter than `needs` does not set it off at all.
    """

    name: str
    notice: float = 5.0
    forget: float = 5.0
    window: str = ""
    needs: float = 0.0
    instances: int = 1


@dataclass(frozen=True)
class Kind:
    """A root cause; the alert that is about it comes first."""

    what: str
    followers: tuple[Follower, ...]


@dataclass(frozen=True)
class Fault:
    """One root cause at work, in seconds of the day."""

    kind: Kind
    start: float
    end: float


@dataclass(frozen=True, order=True)
class Span:
    """An alert that fires from `start` to `end`, in seconds of the day."""

    start: float
    end: float
    labels: tuple[tuple[str, str], ...]


#: Failing requests, seen by every rule that counts them. Windows of 5 minutes forget after as long; a burn rate over an
#: hour and more notices when that share of its window is spent, and the slow one outlives what caused it.
_FAILURES = (
    Follower("HighErrorRate", 20, 4.75 * MINUTE),
    Follower("HighErrorRateAbsolute", 5, 4.95 * MINUTE),
    Follower("AvailabilityBudgetBurn", 9 * MINUTE, 4 * MINUTE, window="1h"),
    Follower("AvailabilityBudgetBurn", 22 * MINUTE, 28 * MINUTE, window="6h", needs=22 * MINUTE),
    Follower("LogErrorBurst", 30, 5 * MINUTE),
)
_UNANSWERED = (
    Follower("ChatSuccessBudgetBurn", 9 * MINUTE, 4 * MINUTE, window="1h"),
    Follower("RagSuccessLow", 2 * MINUTE, 8 * MINUTE),
)
_SLOWNESS = (
    Follower("LatencyBudgetBurn", 9 * MINUTE, 4 * MINUTE, window="1h"),
    Follower("HighResponseTime", 1 * MINUTE, 4 * MINUTE),
)
KINDS = (
    Kind(
        "the AI provider is away",
        (Follower("AIServiceDown"), Follower("AIErrorsHigh", 20, 5 * MINUTE), *_FAILURES, *_UNANSWERED),
    ),
    Kind(
        "the database is away",
        (Follower("DatabaseUnreachable"), Follower("IndexingStuck", 10), *_FAILURES, *_SLOWNESS, *_UNANSWERED),
    ),
    Kind("the vector store is away", (Follower("VectorStoreUnreachable"), *_FAILURES, *_UNANSWERED)),
    Kind(
        "every backend is down",
        (Follower("BackendDown", 10), Follower("ServiceSilent", 5 * MINUTE), Follower("BackendCrashLooping", 90)),
    ),
    Kind("a bad deployment", (*_FAILURES, Follower("ExceptionSurge", 30, 5 * MINUTE), *_UNANSWERED[:1])),
    Kind(
        "the machine is busy",
        (*_SLOWNESS, Follower("EventLoopBlocked", 30, 4 * MINUTE), Follower("AIResponseSlow", 60)),
    ),
    Kind("documents that cannot be indexed", (Follower("IndexingJobsFailing", 30, 10 * MINUTE),)),
    Kind("memory runs low", (Follower("HighMemoryUsage"),)),
    Kind("no lines are shipped", (Follower("PromtailDown", 10), Follower("ServiceSilent", 5 * MINUTE))),
    Kind("the disk of three replicas runs full", (Follower("LowDiskSpace", instances=3),)),
)


def rules() -> list[Rule]:
    """Every alert of Prometheus and of Loki."""
    return alerts() + alerts(LOKI_FOLDER)


def day(count: int, generator: random.Random) -> list[Fault]:
    """So many faults over 24 hours, each kind in turn, 3 to 40 minutes long."""
    kinds = [KINDS[number % len(KINDS)] for number in range(count)]
    starts = [(number + generator.random()) * DAY / count for number in range(count)]
    generator.shuffle(kinds)
    return [
        Fault(kind, start, start + generator.uniform(3, 40) * MINUTE) for kind, start in zip(kinds, starts, strict=True)
    ]


def is_urgent(kind: Kind, known: Iterable[Rule]) -> bool:
    """Whether a root cause is one that somebody is woken for."""
    return any(_rule(follower, known).labels["severity"] == "critical" for follower in kind.followers)


def spans(faults: Iterable[Fault], known: list[Rule]) -> list[Span]:
    """When which alert fires: what several faults set off at once is one alert, as it is for Prometheus."""
    firing: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = defaultdict(list)
    for fault in faults:
        for follower in fault.kind.followers:
            rule = _rule(follower, known)
            start = fault.start + follower.notice + seconds(rule.hold)
            # The expression has to hold through the whole of `for`.
            if fault.end - fault.start < follower.needs or start > fault.end + follower.forget:
                continue
            end = fault.end + follower.forget + seconds(rule.keep)
            for labels in _labels(rule, follower):
                firing[labels].append((start, end))
    for labels, times in list(firing.items()):
        firing[labels] = list(_merged(times))
    for rule in known:
        if "ALERTS{" in rule.expr:
            _add_alerts_on_alerts(rule, firing)
    return sorted(Span(start, end, labels) for labels, times in firing.items() for start, end in _merged(times))


def _add_alerts_on_alerts(rule: Rule, firing: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]) -> None:
    """CriticalUnresolved and the aftermaths, of the alerts that their expressions select."""
    named = re.search(r'alertname=~"([^"]+)"', rule.expr)
    for key, times in list(firing.items()):
        labels = dict(key)
        chosen = labels["alertname"] in named[1].split("|") if named else labels["severity"] == "critical"
        if not chosen or "source_alert" in labels:
            continue
        kept = labels if not named else {"service": labels["service"]}
        own = {**kept, **rule.labels, "alertname": rule.name, "source_alert": labels["alertname"]}
        own["service"] = labels["service"]
        hold, keep = seconds(rule.hold), seconds(rule.keep)
        if long_enough := [(start + hold, end + keep) for start, end in times if start + hold < end]:
            firing[tuple(sorted(own.items()))] += long_enough


def _rule(follower: Follower, known: Iterable[Rule]) -> Rule:
    """Raises ValueError where the rule files have no such alert."""
    for rule in known:
        if rule.name == follower.name and rule.labels.get("window", "") == follower.window:
            return rule
    raise ValueError(
        f"no rule is called {follower.name} {follower.window}: scripts/bad_day/faults.py names one that left"
    )


def _labels(rule: Rule, follower: Follower) -> Iterator[tuple[tuple[str, str], ...]]:
    service = rule.labels.get("service", "backend")  # Loki's rules take it from the line
    for number in range(follower.instances):
        labels = {**rule.labels, "alertname": rule.name, "service": service}
        if follower.instances > 1:
            labels["instance"] = f"replica-{number + 1}"
        yield tuple(sorted(labels.items()))


def _merged(times: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    first, *rest = sorted(times)
    for start, end in rest:
        if start <= first[1]:
            first = (first[0], max(first[1], end))
        else:
            yield first
            first = (start, end)
    yield first

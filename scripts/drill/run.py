"""One fault from its beginning until all that it set off has been told, ended and resolved."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from scripts.drill import floor as floors
from scripts.drill.drills import Drill
from scripts.drill.faults import CannotMake
from scripts.drill.stacks import Stack
from scripts.drill.watch import POLL_SECONDS, Way, evaluator, holds_back, is_firing, last_told, look
from scripts.local.apart import NotHere
from scripts.local.supervise import SuperviseError

#: An alert may take this much longer than its floor.
TARGET_RATIO = 1.25
#: How often Alertmanager looks for groups that are empty, whatever its settings (dispatch.go's maintenance).
FORGETS_SECONDS = 30.0
#: Seconds of patience beyond what the timings say, for a machine that has other things to do.
SPARE_SECONDS = 45.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What became of one drill. Times in seconds, from the fault's beginning (`resolved`: from its end).

    `problem` says why it failed, `not_run` why it could not be run.
    """

    alert: str
    fault: str
    fired: float | None = None
    delivered: float | None = None
    resolved: float | None = None
    floor: float | None = None
    problem: str = ""
    not_run: str = ""

    @property
    def ratio(self) -> float | None:
        """Delivery against the floor; None without either."""
        return self.delivered / self.floor if self.delivered and self.floor else None


def find_rule(rules: Sequence[floors.Rule], drill: Drill) -> floors.Rule:
    """The rule of a drill. Raises LookupError where the rule files have none."""
    for rule in rules:
        fixed = {name: value for name, value in rule.labels.items() if "{{" not in value}
        if rule.name == drill.alert and all(fixed.get(name, value) == value for name, value in drill.labels.items()):
            return rule
    raise LookupError(f"no rule file has an alert {drill.alert} with {drill.labels}")


def run(stack: Stack, drills: Sequence[Drill], say: Say) -> list[Result]:
    """Drills of one and the same fault, run at once. Never raises for what went wrong: the results say it."""
    fault = drills[0].fault
    rules = floors.rules(stack.project)
    ways = [Way(drill, find_rule(rules, drill)) for drill in drills]
    by_logs = ("loki", "promtail") if any(way.rule.logs for way in ways) else ()
    reason = next(filter(None, map(stack.missing, (*fault.parts, *by_logs))), "")
    if not reason and fault.own and not stack.own:
        reason = "on a stack in use its configuration would have to be broken; "
        reason += f"`make drill ALERT={drills[0].alert} ALL=1` runs it on one of its own"
    if stack.own:
        reason = reason or drills[0].only_real
    severities = {str(way.rule.labels.get("severity", "")) for way in ways}
    if hours := next(filter(None, (floors.quiet(stack.project, one, datetime.now(UTC)) for one in severities)), ""):
        reason = reason or f"Alertmanager holds it back by its {hours}; `make drill ALL=1` does without them"
    if reason:
        return [Result(drill.alert, fault.words, not_run=reason) for drill in drills]
    if problem := _not_quiet(stack, ways, say):
        return [Result(drill.alert, fault.words, problem=problem) for drill in drills]
    begun = time.time()
    try:
        with fault.make(stack):
            _follow(stack, ways, begun, None, say)
    except CannotMake as error:
        return [Result(drill.alert, fault.words, not_run=str(error)) for drill in drills]
    except (httpx.HTTPError, NotHere, SuperviseError, subprocess.CalledProcessError) as error:
        return [Result(drill.alert, fault.words, problem=f"the fault: {error}") for drill in drills]
    ended = time.time()
    _follow(stack, [way for way in ways if way.delivered], begun, ended, say)
    try:
        return [_result(stack, way, begun, ended) for way in ways]
    except httpx.HTTPError as error:
        return [Result(drill.alert, fault.words, problem=f"its floor cannot be asked for: {error}") for drill in drills]


def _patience(stack: Stack, way: Way, resolving: bool) -> float:
    wait, interval = _grouping(stack, way)
    ten_minutes = 120 * floors.scrape_interval(stack.project)  # windows of recorded series are no longer than that
    own = way.rule.keep + interval if resolving else way.rule.hold + wait + way.drill.slow
    return own + way.rule.window + ten_minutes + SPARE_SECONDS


def _not_quiet(stack: Stack, ways: Sequence[Way], say: Say) -> str:
    """Waits, on a stack of its own, until nothing is left of the drill before; what is still there, else empty.

    An alert that joins a group which was told already waits for group_interval, not for group_wait: so on such a stack
    every alert of the same name has to be over, its end told (group_interval), and its group forgotten.
    """
    hour = 3600 / 5 * floors.scrape_interval(stack.project)
    deadline = time.time() + (hour + SPARE_SECONDS if stack.own else 0)
    while True:
        firing = {way.drill.alert for way in ways if is_firing(stack, way.drill, way.rule, any_labels=stack.own)}
        left = sorted(firing) or (
            sorted({name for way in ways for name in _holding_back(stack, way)}) if stack.own else []
        )
        if not left:
            break
        if time.time() >= deadline:
            return f"{', '.join(left)} fires before the fault is made"
        say(f"waits for {', '.join(left)} to end")
        time.sleep(POLL_SECONDS)
    if stack.own:
        _wait_until_forgotten(stack, ways)
    return ""


def _wait_until_forgotten(stack: Stack, ways: Sequence[Way]) -> None:
    for way in ways:
        interval = _grouping(stack, way)[1]
        told = last_told(stack, way.drill.alert)
        if told and told[1]:  # its end is yet to be told
            time.sleep(interval)
            told = last_told(stack, way.drill.alert)
        if told:
            time.sleep(max(0.0, told[0] + interval + FORGETS_SECONDS - time.time()))


def _grouping(stack: Stack, way: Way) -> tuple[float, float]:
    return floors.grouping(stack.project, str(way.rule.labels.get("severity", "")), way.rule.name)


def _holding_back(stack: Stack, way: Way) -> list[str]:
    service = way.drill.labels.get("service") or way.rule.labels.get("service", "")
    return holds_back(stack, service, way.rule.labels.get("severity", ""))


def _follow(stack: Stack, ways: Sequence[Way], begun: float, ended: float | None, say: Say) -> None:
    """Looks until every way is delivered (or, with `ended`, resolved), or patience is over."""
    start = time.time()
    until = {id(way): start + _patience(stack, way, ended is not None) for way in ways}
    waiting = list(ways)
    while waiting:
        for way in waiting:
            look(stack, way, begun, ended)
        say(", ".join(f"{way.drill.alert} {way.state}" for way in ways))
        waiting = [
            way
            for way in waiting
            if (way.delivered if ended is None else way.resolved) is None and time.time() < until[id(way)]
        ]
        time.sleep(POLL_SECONDS)


def _result(stack: Stack, way: Way, begun: float, ended: float) -> Result:
    scrape = floors.scrape_interval(stack.project)
    wait, _ = _grouping(stack, way)
    lowest = None
    if way.delivered:
        step = max(scrape / 2, (way.delivered - begun) / 5000)
        # A step beyond: what is delivered at once held since the last of them.
        held = floors.first_held(evaluator(stack, way.rule), way.rule, begun, way.delivered + step, step)
        lowest = None if held is None else floors.floor(way.rule, held - begun, scrape, wait)
    result = Result(
        alert=way.drill.alert,
        fault=way.drill.fault.words,
        fired=way.firing and way.firing - begun,
        delivered=way.delivered and way.delivered - begun,
        resolved=way.resolved and way.resolved - ended,
        floor=lowest,
    )
    return result if not (problem := _problem(way, result)) else Result(**{**result.__dict__, "problem": problem})


def _problem(way: Way, result: Result) -> str:
    if not way.delivered:
        return f"not delivered: {way.state}"
    if not way.resolved:
        return "delivered, and never resolved"
    if result.ratio is None:
        return "delivered, but its expression never held"
    return "" if result.ratio <= TARGET_RATIO else f"later than {TARGET_RATIO:g} times its floor"

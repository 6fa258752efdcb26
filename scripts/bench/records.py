"""What panels ask of records, asked of the series that these are made from: what a look would cost without a rule."""

import re
from collections.abc import Mapping
from functools import cache

from monitoring import rules
from monitoring.dashboards.queries import BACKEND

#: What `monitoring.dashboards.queries.recorded` asks for: of all replicas, or of each.
_CHOSEN = '"${environment:text}, ${instance:text}"'
_PAIR = re.compile(
    r"sum_over_time\(\w+:\w+:rate1m\{chosen=C(?P<matchers>[^}]*)\}\[(?P<window>\$\w+)\]\)"
    r" or sum_over_time\((?P<each>\w+:\w+:rate1m)\{[^}]*\}\[\$\w+\]\)"
)
_RATE = re.compile(r"rate\((?P<counter>\w+)\{job=\"backend\"(?P<matchers>.*)\}\[1m\]\)")


def before(query: str) -> str:
    """The query with the counters themselves in place of every such record; the same where it has none."""
    made = _records()

    def counters(found: re.Match[str]) -> str:
        expression = made[found["each"]]
        while (rate := _RATE.search(expression)) is None:  # it is made from another one
            expression = next(made[name] for name in made if name in expression)
        selector = f"{rate['counter']}{{{BACKEND}{rate['matchers']}{found['matchers']}}}"
        if found["window"] == "$__range":
            return f"increase({selector}[$__range])"
        return f"rate({selector}[$__rate_interval])"

    return _PAIR.sub(counters, query.replace(_CHOSEN, "C"))


@cache
def _records() -> Mapping[str, str]:
    return {rule.name: rule.expr for rule in rules.read() if rule.record}

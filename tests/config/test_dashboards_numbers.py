"""Every panel that shows a number shows the right one: promtool evaluates its own queries over known series."""

import json
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from monitoring import durations, rules
from monitoring.dashboards.promql import parse, uses
from scripts.report import board as boards
from tests.config.dashboards import numbers
from tests.config.dashboards.boards import committed
from tests.config.dashboards.numbers import Known
from tests.programs import program

BOARDS = committed()
NAMES = sorted(BOARDS)
SCRAPED = boards.scrape_interval()
RULES = rules.read()
#: A query that promtool has evaluated with what it got, and a sample of that, without the metric's name.
ANSWER = re.compile(r'expr: ("(?:[^"\\]|\\.)*"), time: .*\n +exp: .*\n +got: (.*)')
SAMPLE = re.compile(r'\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\} ([^\s,]+)')
#: By every replica, model and job, as when all are chosen.
CHOSEN = MappingProxyType({"instance": ".*", "environment": ".*", "model": ".*", "job": ".*"})
#: Both replicas of `numbers`, by their names.
EACH = MappingProxyType({**CHOSEN, "instance": "(a:8000|b:8000)"})


def by_choice(panel: Any) -> bool:
    """Whether what it asks for depends on all being chosen, and not on who that is."""
    return any("${instance:text}" in query for query in asked(panel))


@cache
def known(name: str) -> Known:
    """What is known of a dashboard; nothing where nobody has written it down."""
    module = name.removesuffix(".json").replace("-", "_")
    if not (Path(numbers.__file__).parent / f"{module}.py").is_file():
        return Known(series={}, panels={})
    found: Known = import_module(f"{numbers.__name__}.{module}").KNOWN
    return found


def numbered(name: str) -> list[Any]:
    """The panels of a dashboard that ask Prometheus."""
    panels = [panel for panel in BOARDS[name]["panels"] if panel["type"] != "row"]
    return [panel for panel in panels if asked(panel)]


def asked(panel: Any) -> list[str]:
    return [target["expr"] for target in panel["targets"] if target["datasource"]["uid"] == "prometheus"]


def queries(name: str, panel: Any, chosen: Mapping[str, str] = CHOSEN) -> list[str]:
    """A panel's queries as Grafana sends them when its page is opened, and something is chosen there."""
    end = durations.seconds(known(name).at)
    shown = durations.seconds(BOARDS[name]["time"]["from"].removeprefix("now-"))
    window = boards.Window(end - shown, end, ZoneInfo("UTC"))
    values = {**chosen, **boards.windows(panel, window, SCRAPED)}
    return [boards.fill(query, values) for query in asked(panel)]


def rule_files(expressions: list[str]) -> set[str]:
    """The rule files that make what is asked for, and what that is made from."""
    made = {rule.name: [one for one in RULES if one.name == rule.name] for rule in RULES if rule.record}
    wanted, files = list(expressions), set[str]()
    while wanted:
        for use in uses(parse(wanted.pop())):
            for rule in made.pop(use.metric, []):
                files.add(rule.file)
                wanted.append(rule.expr)
    return files


@cache
def answers(name: str) -> dict[str, dict[str, float]]:
    """What each query of a dashboard comes to, by labels: promtool says it where it was told to expect otherwise."""
    expressions = [query for panel in numbered(name) for query in queries(name, panel)]
    expressions += [query for panel in numbered(name) for query in queries(name, panel, EACH) if by_choice(panel)]
    otherwise = [{"labels": '{never="expected"}', "value": 0}]
    # A moment later than the last sample: a window that begins on one holds it before Prometheus 3, and not since.
    tests = [{"expr": query, "eval_time": f"{known(name).at}1ms", "exp_samples": otherwise} for query in expressions]
    if until := known(name).until:
        tests.append({"expr": "0", "eval_time": until, "exp_samples": [{"labels": "{}", "value": 0}]})
    series = [{"series": one, "values": values} for one, values in known(name).series.items()]
    made = [str(rules.FOLDER / file) for file in sorted(rule_files(expressions))]
    group = {"interval": known(name).step, "input_series": series, "promql_expr_test": tests}
    whole = {"rule_files": made, "evaluation_interval": known(name).recorded_every, "tests": [group]}
    command = [program("promtool"), "test", "rules", "/dev/stdin"]
    text = yaml.safe_dump(whole, width=100_000)
    said = subprocess.run(command, input=text, capture_output=True, text=True, timeout=100, check=False).stderr
    found = {json.loads(query): dict(map(sample, SAMPLE.findall(got))) for query, got in ANSWER.findall(said)}
    assert found.keys() == set(expressions), said
    return found


def sample(found: tuple[str, str]) -> tuple[str, float]:
    labels, value = found
    return re.sub(r'^__name__="[^"]*"(, )?', "", labels), float(value)


PANELS = [pytest.param(name, panel, id=f"{name}: {panel['title']}") for name in NAMES for panel in numbered(name)]


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_a_panel_shows_the_number_that_follows_from_its_series(name: str, panel: Any) -> None:
    expected = known(name).panels.get(panel["title"], ())
    assert len(expected) == len(asked(panel)), f"give a number for each query of {panel['title']} in numbers/"
    for query, number in zip(queries(name, panel), expected, strict=True):
        by_labels = dict(number) if isinstance(number, Mapping) else {"": number}
        assert answers(name)[query] == pytest.approx(by_labels, rel=0.01), query


@pytest.mark.parametrize(("name", "panel"), [one for one in PANELS if by_choice(one.values[1])])
def test_a_panel_shows_the_same_when_every_replica_is_chosen_by_its_name(name: str, panel: Any) -> None:
    for query, of_all in zip(queries(name, panel, EACH), queries(name, panel), strict=True):
        assert answers(name)[query] == pytest.approx(answers(name)[of_all], rel=0.01), query


@pytest.mark.parametrize("name", NAMES)
def test_what_is_known_is_of_a_panel_that_there_is(name: str) -> None:
    assert known(name).panels.keys() <= {panel["title"] for panel in numbered(name)}

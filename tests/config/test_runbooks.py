"""The runbooks: one for each alert, each with the same parts, and nothing in them asks for what does not exist."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from markdown_it import MarkdownIt

from monitoring import rules
from scripts.drill.drills import DRILLS
from tests.config.alerting import lint
from tests.programs import PROJECT
from tests.runbooks import CHANGES, PAGES, blocks, commands

RULES = rules.read()
HEADINGS = [
    "What it means for users",
    "Is it real",
    "Find the cause",
    "Mend it",
    "When to wake whom",
    "Try it",
]


def logs_alerts() -> dict[str, str]:
    """The dashboard of each of Loki's alerts."""
    groups = yaml.safe_load((PROJECT / "loki/rules/fake/rules.yml").read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule["annotations"]["dashboard"] for group in groups for rule in group["rules"]}


DASHBOARDS = {rule.name: rule.annotations["dashboard"] for rule in RULES if not rule.record} | logs_alerts()


def asked(page: str) -> Iterator[str]:
    """Each PromQL expression of a page: its own block, or the query of a command to Prometheus."""
    for command in commands(page):
        if "localhost:9090/api/v1/query" in command:
            yield from (word.removeprefix("query=") for word in shlex.split(command) if word.startswith("query="))


def test_each_alert_has_a_page_and_each_page_an_alert() -> None:
    assert sorted(PAGES) == sorted(DASHBOARDS)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_its_parts_in_their_order(name: str) -> None:
    tokens = MarkdownIt("commonmark").parse(PAGES[name])
    found = [(one.tag, after.content) for one, after in pairwise(tokens) if one.type == "heading_open"]
    assert found == [("h1", name), *(("h2", heading) for heading in HEADINGS)]
    for heading in HEADINGS:
        part = PAGES[name].partition(f"## {heading}\n")[2].partition("\n## ")[0]
        assert part.strip(), heading


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_asks_of_prometheus_exists(name: str) -> None:
    parts, records = lint.expositions(), lint.of_records(RULES)
    assert [line for query in asked(PAGES[name]) for line in lint.unknown(query, parts, records)] == []


@pytest.mark.parametrize("name", PAGES)
def test_the_links_of_a_page_lead_to_what_it_speaks_of(name: str) -> None:
    links = re.findall(r"\[[^\]]+\]\(([^)]+)\)", PAGES[name])
    for link in links:
        address = urlsplit(link)
        if not address.scheme:
            assert link.removesuffix(".md") in PAGES, link
        elif address.netloc == "localhost:9090":
            assert parse_qs(address.query)["g0.expr"] == blocks(PAGES[name], "promql")
        else:
            assert link == DASHBOARDS[name].replace("{{ $externalLabels.grafana_url }}", "http://localhost:3000")
    assert any("/d/" in link for link in links)


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_names_of_the_repository_is_there(name: str) -> None:
    for path in re.findall(r"`((?:prometheus|loki|tempo|monitoring|secrets)/[\w./-]+)`", PAGES[name]):
        assert (PROJECT / path).exists(), path
    variables = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`", PAGES[name]))
    known = set(re.findall(r"^#?([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    assert variables <= known | {"GOMEMLIMIT"}, variables - known


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_its_drill_or_says_why_there_is_none(name: str) -> None:
    part = PAGES[name].partition("## Try it\n")[2]
    drill = next((drill for drill in DRILLS if drill.alert == name), None)
    if drill:
        own = "ALL=1 " if drill.fault.own else ""
        assert f"make drill ALERT={name} {own}{CHANGES}" in blocks(part, "console")
    else:
        assert part.strip().startswith("There is no drill: ")


def test_commands_that_would_change_something_are_marked() -> None:
    changing = r"restart|\bup -d|prune|-X|make (?:drill|reload|up|down)|docker compose (?:stop|start)"
    assert [line for page in PAGES.values() for line in commands(page) if re.search(changing, line)] == []

"""Each rule of the dashboards bites: faults are seeded one by one, and its rule catches each."""

import copy
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client import CollectorRegistry, Counter

from monitoring.dashboards import catalogue, exposition, judged, lint
from monitoring.dashboards.lint_query import ATTRIBUTES, SHARED_GAUGES, lint_query
from tests.config.dashboards.boards import AI, EXPORTED, OVERVIEW, SOURCES, committed
from tests.config.dashboards.judges import objections
from tests.config.dashboards.seeded import FAULTS, SOUND, WORDS


@pytest.fixture
def boards() -> dict[str, Any]:
    """The first two as they are; of the others only what may be linked to, so that a look at all is quick."""
    return {
        name: board if name in (OVERVIEW, AI) else {"uid": board["uid"], "panels": []}
        for name, board in committed().items()
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_caught(boards: dict[str, Any], fault: str) -> None:
    spoil, rule = FAULTS[fault]
    sound = copy.deepcopy(boards)
    spoil(boards)
    assert boards != sound
    assert rule in {finding.rule for finding in lint.lint(boards, EXPORTED, SOURCES)}


@pytest.mark.parametrize(
    ("expr", "rule"),
    [
        ("avg(histogram_quantile(0.9, sum by (le) (rate(B[$__rate_interval]))))", "quantile-of-averages"),
        ("histogram_quantile(0.9, avg by (le) (rate(B[$__rate_interval])))", "quantile-of-averages"),
        ("histogram_quantile(0.9, sum by (le) (B))", "counter-rate"),
        ("histogram_quantile(0.9, sum without (le) (rate(B[$__rate_interval])))", "quantile-by-le"),
        ("histogram_quantile(0.9, sum by (instance) (rate(C[$__rate_interval])))", "quantile-of-buckets"),
    ],
)
def test_a_quantile_is_computed_from_summed_buckets_or_refused(expr: str, rule: str) -> None:
    target = '{job="backend", instance=~"$instance"}'
    text = expr.replace("B", f"vector_search_duration_seconds_bucket{target}")
    text = re.sub(r"\bC\b", f"vector_search_duration_seconds_count{target}", text)
    assert rule in {fault[0] for fault in lint_query(text, EXPORTED)}


def test_a_finding_says_where_it_is_and_what_to_do(boards: dict[str, Any]) -> None:
    FAULTS["a shared gauge that is summed"][0](boards)
    (finding,) = lint.lint(boards, EXPORTED, SOURCES)
    assert str(finding) == (
        "system-overview.json: panel Active Users: query A: active_users_total is the same on every replica: "
        "take its max [shared-gauge-max]"
    )


@pytest.mark.parametrize("sound", SOUND)
def test_what_a_fault_is_seeded_into_is_sound_without_it(boards: dict[str, Any], sound: str) -> None:
    SOUND[sound](boards)
    assert [str(finding) for finding in lint.lint(boards, EXPORTED, SOURCES)] == []


def test_every_attribute_that_a_trace_may_be_searched_by_is_one_that_the_backend_gives() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in (catalogue.ROOT / "backend" / "app").rglob("*.py"))
    assert [name for name in sorted(ATTRIBUTES) if f'"{name.split(".", 1)[1]}"' not in code] == []


def test_every_shared_gauge_is_exported() -> None:
    assert EXPORTED.keys() >= SHARED_GAUGES


def test_the_labels_of_a_metric_are_known_before_it_was_ever_counted() -> None:
    registry = CollectorRegistry()
    Counter("calls_total", "calls", ["model"], registry=registry)
    assert exposition.of_registry(registry)["calls_total"].labels == {"model", "job", "instance"}


# LogQL and TraceQL, of which Loki's and Tempo's own programs are the judges


@pytest.fixture(scope="module")
def refused() -> dict[str, str]:
    """What there is to say against the dashboards' queries, those on the list and the wrong ones, asked at once."""
    queries = judged.asked()
    for source, query in WORDS.values():
        queries[source].append(query)
    if not judged.missing():
        queries = {source: [*found, *judged.recorded()[source]] for source, found in queries.items()}
    return objections(queries)


def test_every_query_of_logs_and_traces_is_accepted_by_its_program_or_was_when_last_asked(
    refused: dict[str, str],
) -> None:
    wrong = {query for _, query in WORDS.values()}
    assert {query: said for query, said in refused.items() if query not in wrong} == {}


@pytest.mark.parametrize("fault", WORDS)
def test_a_seeded_fault_is_caught_by_its_program_or_for_want_of_it(fault: str, refused: dict[str, str]) -> None:
    assert WORDS[fault][1] in refused


@pytest.mark.parametrize("source", ["loki", "tempo"])
def test_queries_of_panels_and_of_links_are_judged_with_a_window_that_the_grammar_knows(
    source: str, tmp_path: Path
) -> None:
    target = {"datasource": {"uid": source}, "expr": "rate({a=`b`}[$__interval])", "query": "{ name = `$x` }"}
    link = "/explore?left=" + quote(json.dumps({"queries": [{**target, "expr": "{a=`c`}", "query": "{ }"}]}))
    panel = {"targets": [target], "links": [{"url": link}]}
    (tmp_path / "board.json").write_text(json.dumps({"panels": [panel]}))
    expected = {"loki": ["rate({a=`b`}[5m])", "{a=`c`}"], "tempo": ["{ name = `$x` }", "{ }"]}
    assert judged.asked(tmp_path)[source] == expected[source]

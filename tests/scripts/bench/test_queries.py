"""What a look costs: the store is filled as it says, recorded series come after what they are made from."""

import subprocess
from pathlib import Path

import httpx
import pytest

from monitoring.dashboards.promql import parse, uses
from scripts.bench import queries, week
from tests.programs import program


def test_a_store_holds_every_replica_at_the_pace_that_was_measured(tmp_path: Path) -> None:
    program("promtool")
    said = subprocess.run([program("prometheus"), "--version"], capture_output=True, text=True, check=True)
    if "version 2." in said.stdout + said.stderr:
        pytest.skip("Prometheus 2 cannot be kept from joining blocks: the measurement needs Prometheus 3")
    end, store = week.now(), tmp_path / "store"
    paced = week.Series("calls_total", {"job": "backend", "endpoint": "/a/{id}"}, 60, counter=True, replica=True)
    week.load(store, [paced, week.Series("up", {"job": "loki"}, 1)], 3, end, 0.5)
    with week.prometheus(store) as address, httpx.Client(base_url=address) as client:
        found = week.ask(client, "query", query="increase(calls_total[8h])", time=end - 60)["result"]
        assert {one["metric"]["instance"] for one in found} == {f"10.0.0.{number}:8000" for number in range(3)}
        count = week.ask(client, "query", query="count_over_time(up[12h])", time=end - 60)["result"]
        assert count[0]["value"][1] == "720"
        # The first half of a wave: 60 a minute and four fifths of it more at its height.
        rate = week.ask(client, "query", query="rate(calls_total[10m])", time=end - 6 * 3600)["result"]
        assert [float(one["value"][1]) for one in rate] == [pytest.approx(1.8, rel=0.01)] * 3


def test_a_record_comes_after_all_that_it_is_made_from() -> None:
    levels = week.recording(["slo:error_budget:remaining"])
    names = [{rule.name for rule in level} for level in levels]
    assert names[-1] == {"slo:error_budget:remaining"}
    assert "slo:events:increase30s" in names[0]
    for number, level in enumerate(levels):
        read = {use.metric for rule in level for use in uses(parse(rule.expr)) if ":" in use.metric}
        assert read <= set().union(*names[:number])


def test_each_query_is_looked_at_over_its_own_range_and_seven_days() -> None:
    found = [look for look in queries.looks(1_800_000_000) if look.panel == "Error Rate"]
    assert [(look.ref, look.window) for look in found if look.ref == "A"] == [("A", 3600), ("A", 7 * 86_400)]
    assert all("$" not in look.query for look in found)


def test_only_what_asks_for_nothing_but_records_counts_as_recorded() -> None:
    recorded = queries.Look("", "", "A", "max(slo:objective:ratio)", {}, 1)
    assert recorded.recorded
    assert not queries.Look("", "", "A", "max(slo:objective:ratio) + max(up)", {}, 1).recorded


def test_beside_a_record_stands_what_the_counters_themselves_would_cost() -> None:
    found = {(look.panel, look.ref, look.window): look for look in queries.looks(1_800_000_000)}
    api = found["API Response Time", "B", 3600].before
    assert api is not None
    assert api.query == (
        'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{job="backend", '
        'instance=~".*", endpoint!~"/health.*|/metrics|/internal/.*"}[240s]))) >= 0'
    )
    errors = found["Error Rate", "A", 3600].before
    assert errors is not None
    assert 'endpoint!~"/health.*|/metrics|/internal/.*", status=~"5.."}[240s]' in errors.query
    table = found["Which Endpoint Is Slow or Fails?", "A", 3600].before
    assert table is not None
    assert "increase(http_requests_total{" in table.query
    assert all(look.before is None or ":" not in look.before.query.split("{")[0] for look in found.values())
    assert {look.recorded for look in found.values() if look.before} == {True}


def test_blocks_of_the_same_hours_are_waited_for_until_they_are_one(tmp_path: Path) -> None:
    for name, begin in (("a", 0), ("b", 0), ("c", 6)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "meta.json").write_text(f'{{"minTime": {begin}}}')
    assert week.apart(tmp_path)
    (tmp_path / "b/meta.json").unlink()
    assert not week.apart(tmp_path)


def test_growth_is_that_of_processor_time_and_none_where_a_query_is_all_overhead() -> None:
    def looked(*processor: float) -> queries.Look:
        return queries.Look("", "", "A", "", {}, 1, [9.0], list(processor))

    slower, fast = (looked(0.3, 9.0), looked(0.1, 0.2)), (looked(0.1), looked(0.1))
    assert queries.growth(slower) == pytest.approx(3)
    assert queries.growth(slower, fast) == pytest.approx(2), "of a panel with both"
    assert queries.growth((looked(0.009), looked(0.001))) == 1


def test_nineteen_of_twenty_are_within_the_95th_percentile() -> None:
    runs = [number / 20 for number in range(20, 0, -1)]
    assert queries.Look("", "", "A", "", {}, 1, runs).p95 == 0.95
    assert queries.Look("", "", "A", "", {}, 1, [0.1, 0.3, 0.2]).p95 == 0.3

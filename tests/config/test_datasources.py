"""Each link from one data source to another has a target, and asks it for what is really there."""

import re
from typing import Any

import promql_parser
import pytest
import yaml

from tests.config.links import PROJECT, data_sources, derived, filled, json_data, tags

SPAN = {"service.name": "backend"}
TRACE = "4d38e6dbc872afb773acb0510054e750"
METRICS = {
    "traces_spanmetrics_calls_total": {"service", "span_name", "span_kind", "status_code", "environment"},
    "traces_spanmetrics_latency_bucket": {"service", "span_name", "span_kind", "status_code", "environment", "le"},
}


def stage(kind: str) -> dict[str, Any]:
    config = yaml.safe_load((PROJECT / "promtail/promtail.yml").read_text())
    stages = config["scrape_configs"][0]["pipeline_stages"]
    return next(dict(one[kind]) for one in stages if kind in one)


def uids(node: Any) -> list[str]:
    """Every uid that a data source names."""
    if isinstance(node, dict):
        own = [node["datasourceUid"]] if "datasourceUid" in node else []
        return own + [uid for value in node.values() for uid in uids(value)]
    return [uid for value in node for uid in uids(value)] if isinstance(node, list) else []


def test_every_link_leads_to_a_data_source_that_is_there() -> None:
    found = {uid: sorted(set(uids(one["jsonData"]))) for uid, one in data_sources().items()}
    assert found == {
        "prometheus": ["tempo"],
        "loki": ["loki", "tempo"],
        "tempo": ["loki", "prometheus"],
        "alertmanager": [],
    }
    assert set(uids(list(data_sources().values()))) <= set(data_sources())


def test_each_is_where_the_compose_file_runs_it() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    for one in data_sources().values():
        name, port = re.fullmatch(r"http://([\w-]+):(\d+)", one["url"]).groups()  # type: ignore[union-attr]
        assert any(str(published).endswith(f":{port}") for published in services[name]["ports"])


def test_an_exemplar_leads_to_its_trace_by_the_label_that_both_writers_use() -> None:
    (link,) = json_data("prometheus")["exemplarTraceIdDestinations"]
    tempo = yaml.safe_load((PROJECT / "tempo/tempo.yml").read_text())
    assert link == {"name": "trace_id", "datasourceUid": "tempo"}
    assert tempo["overrides"]["defaults"]["metrics_generator"]["trace_id_label_name"] == link["name"]
    assert tempo["metrics_generator"]["storage"]["remote_write"][0]["send_exemplars"] is True


@pytest.mark.parametrize(("name", "field"), [("trace_id", "trace_id"), ("request_id", "request_id")])
def test_a_line_leads_onwards_by_what_is_its_metadata(name: str, field: str) -> None:
    link = derived(name)
    assert link["matcherType"] == "label"
    assert [one for one in stage("structured_metadata") if re.fullmatch(link["matcherRegex"], one)] == [field]


def test_a_line_leads_to_its_trace_and_to_every_line_of_its_request() -> None:
    assert filled(derived("trace_id")["url"], value__raw=TRACE) == TRACE
    query = filled(derived("request_id")["url"], value__raw="r-1")
    assert query == '{service=~".+"} | request_id="r-1"'
    assert "service" in stage("labels")


def test_the_trace_id_is_found_in_the_line_itself_too() -> None:
    line = f'{{"event":"request","trace_id":"{TRACE}","span_id":"4e890c79688d418b"}}'
    found = re.search(derived("trace_id of the line")["matcherRegex"], line)
    assert found is not None
    assert found[1] == TRACE


def test_a_span_leads_to_its_traces_lines() -> None:
    link = json_data("tempo")["tracesToLogsV2"]
    assert link["customQuery"] is True, "else Grafana searches the text of every line"
    query = filled(link["query"], tags=tags(link, SPAN), trace__traceId=TRACE)
    assert query == f'{{service="backend"}} | trace_id="{TRACE}"'
    assert {tag["value"] for tag in link["tags"]} <= set(stage("labels"))


def test_a_span_leads_to_metrics_that_tempo_writes_under_labels_that_they_have() -> None:
    link = json_data("tempo")["tracesToMetrics"]
    assert [query["name"] for query in link["queries"]] == ["Calls per second", "Duration, 95th percentile"]
    for query in link["queries"]:
        text = filled(query["query"], tags=tags(link, SPAN), span__name="GET /health", rate_interval="1m")
        promql_parser.parse(text)
        (name,) = re.findall(r"traces_\w+", text)
        named = set(re.findall(r"(\w+)=", text)) | set(re.findall(r"by \(([^)]*)\)", text))
        assert named <= METRICS[name], text


def test_tempos_metrics_have_no_other_labels_than_those_that_are_known_in_advance() -> None:
    config = yaml.safe_load((PROJECT / "tempo/tempo.yml").read_text())
    spans = config["metrics_generator"]["processor"]["span_metrics"]
    intrinsic = {name for name, on in spans["intrinsic_dimensions"].items() if on}
    mapped = {one["name"] for one in spans["dimension_mappings"]}
    assert intrinsic | mapped | set(spans["dimensions"]) == METRICS["traces_spanmetrics_calls_total"]
    assert spans["enable_instance_label"] is False
    limits = config["overrides"]["defaults"]["metrics_generator"]
    assert 0 < limits["max_active_series"] <= 50_000


def test_traces_are_searched_by_service_and_by_request() -> None:
    filters = json_data("tempo")["search"]["filters"]
    assert len({one["id"] for one in filters}) == len(filters)
    asked = {one["tag"]: one["scope"] for one in filters}
    assert asked["service.name"] == "resource"
    assert asked["request.id"] == "span"


def test_the_service_graph_is_read_where_tempo_writes_it() -> None:
    config = yaml.safe_load((PROJECT / "tempo/tempo.yml").read_text())
    assert json_data("tempo")["serviceMap"] == {"datasourceUid": "prometheus"}
    assert "service-graphs" in config["overrides"]["defaults"]["metrics_generator"]["processors"]
    written = config["metrics_generator"]["storage"]["remote_write"][0]["url"]
    assert written.startswith(data_sources()["prometheus"]["url"])

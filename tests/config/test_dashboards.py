"""The dashboards: their files are current, hold the specified panels, and keep every rule; and each rule bites."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.dashboards import __main__ as command
from monitoring.dashboards import catalogue, lint, queries
from monitoring.dashboards.links import logs
from monitoring.dashboards.page import render
from tests.config.dashboards.boards import AI, EXPORTED, OVERVIEW, SOURCES, committed, everything, panel

# The specification's twelve, its types in today's form: graph is timeseries, histogram over buckets is heatmap.
SPECIFIED = {
    OVERVIEW: {
        "System Health": "stat",
        "API Response Time": "timeseries",
        "Active Users": "stat",
        "Chat Messages Rate": "timeseries",
        "Indexing Jobs Status": "table",
        "Error Rate": "timeseries",
    },
    AI: {
        "Chat Sessions Active": "stat",
        "AI Response Time Distribution": "heatmap",
        "RAG Query Success Rate": "gauge",
        "Vector Search Performance": "timeseries",
        "Token Usage by Model": "table",
        "User Satisfaction Scores": "timeseries",
    },
}


@pytest.fixture
def boards() -> dict[str, Any]:
    return committed()


def expressions(board: Any, title: str) -> list[str]:
    return [target["expr"] for target in panel(board, title)["targets"]]


# What is committed


def test_the_committed_files_are_what_the_code_makes() -> None:
    assert catalogue.differences() == []


def test_the_two_dashboards_are_known_by_the_specified_names(boards: dict[str, Any]) -> None:
    assert (boards[OVERVIEW]["uid"], boards[OVERVIEW]["title"]) == ("sistema-overview", "Sistema Overview")
    assert (boards[AI]["uid"], boards[AI]["title"]) == ("ai-chat-analytics", "AI & Chat Analytics")


@pytest.mark.parametrize("name", SPECIFIED)
def test_every_specified_panel_is_there_with_its_type_and_number(boards: dict[str, Any], name: str) -> None:
    found = {p["title"]: (p["id"], p["type"]) for p in boards[name]["panels"] if p["title"] in SPECIFIED[name]}
    assert found == {title: (number, kind) for number, (title, kind) in enumerate(SPECIFIED[name].items(), 1)}


def test_every_dashboard_keeps_every_rule(boards: dict[str, Any]) -> None:
    assert [str(finding) for finding in lint.lint(boards, EXPORTED, SOURCES)] == []


@pytest.mark.parametrize("name", SPECIFIED)
def test_a_dashboard_opens_on_the_last_hour_refreshes_and_leaves_the_timezone_to_grafana(
    boards: dict[str, Any], name: str
) -> None:
    board = boards[name]
    assert board["time"] == {"from": "now-1h", "to": "now"}
    assert (board["refresh"], board["timezone"]) == ("30s", "")
    assert isinstance(board["schemaVersion"], int)


@pytest.mark.parametrize("name", SPECIFIED)
def test_a_file_says_nothing_that_is_empty_beyond_what_grafana_needs(boards: dict[str, Any], name: str) -> None:
    empty = [path for path, value in everything(boards[name]) if value in (None, {}, [], "")]
    needed = r"^(id|timezone|.*\.overrides|.*\.thresholds\.steps\[0\]\.value|.*transformations\[\d\]\.options)$"
    assert [path for path in empty if not re.match(needed, path)] == []


def test_the_replicas_to_choose_from_are_those_of_the_chosen_environment(boards: dict[str, Any]) -> None:
    for board in boards.values():
        variables = {v["name"]: v for v in board["templating"]["list"]}
        assert variables["environment"]["query"] == 'label_values(app_info{job="backend"}, environment)'
        if "instance" in variables:
            assert 'environment=~"$environment"' in variables["instance"]["query"]
        choosers = [v for v in variables.values() if v["type"] != "textbox"]
        assert all(v["includeAll"] and v["multi"] and "allValue" not in v for v in choosers)


# What single panels promise


def test_health_is_zero_also_when_there_is_no_target_at_all(boards: dict[str, Any]) -> None:
    (query,) = expressions(boards[OVERVIEW], "System Health")
    assert query == 'avg(up{job="backend", instance=~"$instance"}) or vector(0)'
    words = panel(boards[OVERVIEW], "System Health")["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert {value: word["text"] for value, word in words.items()} == {"0": "DOWN", "1": "UP"}


def test_a_number_is_asked_for_as_it_is_now_so_that_none_outlives_its_backend(boards: dict[str, Any]) -> None:
    for board in boards.values():
        for found in board["panels"]:
            if found["type"] in ("stat", "gauge", "table", "bargauge"):
                targets = [target for target in found["targets"] if target["datasource"]["uid"] == "prometheus"]
                assert [target.get("instant") for target in targets] == [True] * len(targets)


def test_an_error_ratio_is_zero_and_not_nothing_while_no_request_fails(boards: dict[str, Any]) -> None:
    for query in expressions(boards[OVERVIEW], "Error Rate"):
        assert " or vector(0)) / (sum(sum_over_time(job_endpoint_status:http_requests:rate1m{" in query
        assert query.endswith(" > 0)")


def test_what_is_counted_from_records_reckons_with_the_interval_at_which_they_are_made() -> None:
    (group,) = read_yaml("prometheus/rules/panels.yml")["groups"]
    assert group["interval"] == f"{queries.RECORDED_EVERY}s"


def test_the_success_rate_comes_from_the_counters_and_names_the_gauge(boards: dict[str, Any]) -> None:
    (query,) = expressions(boards[AI], "RAG Query Success Rate")
    assert "rag_query_failures_total" in query
    assert "rag_queries_total" in query
    assert "`rag_query_success_rate`" in panel(boards[AI], "RAG Query Success Rate")["description"]


def test_latencies_lead_to_traces_by_exemplars(boards: dict[str, Any]) -> None:
    latencies = [(OVERVIEW, "API Response Time"), (AI, "AI Response Time Distribution")]
    latencies += [(AI, "Vector Search Performance"), (AI, "Time to First Token")]
    for name, title in latencies:
        assert any(target.get("exemplar") for target in panel(boards[name], title)["targets"])


def test_the_heatmap_asks_for_buckets_as_such(boards: dict[str, Any]) -> None:
    (target,) = panel(boards[AI], "AI Response Time Distribution")["targets"]
    assert (target["format"], target["legendFormat"]) == ("heatmap", "{{le}}")


# What Grafana is given


def test_the_data_sources_have_the_agreed_uids_and_point_at_each_other() -> None:
    assert {uid: uid for uid in ("prometheus", "loki", "tempo", "alertmanager")} == SOURCES
    assert lint.lint_provisioning(catalogue.PROVISIONING / "datasources") == []


def test_a_data_source_that_points_nowhere_is_found(tmp_path: Path) -> None:
    text = (catalogue.PROVISIONING / "datasources" / "datasources.yml").read_text(encoding="utf-8")
    (tmp_path / "datasources.yml").write_text(text.replace("datasourceUid: tempo", "datasourceUid: jaeger"))
    rules = {finding.rule for finding in lint.lint_provisioning(tmp_path)}
    assert rules == {"panel-datasource-rule"}


def test_grafana_reckons_with_the_interval_at_which_prometheus_scrapes() -> None:
    sources = read_yaml("grafana/provisioning/datasources/datasources.yml")["datasources"]
    prometheus = next(source for source in sources if source["uid"] == "prometheus")
    assert prometheus["jsonData"]["timeInterval"] == read_yaml("prometheus/prometheus.yml")["global"]["scrape_interval"]


def test_every_dollar_sign_for_grafana_to_keep_is_doubled() -> None:
    for file in catalogue.PROVISIONING.rglob("*.yml"):
        if file.parent.name == "alerting":
            continue  # Grafana takes a rule's annotations and queries as they are
        for line in file.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"(?<!\$)\$(?!\$)", line.split("#")[0]), f"{file.name}: {line}"


def test_the_dashboards_are_looked_for_where_compose_mounts_them() -> None:
    (provider,) = read_yaml("grafana/provisioning/dashboards/dashboards.yml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    assert (provider["folder"], provider["folderUid"]) == ("Specola", "specola")


def read_yaml(path: str) -> Any:
    return yaml.safe_load((catalogue.ROOT / path).read_text(encoding="utf-8"))


# The command


def test_the_check_passes_on_current_files_and_writing_again_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--folder", str(tmp_path)]) == 0
    assert command.main(["--folder", str(tmp_path), "--check"]) == 0
    capsys.readouterr()
    assert command.main(["--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "nothing to write: all files are current\n"


def spoil_value(file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace('"refresh": "30s"', '"refresh": "5s"'))


def drop_panel(file: Path) -> None:
    board = json.loads(file.read_text(encoding="utf-8"))
    del board["panels"][0], board["uid"]
    file.write_text(json.dumps(board))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (spoil_value, 'system-overview.json: refresh is "5s" in the file and "30s" in the code'),
        (drop_panel, "system-overview.json: uid is missing in the file"),
        (lambda file: file.unlink(), "system-overview.json: missing"),
        (lambda file: file.write_text("{"), "system-overview.json: is not JSON"),
        (lambda file: file.write_text(file.read_text() + "\n"), "system-overview.json: same content, written diff"),
        (lambda file: file.with_name("old.json").write_text("{}"), "old.json: no code makes it"),
    ],
)
def test_the_check_fails_and_names_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], named: str
) -> None:
    catalogue.write(tmp_path)
    spoil(tmp_path / OVERVIEW)
    assert command.main(["--folder", str(tmp_path), "--check"]) == 1
    assert named in capsys.readouterr().err
    catalogue.write(tmp_path)
    assert catalogue.differences(tmp_path) == []


def test_many_differences_are_counted_and_not_all_listed(tmp_path: Path) -> None:
    catalogue.write(tmp_path)
    file = tmp_path / OVERVIEW
    file.write_text(file.read_text(encoding="utf-8").replace('"loki"', '"x"').replace('"prometheus"', '"y"'))
    assert catalogue.differences(tmp_path)[-1].endswith("more differences")


def test_a_row_that_is_wider_than_the_grid_is_refused() -> None:
    from monitoring.dashboards.system_overview import _active_users

    wide = [(7, [(20, _active_users()), (6, _active_users())])]
    with pytest.raises(ValueError, match="is 26 wide: the grid has 24 columns"):
        render(uid="x", title="x", description="x", tags=[], rows=wide, variables=[])


def test_a_link_to_the_logs_keeps_placeholders_readable_and_encodes_the_rest() -> None:
    url = logs("x", '|= "a b"').url
    assert url is not None
    assert "${__from}" in url
    assert "${environment:pipe}" in url
    assert not set(url.replace("${", "").replace("}", "")) & set('{"| ')

"""Prometheus' rules: promtool accepts and tests them, what they ask for exists, each says all that a person needs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring import absent, rules
from monitoring.dashboards.promql import parse, uses
from tests.config.alerting import lint
from tests.config.alerting.check import check_rules
from tests.programs import PROJECT, accepted

FOLDER = PROJECT / "prometheus"
RULES = rules.read()
ALERTS = [rule for rule in RULES if not rule.record]
EXPOSED = lint.expositions()
FILES = sorted(path.name for path in rules.FOLDER.glob("*.yml"))
TESTS = sorted(path.name for path in (FOLDER / "tests").glob("*.yml"))
LINKS = {
    "runbook_url": "{{ $externalLabels.inbox_url }}/runbooks/",
    "dashboard": "{{ $externalLabels.grafana_url }}/d/",
}

SERVICES = {
    name
    for file in PROJECT.glob("docker-compose*.yml")
    for name in yaml.safe_load(re.sub(r"!(override|reset)", "", file.read_text(encoding="utf-8")))["services"]
}

#: The specification's six: severity and duration.
SPECIFIED = {
    "HighErrorRate": ("critical", "2m"),
    "HighResponseTime": ("warning", "5m"),
    "LowDiskSpace": ("critical", "1m"),
    "HighMemoryUsage": ("warning", "5m"),
    "IndexingJobsFailing": ("warning", "2m"),
    "AIServiceDown": ("critical", "1m"),
}


def read_yaml(path: str) -> Any:
    return yaml.safe_load((PROJECT / path).read_text(encoding="utf-8"))


def seconds(duration: str) -> int:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))


# What promtool says


def test_promtool_accepts_the_configuration() -> None:
    accepted("promtool", "check", "config", "prometheus/prometheus.yml")


@pytest.mark.parametrize("file", FILES)
def test_promtool_accepts_the_rules(file: str) -> None:
    check_rules(rules.FOLDER / file)


@pytest.mark.parametrize("file", TESTS)
def test_the_rules_fire_and_are_silent_as_their_tests_say(file: str) -> None:
    accepted("promtool", "test", "rules", f"prometheus/tests/{file}")


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ("expr: disk_free_percent{", "expr: disk_free_percent{{", "could not parse expression: 1:19: parse error"),
        ("alert: LowDiskSpace", "alarm: LowDiskSpace", "field alarm not found"),
        ("for: 1m\n        keep_firing_for: 5m", "for: a minute\n        keep_firing_for: 5m", "not a valid duration"),
        ("- alert: LowDiskSpace", "- {alert: Odd, expr: up, annotations: {a: '{{'}}\n      - alert: Low", "template: "),
    ],
)
def test_a_broken_rule_is_named_with_its_file_line_and_reason(
    tmp_path: Path, right: str, wrong: str, reason: str
) -> None:
    text = (rules.FOLDER / "specified.yml").read_text(encoding="utf-8")
    assert text.count(right) == 1
    line = text[: text.index(right)].count("\n") + 1
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace(right, wrong), encoding="utf-8")
    with pytest.raises(AssertionError, match=reason) as caught:
        check_rules(broken)
    assert str(caught.value).startswith(f"{broken}:{line}: ")


# What each alert says


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_says_what_is_wrong_how_bad_it_is_and_where_to_look(alert: rules.Rule) -> None:
    assert set(alert.annotations) == {"summary", "description", "runbook_url", "dashboard"}
    assert alert.labels["severity"] in ("critical", "warning", "info", "none", "escalation")
    assert "{{" not in alert.annotations["summary"], "the same for every time it fires, so that it can be recognised"
    assert alert.annotations["runbook_url"] == f"{LINKS['runbook_url']}{alert.name}"
    if alert.name not in ("Watchdog", "CriticalUnresolved", "MetricsAbsent"):
        assert "$value" in alert.annotations["description"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_dashboard_of_an_alert_has_the_panel_that_it_names(alert: rules.Rule) -> None:
    found = re.fullmatch(rf"{re.escape(LINKS['dashboard'])}([\w-]+)\?viewPanel=(\d+)", alert.annotations["dashboard"])
    assert found, alert.annotations["dashboard"]
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in PROJECT.glob("grafana/dashboards/*.json")]
    (board,) = [board for board in boards if board["uid"] == found[1]]
    assert int(found[2]) in [panel["id"] for panel in board["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_service_of_an_alert_is_one_of_the_stack(alert: rules.Rule) -> None:
    if "by (service" in alert.expr and "service" not in alert.labels:
        return  # it keeps the service of what it is about
    assert alert.labels["service"] in (*SERVICES, "{{ $labels.job }}", "{{ $labels.service }}")


def test_the_specified_alerts_have_their_severity_and_duration() -> None:
    found = {alert.name: (alert.labels["severity"], alert.hold) for alert in ALERTS if alert.name in SPECIFIED}
    assert found == SPECIFIED


def test_an_alert_waits_longer_than_a_restart_of_prometheus_forgets() -> None:
    command = read_yaml("docker-compose.yml")["services"]["prometheus"]["command"]
    (grace,) = [word.partition("=")[2] for word in command if word.startswith("--rules.alert.for-grace-period=")]
    for alert in ALERTS:
        assert not alert.hold or seconds(alert.hold) > seconds(grace), alert.name


# What each rule asks for


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_metric_and_label_of_a_rule_exists(rule: rules.Rule) -> None:
    assert lint.unknown(rule.expr, EXPOSED, lint.of_records(RULES)) == []


@pytest.mark.parametrize(
    ("expr", "line"),
    [
        ('disk_free{job="backend"} < 1', "disk_free is exposed by none of backend"),
        ('up{job="backned"} == 0', "up is exposed by none of the jobs that are named"),
        ("disk_free_percent < 1", "disk_free_percent is not narrowed to a job: others may export it too"),
        ('service_health{job="backend", part="database"} == 0', "service_health has no label part"),
        ('sum by (code) (rate(http_requests_total{job="backend"}[5m])) > 1', "http_requests_total has no label code"),
        ("job:http_requests:rate1h > 1", "job:http_requests:rate1h is exposed by none of "),
        ("sum by (instance) (job:http_requests:rate5m) > 1", "job:http_requests:rate5m has no label instance"),
    ],
)
def test_a_metric_or_label_that_nothing_exposes_is_found(expr: str, line: str) -> None:
    assert lint.unknown(expr, EXPOSED, lint.of_records(RULES))[0].startswith(line)


def test_every_metric_that_a_rule_rests_on_is_missed_when_it_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert absent.main(["--check"]) == 0
    old = tmp_path / "absent.yml"
    old.write_text(absent.RULES.read_text(encoding="utf-8").replace("absent(rag_queries_total", "absent(rag_total"))
    assert absent.main(["--check", "--rules", str(old)]) == 1
    said = capsys.readouterr().err
    assert 'it lacks: rag_queries_total{job="backend"}\n' in said
    assert 'it has without need: rag_total{job="backend"}\n' in said


def test_a_metric_that_begins_to_exist_once_it_counts_something_is_not_missed() -> None:
    assert "tempo_discarded_spans_total" in {use.metric for rule in RULES for use in uses(parse(rule.expr))}
    assert "tempo" not in absent.needed(RULES)


# What the tests test


@pytest.mark.parametrize("name", sorted({alert.name for alert in ALERTS}))
def test_an_alert_is_seen_to_fire_and_seen_to_be_silent(name: str) -> None:
    (file,) = {alert.file for alert in ALERTS if alert.name == name}
    checks = [
        bool(check.get("exp_alerts"))
        for path in (FOLDER / "tests").glob(file.replace(".yml", "*.yml"))
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for check in test.get("alert_rule_test", [])
        if check["alertname"] == name
    ]
    assert True in checks
    assert False in checks or name == "Watchdog"


def test_a_limit_is_read_from_its_rule() -> None:
    assert rules.limit("HighResponseTime") == 2.0
    with pytest.raises(ValueError, match="no alert NoSuchAlert that compares with a number"):
        rules.limit("NoSuchAlert")

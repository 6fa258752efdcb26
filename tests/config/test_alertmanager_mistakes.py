"""Mistakes in Alertmanager's configuration and in Loki's rules are named with file, line and reason."""

import subprocess
from pathlib import Path

import pytest

from monitoring.alerting_check import LOKI_RULES, check_alertmanager, check_loki_rules, expressions
from scripts.receivers import CONFIG
from tests.programs import PROJECT, program

RULES = LOKI_RULES / "rules.yml"


def changed(source: Path, old: str, new: str, folder: Path) -> tuple[Path, int]:
    """A copy with one mistake, and its line."""
    text = source.read_text()
    assert old in text
    copy = folder / source.name
    copy.write_text(text.replace(old, new, 1))
    return copy, text[: text.index(old)].count("\n") + 1


def test_what_is_committed_has_none() -> None:
    assert check_alertmanager() == []
    for file in LOKI_RULES.glob("*.yml"):
        assert check_loki_rules(file) == []


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("receiver: watchdog", "receiver: watchcat", "no receiver is called 'watchcat': one of chat, escalation"),
        ("location: Europe/Rome", "location: Europe/Rom", "no time zone is called 'Europe/Rom'"),
        ("mute_time_intervals: [quiet-hours]", "mute_time_intervals: [night]", "no time interval is called 'night'"),
        ("templates: [templates/*.tmpl]", "templates: [template/*.tmpl]", "no template matches 'template/*.tmpl'"),
        (
            "# [smtp_password] smtp_auth_p",
            "smtp_auth_p",
            "smtp_auth_password_file: there is no /run/secrets/smtp_passw",
        ),
        ("group_by: [alertname, service]", "group_by: [alertname, service", "expected ',' or ']'"),
    ],
)
def test_a_mistake_in_alertmanagers_configuration(old: str, new: str, reason: str, tmp_path: Path) -> None:
    copy, line = changed(CONFIG, old, new, tmp_path)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/specola.tmpl").touch()
    problem, *others = check_alertmanager(copy, tmp_path / "secrets")
    assert others == []
    if "expected" in reason:  # YAML notices a bracket that is missing where the next line goes wrong
        line += 1
    assert problem.startswith(f"{copy}:{line}: ")
    assert reason in problem


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("for: 2m", "fro: 2m", "a rule has no key 'fro': one of alert, annotations, expr, for, labels"),
        ("severity: warning", "severity: warm", "no severity is called 'warm'"),
        ("- alert: LogErrorBurst", "- alert: LogErrorBurst: twice", "mapping values are not allowed here"),
    ],
)
def test_a_mistake_in_lokis_rules(old: str, new: str, reason: str, tmp_path: Path) -> None:
    copy, line = changed(RULES, old, new, tmp_path)
    (problem,) = check_loki_rules(copy)
    assert problem.startswith(f"{copy}:{line}: ")
    assert reason in problem


def test_a_rule_without_a_way_onward(tmp_path: Path) -> None:
    copy, _ = changed(RULES, 'runbook_url: "{{ $externalLabels.inbox_url }}/runbooks/LogErrorBurst"', "", tmp_path)
    (problem,) = check_loki_rules(copy)
    assert "the rule has no 'runbook_url' among its annotations" in problem


def logql_problems(file: Path) -> list[str]:
    """What Loki's own parser says of each expression."""
    found = []
    for line, expression in expressions(file):
        answer = subprocess.run(
            [program("logcli"), "fmt"], input=expression, capture_output=True, text=True, timeout=20, check=False
        )
        if answer.returncode:
            found.append(f"{file}:{line}: {answer.stderr.strip()}")
    return found


def test_loki_can_read_every_expression(tmp_path: Path) -> None:
    assert [problem for file in LOKI_RULES.glob("*.yml") for problem in logql_problems(file)] == []
    copy, line = changed(RULES, "count_over_time(", "count_over(", tmp_path)
    (problem,) = logql_problems(copy)
    assert problem.startswith(f"{copy}:{line}: ")
    assert "parse error" in problem


def test_every_alert_on_logs_names_a_panel_that_exists() -> None:
    boards = "\n".join(path.read_text() for path in (PROJECT / "grafana/dashboards").glob("*.json"))
    for part in RULES.read_text().split("/d/")[1:]:
        assert f'"uid": "{part.split("?")[0]}"' in boards

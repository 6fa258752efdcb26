"""Alertmanager's configuration: accepted with every way on or off, and every alert goes where it should."""

import itertools
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from app.services.alerts import RECEIVERS, Alert, logs_link, silence_link
from monitoring import escalation
from scripts.receivers import CONFIG, ReceiverError, apply, present, switched_on, ways
from tests.programs import PROJECT, accepted

TEXT = CONFIG.read_text()
#: Who is told of what.
DESTINATIONS = {
    "critical": "page",
    "warning": "chat",
    "info": "log",
    "escalation": "escalation",
    "none": "watchdog",
}
RULES = sorted([*(PROJECT / "prometheus/rules").glob("*.yml"), *(PROJECT / "loki/rules").glob("*/*.yml")])


def alerts() -> list[dict[str, Any]]:
    """Every alerting rule of Prometheus and of Loki."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def combinations() -> list[tuple[str, str, str]]:
    """Every name, severity and service that occurs; where the expression says the service, each of those."""
    given = [(rule, rule["labels"].get("service", "{{")) for rule in alerts()]
    services = {service for _, service in given if "{{" not in service}
    return sorted(
        {
            (rule["alert"], rule["labels"]["severity"], one)
            for rule, service in given
            for one in (services if "{{" in service else {service})
        }
    )


def in_use(folder: Path, text: str) -> Path:
    """A configuration beside its templates."""
    (folder / "templates").mkdir()
    for template in (CONFIG.parent / "templates").iterdir():
        (folder / "templates" / template.name).write_text(template.read_text())
    (folder / "alertmanager.yml").write_text(text)
    return folder / "alertmanager.yml"


@pytest.mark.parametrize("names", [[], *([name] for name in ways(TEXT)), ways(TEXT)], ids="+".join)
def test_it_is_accepted_with_each_way_on(names: list[str], tmp_path: Path) -> None:
    check = ("amtool", "check-config", str(in_use(tmp_path, switched_on(TEXT, names))))
    version = re.search(r"version (\d+)\.(\d+)", accepted("amtool", "--version"))
    assert version is not None
    if (int(version[1]), int(version[2])) < (0, 26) and any(name.endswith("webhook_url") for name in names):
        with pytest.raises(AssertionError, match="url_file not found"):  # as alertmanager.yml says at its top
            accepted(*check)
        return
    accepted(*check)


def goes_to(receiver: str, **labels: str) -> None:
    """Holds where Alertmanager sends an alert with these labels."""
    pairs = [f"{name}={value}" for name, value in labels.items()]
    test = ("amtool", "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}")
    accepted(*test, *pairs)


@pytest.mark.parametrize(("alertname", "severity", "service"), combinations())
def test_every_alert_goes_to_the_receiver_of_its_severity(alertname: str, severity: str, service: str) -> None:
    goes_to(DESTINATIONS[severity], alertname=alertname, severity=severity, service=service)


def test_a_severity_that_nobody_foresaw_is_read_by_people() -> None:
    goes_to("chat", alertname="SomethingNew", severity="urgent", service="backend")
    with pytest.raises(AssertionError, match="page"):
        goes_to("page", severity="urgent")


def test_every_receiver_reaches_the_inbox_which_knows_it_and_says_when_it_is_over() -> None:
    config = escalation.load(TEXT)
    names = [receiver["name"] for receiver in config["receivers"]]
    assert set(names) == set(RECEIVERS) - {"grafana", "other"}
    for receiver in config["receivers"]:
        assert receiver["webhook_configs"][0] == {"url": "http://alert-inbox:8001/alerts"}
        for kind in ("slack_configs", "email_configs"):
            assert all(way["send_resolved"] for way in receiver.get(kind, ()))


def test_names_in_inhibitions_are_those_of_rules() -> None:
    known = {rule["alert"] for rule in alerts()}
    for rule in yaml.safe_load(TEXT)["inhibit_rules"]:
        for matcher in [*rule["source_matchers"], *rule["target_matchers"]]:
            label, _, value = re.fullmatch(r"(\w+)(=~|!~|!=|=)\"(.*)\"", matcher).groups()  # type: ignore[union-attr]
            if label in ("alertname", "source_alert"):
                assert set(value.split("|")) <= known, f"{matcher}: no such alert"


def test_the_escalation_page_is_current() -> None:
    page = escalation.PAGE.read_text()
    assert escalation.current(page, TEXT) == page, "run `python -m monitoring.escalation`"
    with pytest.raises(ValueError, match="needs the lines"):
        escalation.current("no table", TEXT)


def test_the_inherited_settings_of_a_route_are_shown() -> None:
    rows = escalation.table(TEXT).splitlines()
    (critical,) = [row for row in rows if 'severity="critical"' in row]
    assert [cell.strip() for cell in critical.split("|")][4:8] == ["10s", "same alertname and service", "1m", "1h"]
    (warning,) = [row for row in rows if 'severity="warning"' in row]
    assert "22:00-24:00 and 00:00-07:00 (Europe/Rome)" in warning


ALERT = {
    "status": "firing",
    "labels": {"alertname": "AIServiceDown", "service": "backend", "severity": "critical"},
    "annotations": {
        "summary": "AI service is down",
        "description": "The AI provider has not answered (health 0, 1 is well).",
        "dashboard": "http://grafana.test/d/ai-chat-analytics?viewPanel=2",
        "runbook_url": "http://inbox.test/runbooks/AIServiceDown",
    },
    "startsAt": "2026-07-01T10:00:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "abc",
}
DATA = {
    "receiver": "page",
    "status": "firing",
    "externalURL": "http://alertmanager.test",
    "groupLabels": {"alertname": "AIServiceDown", "service": "backend"},
    "commonLabels": {},
    "commonAnnotations": {},
    "alerts": [ALERT],
}


def rendered(template: str, kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a template makes of one alert, in Rome."""
    monkeypatch.setenv("TZ", "Europe/Rome")
    (folder / "data.json").write_text(json.dumps(DATA))
    return accepted(
        "amtool", "template", "render", f"--template.glob={CONFIG.parent}/templates/*.tmpl", f"--template.type={kind}",
        f'--template.text={{{{ template "{template}" . }}}}', f"--template.data={folder}/data.json",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("template", "kind"), [("specola.text", "text"), ("slack.default.text", "text"), ("email.default.html", "html")]
)
def test_chat_and_mail_have_the_same_content(
    template: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = unquote(rendered(template, kind, tmp_path, monkeypatch)).replace("&amp;", "&")
    alert = Alert(**ALERT)
    for what in (
        "AI service is down",
        "2026-07-01 12:00:00 CEST",
        "critical",
        "health 0, 1 is well",
        "http://grafana.test/d/ai-chat-analytics?viewPanel=2",
        "http://inbox.test/runbooks/AIServiceDown",
        unquote(logs_link(alert)),
        unquote(silence_link(alert, "http://alertmanager.test")),
    ):
        assert what in text


@pytest.mark.parametrize("template", ["slack.default.title", "email.default.subject"])
def test_the_title_says_how_many_of_what(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered(template, "text", tmp_path, monkeypatch).strip() == "[FIRING:1] AIServiceDown (backend)"


def test_a_secret_switches_its_way_on_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTMANAGER_CONFIG", "")
    secrets, config = tmp_path / "secrets", tmp_path / "alertmanager.yml"
    secrets.mkdir()
    config.write_text(TEXT)
    copy = tmp_path / "with-receivers.yml"
    assert apply(secrets, config).startswith("Alerts go to alert-inbox alone")
    assert yaml.safe_load(copy.read_text()) == yaml.safe_load(TEXT)
    (secrets / "chat_url").write_text("https://chat.example.org/hook\n")
    assert apply(secrets, config) == "Alerts go to alert-inbox, and by chat_url."
    on = {receiver["name"]: receiver for receiver in yaml.safe_load(copy.read_text())["receivers"]}
    assert on["chat"]["slack_configs"] == [{"api_url_file": "/run/secrets/chat_url", "send_resolved": True}]
    assert [name for name, receiver in on.items() if set(receiver) != {"name", "webhook_configs"}] == ["chat"]
    assert "example.org/hook" not in copy.read_text(), "the secret itself stays where it is"


def test_a_file_that_switches_on_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "slack").write_text("x")
    with pytest.raises(ReceiverError, match=r"slack switches on nothing: its name has to be one of .*page_webhook_url"):
        present(TEXT, tmp_path)
    (tmp_path / "slack").rename(tmp_path / "chat_url").write_text(" \n")
    with pytest.raises(ReceiverError, match="chat_url is empty"):
        present(TEXT, tmp_path)


def test_every_way_is_explained() -> None:
    page = (PROJECT / "secrets/alertmanager/README.md").read_text()
    assert [name for name in itertools.chain(ways(TEXT)) if f"`{name}`" not in page] == []

"""What becomes of an alert after it fires: a real Alertmanager with the repository's routing, and real ways to people.

Everything happens at a thirtieth of the time: a group is gathered for 0.3 s, and told of a change after 2 s.
"""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from app.inbox import create_inbox
from tests.backend.conftest import make_settings, served
from tests.e2e.alerting import Receiver, alertmanager, free_port, post, receiving, routing
from tests.e2e.stack import until

FACTOR = 30
#: As long as a warning is gathered, and a little more (seconds at this factor).
SOON = 30 / FACTOR + 1.0
#: The routing's quiet hours, moved so that they cannot hold now.
NEVER = 'times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "07:00"}]'


def alert(name: str, severity: str = "critical", service: str = "backend", **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": severity, "service": service, **labels},
        "annotations": {
            "summary": f"{name} is happening",
            "description": "The value is 7 (limit 3).",
            "runbook_url": f"http://inbox.test/runbooks/{name}",
            "dashboard": "http://grafana.test/d/sistema-overview?viewPanel=2",
        },
    }


def over(one: dict[str, Any]) -> dict[str, Any]:
    """The same alert, resolved."""
    return one | {"endsAt": datetime.now(ZoneInfo("UTC")).isoformat()}


def quiet(start: timedelta, end: timedelta) -> dict[str, str]:
    """The change that makes the quiet hours of Rome last from `start` to `end`, counted from now."""
    now = datetime.now(ZoneInfo("Europe/Rome"))
    first, last = (now + start).strftime("%H:%M"), (now + end).strftime("%H:%M")
    halves = [(first, last)] if first < last else [(first, "24:00"), ("00:00", last)]
    times = ", ".join(f'{{start_time: "{begin}", end_time: "{finish}"}}' for begin, finish in halves if begin != finish)
    return {NEVER: f"times: [{times}]"}


DAY = quiet(timedelta(hours=11), timedelta(hours=12))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_each_severity_reaches_its_receiver_and_the_end_is_told_too(receiver: Receiver, tmp_path: Path) -> None:
    severities = {"critical": "page", "warning": "chat", "info": "log", "escalation": "escalation"}
    with alertmanager(tmp_path, routing(tmp_path, receiver.url, FACTOR, changes=DAY), free_port()) as address:
        alerts = [alert(f"A{severity}", severity, service=f"of-{severity}") for severity in severities]
        post(address, *alerts, alert("Watchdog", "none", "prometheus"))
        until(lambda: len(set(receiver.names())) == 5, "all are told", seconds=10)
        expected = {receiver: [f"A{severity}"] for severity, receiver in severities.items()}
        assert {name: receiver.names(name) for name in expected} == expected
        post(address, *(over(one) for one in alerts))
        until(lambda: len(set(receiver.names(status="resolved"))) == 4, "all are told to be over", seconds=45)
        until(lambda: len(receiver.names("watchdog")) >= 3, "the Watchdog comes again and again", seconds=10)


def test_what_has_one_name_and_one_service_is_one_message(receiver: Receiver, tmp_path: Path) -> None:
    with alertmanager(tmp_path, routing(tmp_path, receiver.url, FACTOR), free_port()) as address:
        post(
            address,
            *(alert("LowDiskSpace", instance=f"replica-{n}") for n in range(20)),
            alert("LowDiskSpace", service="loki"),
        )
        until(lambda: len(receiver.names()) == 21, "all are told", seconds=10)
        assert [len(body["alerts"]) for _, _, body in receiver.received] in ([20, 1], [1, 20])


def test_a_critical_alert_holds_back_the_warnings_of_its_service_until_it_is_over(
    receiver: Receiver, tmp_path: Path
) -> None:
    with alertmanager(tmp_path, routing(tmp_path, receiver.url, FACTOR, changes=DAY), free_port()) as address:
        cause, warning = alert("AIServiceDown"), alert("HighResponseTime", "warning")
        post(address, cause, warning, alert("LokiRequestErrors", "warning", "loki"))
        until(lambda: "LokiRequestErrors" in receiver.names(), "another service's warning is told", seconds=10)
        time.sleep(SOON)
        assert "HighResponseTime" not in receiver.names()
        post(address, over(cause))
        until(lambda: "HighResponseTime" in receiver.names("chat"), "the warning that outlived it", seconds=25)


@pytest.mark.parametrize(
    ("hours", "told"),
    [(quiet(timedelta(minutes=-30), timedelta(minutes=30)), False), (DAY, True)],
    ids=["in quiet hours", "by day"],
)
def test_warnings_wait_for_the_morning_and_nothing_else_does(
    hours: dict[str, str], told: bool, receiver: Receiver, tmp_path: Path
) -> None:
    with alertmanager(tmp_path, routing(tmp_path, receiver.url, FACTOR, changes=hours), free_port()) as address:
        post(address, alert("HighMemoryUsage", "warning"), alert("LokiDown", service="loki"), alert("Deployed", "info"))
        until(lambda: {"LokiDown", "Deployed"} <= set(receiver.names()), "what cannot wait is told", seconds=10)
        time.sleep(SOON)
        assert ("HighMemoryUsage" in receiver.names()) is told


def test_a_receiver_that_answers_500_is_tried_until_it_takes_the_alert(receiver: Receiver, tmp_path: Path) -> None:
    receiver.status = 500
    with alertmanager(tmp_path, routing(tmp_path, receiver.url, FACTOR), free_port()) as address:
        post(address, alert("AIServiceDown"))
        time.sleep(5)  # at full length two minutes and a half: beyond one group interval
        assert receiver.refused >= 3
        assert receiver.received == []
        receiver.status = 200
        until(lambda: receiver.names("page") == ["AIServiceDown"], "it is delivered", seconds=10)


def test_a_restart_repeats_nothing_that_was_told_and_keeps_silences(receiver: Receiver, tmp_path: Path) -> None:
    config = routing(tmp_path, receiver.url, FACTOR)
    told, silenced = alert("AIServiceDown"), alert("LowDiskSpace", service="loki")
    with alertmanager(tmp_path, config, free_port()) as address:
        now = datetime.now(ZoneInfo("UTC"))
        silence = {
            "matchers": [{"name": "alertname", "value": "LowDiskSpace", "isRegex": False}],
            "startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "somebody", "comment": "a larger disk is on its way",
        }  # fmt: skip
        httpx.post(f"{address}/api/v2/silences", json=silence).raise_for_status()
        post(address, told, silenced)
        until(lambda: receiver.names() == ["AIServiceDown"], "the page", seconds=10)
    with alertmanager(tmp_path, config, free_port()) as address:
        post(address, told, silenced, alert("LokiDown", service="loki"))
        until(lambda: "LokiDown" in receiver.names(), "what is new", seconds=10)
        time.sleep(SOON)
        assert sorted(receiver.names()) == ["AIServiceDown", "LokiDown"]


def test_the_inbox_counts_what_is_repeated_as_one_alert(tmp_path: Path) -> None:
    app = create_inbox(make_settings(tmp_path, runbooks_dir=tmp_path))
    with (
        served(app) as inbox,
        # An hour is two minutes at this factor: every four seconds instead.
        alertmanager(tmp_path, routing(tmp_path, inbox, FACTOR, changes={"120000ms": "4s"}), free_port()) as address,
    ):
        post(address, alert("AIServiceDown"))

        def kept() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = httpx.get(f"{inbox}/alerts?alertname=AIServiceDown").json()
            return found

        until(lambda: kept() and kept()[0]["deliveries"] >= 2, "it is told again", seconds=15)
        (entry,) = kept()
        assert entry["receiver"] == "page"
        assert entry["received_at"] < entry["last_received_at"]
        assert entry["silence"].startswith(f"{address}/#/silences/new?filter=")


class Mailbox:
    """Takes mail from whoever knows the password."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.passwords: list[bytes] = []

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"

    def authenticate(self, _: Any, __: Any, ___: Any, mechanism: str, data: Any) -> AuthResult:
        self.passwords.append(data.password)
        return AuthResult(success=data.password == b"sesame")


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_secret_in_a_file_brings_the_same_alert_by_mail_chat_and_webhook(receiver: Receiver, tmp_path: Path) -> None:
    mailbox, port = Mailbox(), free_port()
    server = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        authenticator=mailbox.authenticate,
        auth_require_tls=False,
        auth_required=True,
        auth_exclude_mechanism=["LOGIN"],  # its challenge is not the one that Alertmanager expects
    )
    (tmp_path / "secrets").mkdir()
    secrets = {"smtp_password": "sesame", "page_chat_url": f"{receiver.url}/chat"}
    for name, secret in secrets.items():
        (tmp_path / "secrets" / name).write_text(secret)
    mail = {"smtp.example.org:587": f"127.0.0.1:{port}\n  smtp_require_tls: false"}
    config = routing(tmp_path, receiver.url, FACTOR, list(secrets), mail)
    server.start()
    try:
        with alertmanager(tmp_path, config, free_port(), TZ="Europe/Rome") as address:
            post(address, alert("AIServiceDown"))
            until(lambda: mailbox.mails and len(receiver.received) == 2, "all three have it", seconds=10)
    finally:
        server.stop()
    (mail_, *_) = mailbox.mails
    assert set(mailbox.passwords) == {b"sesame"}
    assert (mail_["to"], mail_["from"]) == ("oncall@example.org", "specola@example.org")
    assert mail_["subject"] == "[FIRING:1] AIServiceDown (backend)"
    bodies = {path: body for _, path, body in receiver.received}
    chat = bodies["/chat"]["attachments"][0]
    plain, html = (part.get_content() for part in mail_.iter_parts())
    assert chat["title"] == "[FIRING:1] AIServiceDown (backend)"
    for text in (chat["text"], plain, html.replace("&amp;", "&")):
        assert "AIServiceDown is happening" in text
        assert "The value is 7 (limit 3)." in text
        assert "http://inbox.test/runbooks/AIServiceDown" in text
        assert "http://grafana.test/d/sistema-overview?viewPanel=2" in text
        assert "http://grafana.test/explore?left=%7B%22datasource%22%3A%22loki%22" in text
        assert f"{address}/#/silences/new?filter=%7Balertname" in text
        assert "CET" in text or "CEST" in text
    (webhook,) = bodies["/alerts"]["alerts"]
    assert webhook["annotations"] == alert("AIServiceDown")["annotations"]

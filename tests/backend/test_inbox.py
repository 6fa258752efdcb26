"""alert-inbox: what arrives is written, counted and kept; runbooks are served; silence of the Watchdog is said."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from prometheus_client import REGISTRY

from app import inbox
from app.core.heartbeat import beat
from app.inbox import create_inbox
from app.probe import answers
from tests.backend.conftest import make_settings, served


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "Watchdog.md").write_text("# Watchdog\n\n| a | b |\n|---|---|\n| 1 | <b>2</b> |\n")
    app = create_inbox(make_settings(tmp_path, runbooks_dir=tmp_path, watchdog_timeout_seconds=0.4))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client,
    ):
        yield client


def notification(name: str = "HighErrorRate", status: str = "firing", severity: str = "critical") -> dict[str, Any]:
    alert = {
        "status": status,
        "labels": {"alertname": name, "severity": severity},
        "annotations": {"summary": "too many errors"},
        "startsAt": "2026-01-01T00:00:00Z",
        "fingerprint": "abc",
        "generatorURL": "http://prometheus",
    }
    return {"version": "4", "receiver": "page", "status": status, "alerts": [alert], "groupKey": "x"}


def received(severity: str, status: str) -> float:
    return REGISTRY.get_sample_value("alerts_received_total", {"severity": severity, "status": status}) or 0


def written(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"].startswith(event)]


async def test_an_alert_is_written_counted_and_kept(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    before = received("critical", "firing"), received("critical", "resolved")
    assert (await client.post("/alerts", json=notification())).status_code == 204
    assert (await client.post("/alerts", json=notification(status="resolved"))).status_code == 204
    assert (received("critical", "firing"), received("critical", "resolved")) == (before[0] + 1, before[1] + 1)
    kept = (await client.get("/alerts?alertname=HighErrorRate")).json()
    assert [alert["status"] for alert in kept] == ["resolved", "firing"]
    assert kept[0]["receiver"] == "page"
    assert (await client.get("/alerts?alertname=Other")).json() == []
    firing, resolved = written(capsys, "alert")
    assert (firing["level"], firing["alertname"], firing["alert_status"]) == ("error", "HighErrorRate", "firing")
    assert resolved["level"] == "warning"
    assert firing["annotations"]["summary"] == "too many errors"


async def test_what_comes_again_is_the_same_entry_with_one_delivery_more(client: httpx.AsyncClient) -> None:
    before = REGISTRY.get_sample_value("alert_repeats_total", {"receiver": "page"}) or 0
    start = time.time()
    for _ in range(3):
        await client.post("/alerts", json=notification())
    (kept,) = (await client.get("/alerts")).json()
    assert kept["deliveries"] == 3
    assert start <= kept["received_at"] <= kept["last_received_at"] <= time.time()
    assert REGISTRY.get_sample_value("alert_repeats_total", {"receiver": "page"}) == before + 2
    later = notification()
    later["alerts"][0]["startsAt"] = "2026-01-02T00:00:00Z"
    await client.post("/alerts", json=later)
    assert [alert["deliveries"] for alert in (await client.get("/alerts")).json()] == [1, 3], "a new start is new"


async def test_grafanas_own_notifications_are_taken_too(client: httpx.AsyncClient) -> None:
    one = notification() | {
        "receiver": "grafana",
        "orgId": 1,
        "title": "[FIRING:1]",
        "state": "alerting",
        "message": "",
    }
    one["alerts"][0] |= {"values": None, "valueString": "", "dashboardURL": "", "panelURL": "", "silenceURL": ""}
    assert (await client.post("/alerts", json=one)).status_code == 204
    (kept,) = (await client.get("/alerts")).json()
    assert kept["receiver"] == "grafana"


async def test_what_arrived_since_a_time_can_be_asked(client: httpx.AsyncClient) -> None:
    await client.post("/alerts", json=notification("Earlier"))
    await asyncio.sleep(0.02)
    between = time.time()
    await client.post("/alerts", json=notification("Later") | {"receiver": "somebody's"})
    (alert,) = (await client.get(f"/alerts?since={between}")).json()
    assert (alert["labels"]["alertname"], alert["receiver"]) == ("Later", "other"), "receivers are a bounded label"
    assert (await client.get("/alerts?since=tomorrow")).status_code == 422


async def test_only_the_last_alerts_are_kept(client: httpx.AsyncClient) -> None:
    for number in range(0, 1500, 100):
        one = notification()
        one["alerts"] = [one["alerts"][0] | {"fingerprint": str(number + n)} for n in range(100)]
        assert (await client.post("/alerts", json=one)).status_code == 204
    kept = (await client.get("/alerts")).json()
    assert (len(kept), kept[0]["fingerprint"]) == (1000, "1499")


async def test_severities_of_others_are_no_labels(client: httpx.AsyncClient) -> None:
    before = received("none", "firing")
    await client.post("/alerts", json=notification(severity="made-up"))
    assert received("none", "firing") == before + 1


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_set_is_no_silence_and_hides_none(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    real = time.time
    await client.post("/alerts", json=notification("Watchdog", severity="none"))
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours)
    await asyncio.sleep(0.2)
    assert written(capsys, "the Watchdog stopped") == []
    await asyncio.sleep(0.8)
    assert len(written(capsys, "the Watchdog stopped")) == 1


async def test_the_watchdogs_silence_is_said_once_and_its_return_too(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await client.post("/alerts", json=notification("Watchdog", severity="none"))
    assert (await client.get("/alerts")).json() == [], "its presence is no news"
    await asyncio.sleep(1.0)
    assert [line["level"] for line in written(capsys, "the Watchdog stopped")] == ["critical"]
    await client.post("/alerts", json=notification("Watchdog", severity="none"))
    await asyncio.sleep(0.3)
    assert len(written(capsys, "the Watchdog is back")) == 1


async def test_runbooks_are_pages(client: httpx.AsyncClient) -> None:
    page = await client.get("/runbooks/Watchdog")
    assert page.headers["content-type"].startswith("text/html")
    assert "<h1>Watchdog</h1>" in page.text
    assert "<table>" in page.text
    assert "<b>" not in page.text, "HTML in a runbook stays text"
    assert (await client.get("/runbooks/Watchdog.md")).text == page.text, "as one page names another"
    assert '<a href="/runbooks/Watchdog">' in (await client.get("/runbooks")).text
    for name in ("Nothing", "..%2Fsecret", "a b"):
        assert (await client.get(f"/runbooks/{name}")).status_code == 404


async def test_rubbish_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/alerts", json={"alerts": "x"})).status_code == 422
    too_large = b'{"x": "' + b"x" * inbox.MAX_NOTIFICATION_BYTES + b'"}'
    assert (await client.post("/alerts", content=too_large)).status_code == 413


async def test_its_metrics_and_life_can_be_asked(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/live")).status_code == 200
    assert "watchdog_last_received_timestamp_seconds" in (await client.get("/metrics")).text


def test_the_probe_tells_2xx_from_all_else() -> None:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    routes = [
        Route("/good", lambda _: PlainTextResponse("yes")),
        Route("/bad", lambda _: PlainTextResponse("no", status_code=503)),
    ]
    with served(Starlette(routes=routes)) as address:
        assert answers(address + "/good")
        assert not answers(address + "/bad")
        assert not answers(address + "/missing")
    assert not answers(address + "/good"), "a closed port"


async def test_the_line_has_the_ways_onward(client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    one = notification() | {"externalURL": "http://am:9093"}
    one["alerts"][0]["annotations"]["dashboard"] = "http://grafana:3000/d/sistema-overview?viewPanel=2"
    one["alerts"][0]["labels"]["service"] = "backend"
    await client.post("/alerts", json=one)
    (line,) = written(capsys, "alert")
    logs = json.loads(unquote(line["logs"].removeprefix("http://grafana:3000/explore?left=")))
    assert logs["queries"][0]["expr"] == '{service="backend"}'
    assert logs["range"] == {"from": "1767224700000", "to": "now"}, "a quarter of an hour before the alert began"
    silence = unquote(line["silence"])
    assert silence == 'http://am:9093/#/silences/new?filter={alertname="HighErrorRate",service="backend"}'


async def test_it_writes_a_line_without_being_asked(capsys: pytest.CaptureFixture[str]) -> None:
    beating = asyncio.create_task(beat(0.05))
    await asyncio.sleep(0.12)
    beating.cancel()
    lines = written(capsys, "running")
    assert len(lines) >= 2
    assert {(line["level"], line["logger"]) for line in lines} == {("info", "heartbeat")}

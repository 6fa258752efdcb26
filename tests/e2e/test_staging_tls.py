"""TLS between the parts of staging, brought up for real: nothing is served without, and everything still arrives."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.stack import until
from tests.e2e.staging import Staging, staging
from tests.e2e.staging_table import LISTENS, PROTECTED, TOGETHER

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

#: Of each part, but for gRPC among its own, which is on loopback here.
PORTS = {
    name: [port for port in ports if port != 9095]
    for name, ports in LISTENS.items()
    if name not in ("gateway", "secrets")
}
#: What Grafana, as its admin, is given of each data source.
SOURCES = {path: text for path, (_, _, text) in PROTECTED.items() if "/datasources/proxy/" in path}


@pytest.fixture(scope="module", params=["containers"])
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staging]:
    with staging(tmp_path_factory.mktemp("tls"), tls=True) as running:
        yield running


def neighbour(name: str) -> str:
    """A service that asks this one."""
    return next(asking for asking, asked in TOGETHER if asked == name)


def operator(stack: Staging, part: str) -> httpx.Client:
    user = "admin" if part == "grafana_admin" else "operator"
    return stack.client(auth=(user, stack.secret(f"{part}_password")))


def test_every_part_is_healthy_by_its_own_check(secured: Staging) -> None:
    states = {name: one["State"] for name, one in secured.containers().items()}
    assert set(states) == set(LISTENS)
    unchecked = {name for name, state in states.items() if "Health" not in state}
    assert unchecked == {"mongodb-exporter"}
    assert {state["Health"]["Status"] for name, state in states.items() if name not in unchecked} == {"healthy"}


@pytest.mark.parametrize("name", PORTS)
def test_a_part_serves_its_own_certificate_and_nothing_without_tls(secured: Staging, name: str) -> None:
    asked = [("GET", f"http://{name}:{port}{path}", {}) for port in PORTS[name] for path in ("/", "/metrics")]
    seen = secured.probe(neighbour(name), requests=asked, handshakes=[(name, port) for port in PORTS[name]])
    assert set(seen["spoken"]) == {"TLSv1.3"}
    assert [answer for answer in seen["answers"] if answer[0] not in (0, 400)] == []
    assert secured.probe(name)["listening"] == PORTS[name]


def test_prometheus_scrapes_everything_and_its_alerts_arrive(secured: Staging) -> None:
    with operator(secured, "prometheus") as client:

        def missing() -> list[str]:
            targets = client.get("/prometheus/api/v1/targets").json()["data"]["activeTargets"]
            assert len(targets) == 11
            assert {one["scrapeUrl"].split(":")[0] for one in targets} == {"https"}
            return [f"{one['labels']['job']}: {one['lastError']}" for one in targets if one["health"] != "up"]

        until(lambda: not missing(), "all targets are up", 60)
        arrived = "/prometheus/api/v1/query?query=watchdog_last_received_timestamp_seconds>0"
        until(lambda: client.get(arrived).json()["data"]["result"], "an alert went all the way", 90)


@pytest.fixture(scope="module")
def request_id(secured: Staging) -> str:
    """Of a question that was answered from a document."""
    made = secured.run("exec", "-T", "backend", "python", "-m", "app.keys", "make", "tls", "--scopes", "chat,documents")
    with secured.client(headers={"Authorization": f"Bearer {made.strip()}"}) as user:
        session = until(lambda: user.post("/api/v1/chat/sessions").json().get("session_id"), "the key is known", 30)
        text = b"The lighthouse of Rocca Verde has two hundred and seven steps."
        uploaded = user.post("/api/v1/documents", files={"file": ("lighthouse.txt", text)})
        assert uploaded.status_code == 202, uploaded.text
        question = {"content": "How many steps has the lighthouse of Rocca Verde?"}

        def answered() -> Any:
            answer = user.post(f"/api/v1/chat/sessions/{session}/messages", json=question)
            return answer if "two hundred and seven" in answer.text else None

        identity: str = until(answered, "the document answers the question", 60).headers["x-request-id"]
        return identity


def test_a_question_is_answered_and_found_again_in_loki_and_tempo(secured: Staging, request_id: str) -> None:
    with operator(secured, "loki") as client:
        query = {"query": f'{{service="backend"}} | request_id="{request_id}"'}
        path = "/loki/api/v1/query_range"
        found = until(lambda: client.get(path, params=query).json()["data"]["result"], "its lines are in Loki", 60)
        trace = next(one["stream"]["trace_id"] for one in found if one["stream"].get("trace_id"))
    with operator(secured, "tempo") as client:
        until(lambda: client.get(f"/tempo/api/traces/{trace}").status_code == 200, "its trace is in Tempo", 60)
    with operator(secured, "prometheus") as client:  # which Tempo writes to
        spans = "/prometheus/api/v1/query?query=traces_spanmetrics_calls_total"
        until(lambda: client.get(spans).json()["data"]["result"], "the metrics of its spans are in Prometheus", 60)


@pytest.mark.parametrize("path", SOURCES)
def test_grafana_reads_every_data_source(secured: Staging, request_id: str, path: str) -> None:
    with operator(secured, "grafana_admin") as client:
        until(lambda: SOURCES[path] in client.get(path).text, f"{path} has {SOURCES[path]}", 90)


def test_a_backup_reads_every_store(secured: Staging) -> None:
    (archive,) = secured.back_up()
    assert archive.stat().st_size > 10_000


def test_nobody_was_refused_for_a_certificate(secured: Staging, request_id: str) -> None:
    lines = secured.run("logs", "--no-color").splitlines()
    refusals = re.compile(r"x509|bad certificate|unknown authority|unknown ca|CERTIFICATE_VERIFY_FAILED", re.IGNORECASE)
    assert [line for line in lines if refusals.search(line) and "ferretdb/main.go" not in line] == []


def test_a_renewed_certificate_is_served_and_known_by_all(secured: Staging) -> None:
    old = secured.secret("tls_loki.pem")
    renewed = secured.rotate("tls_loki")
    assert "--force-recreate --no-deps secrets loki" in renewed
    assert secured.secret("tls_loki.pem") != old
    secured.run("up", "-d", "--wait", "--force-recreate", "--no-deps", "secrets", "loki")
    served = secured.run("exec", "-T", "promtail", "openssl", "s_client", "-connect", "loki:3100", "-showcerts")
    assert secured.secret("tls_loki.pem").split("-----BEGIN CERTIFICATE-----")[1] in served
    with operator(secured, "prometheus") as client:
        up = '/prometheus/api/v1/query?query=up{job="loki"}==1'
        until(lambda: client.get(up).json()["data"]["result"], "Prometheus knows it", 60)

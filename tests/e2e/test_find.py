"""`make find` against the real Loki, Tempo and Prometheus, fed by the real backend and the real Promtail."""

import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from scripts.canaries.stack import Running, running
from scripts.find.__main__ import main
from tests.e2e.browser import CHROMIUM, WITHOUT_CHROMIUM, running_browser
from tests.e2e.stack import until

pytestmark = pytest.mark.timeout(240)
STORES = ("loki", "promtail", "tempo", "prometheus")
UPLOAD, BROKEN = f"upload-{time.time_ns()}", f"broken-{time.time_ns()}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """After an upload with its job, and a request that a fault struck."""
    folder = tmp_path_factory.mktemp("find")
    settings = {"AI_PROVIDER": "local", "FAULTS_ENABLED": "true"}
    with running(folder, (*STORES, "grafana"), settings) as stack:
        if missing := [why for name, why in stack.missing.items() if name in STORES]:
            pytest.skip("; ".join(missing))
        with httpx.Client(base_url=stack.addresses["backend"], timeout=30, trust_env=False) as client:
            job = client.post(
                "/api/v1/documents",
                files={"file": ("mirror.md", b"# Mirrors\n\nThe mirror is two metres wide.\n", "text/markdown")},
                headers={"X-Request-ID": UPLOAD, "X-User-ID": "ann"},
            ).headers["location"]
            until(lambda: client.get(job).json()["status"] == "completed", "the document is indexed")
            client.put("/internal/faults", json={"fault": "database_down", "seconds": 3})
            answer = client.post("/api/v1/chat/sessions", headers={"X-Request-ID": BROKEN})
            assert answer.status_code == 503
        yield stack


Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(stack: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs the command on this stack: its exit status, and what it printed."""
    for name in STORES:
        monkeypatch.setenv(f"PORT_{name.upper()}", str(urlsplit(stack.addresses[name]).port))
    grafana = stack.addresses.get("grafana", "http://127.0.0.1:1")
    monkeypatch.setenv("PORT_GRAFANA", str(urlsplit(grafana).port))
    monkeypatch.setenv("LOG_DIR", "/nowhere")

    def asked(**variables: str) -> tuple[int, str]:
        status = main({"COLUMNS": "160", **variables})
        return status, capsys.readouterr().out

    return asked


def whole_story(ask: Ask, identity: str) -> str:
    """The story once everything has arrived: the job's line and trace, and an exemplar, which a scrape brings."""

    def complete() -> str:
        told = ask(ID=identity)[1]
        parts = ("indexing finished", "index document", "delete uploads", "insert jobs", "indexing_duration_seconds")
        return told if all(part in told for part in parts) else ""

    return str(until(complete, "lines, spans and exemplars of the upload are there"))


def test_a_request_id_brings_lines_spans_the_job_and_exemplars(ask: Ask, stack: Running) -> None:
    told = whole_story(ask, UPLOAD)
    assert told.startswith("POST /api/v1/documents  202  in ")
    assert f"from Loki at {stack.addresses['loki']}" in told
    assert f"from Tempo at {stack.addresses['tempo']}" in told
    assert re.search(r"user +u[0-9a-f]{15}\n", told)
    assert len(re.findall(r"^Trace [0-9a-f]{32} ", told, re.MULTILINE)) == 2
    assert re.search(r"[├└]─ insert jobs +█", told), "database calls stand below the request, with a bar"
    assert 'http_request_duration_seconds{endpoint="/api/v1/documents", method="POST"}' in told


def test_the_request_s_and_the_job_s_trace_id_bring_the_same_lines(ask: Ask) -> None:
    told = whole_story(ask, UPLOAD)
    for trace in re.findall(r"^Trace ([0-9a-f]{32}) ", told, re.MULTILINE):
        again = whole_story(ask, trace)
        assert again.split("\nTrace ")[0] == told.split("\nTrace ")[0]


def test_a_failure_is_in_the_list_and_its_story_names_the_failed_span(ask: Ask) -> None:
    def listed() -> bool:
        return BROKEN in ask(ERRORS="1")[1]

    until(listed, "the failed request is in the list")
    status, told = ask(ERRORS="1", SINCE="5m")
    row = next(row for row in told.splitlines() if BROKEN in row)
    assert status == 0
    assert "503" in row
    assert UPLOAD not in told

    def marked() -> bool:
        return "✗ app.stores.errors.StoreUnavailable: sqlite" in ask(ID=BROKEN)[1]

    until(marked, "the failed span is marked with what failed")
    assert "database_down" in ask(ID=BROKEN)[1]


@pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT_CHROMIUM)
def test_its_links_show_the_same_lines_and_spans_in_grafana(ask: Ask, stack: Running) -> None:
    if "grafana" in stack.missing:
        pytest.skip(stack.missing["grafana"])
    links = re.findall(r"http\S+/explore\S+", whole_story(ask, UPLOAD))
    shown = ("indexing finished", "insert jobs", "chunk document")
    assert len(links) == len(shown)
    with running_browser() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1100})
        for link, text in zip(links, shown, strict=True):
            page.goto(link)
            expect(page.get_by_text(text).first).to_be_visible(timeout=30_000)


def test_an_id_that_nobody_knows_is_told_with_the_reach_of_the_data(ask: Ask, stack: Running) -> None:
    until(lambda: "Tempo" in ask(ID="nobody")[1] and "no data" not in tempo(ask(ID="nobody")[1]), "Tempo's search")
    status, told = ask(ID="nobody")
    assert status == 1
    assert re.search(rf"Loki at {stack.addresses['loki']}: data reaches from \d{{4}}-.* until \d{{4}}-", told)
    assert "data reaches until" in tempo(told)


def tempo(told: str) -> str:
    return next(row for row in told.splitlines() if "Tempo at" in row)

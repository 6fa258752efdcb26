"""The whole stack, end to end: real requests run through it, and every part shows them."""

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from scripts.live import DATA, look, show
from scripts.report.ask import Stores
from scripts.report.board import boards, scrape_interval
from scripts.report.logfiles import Files
from scripts.report.stores import Loki, Prometheus, Tempo
from tests.backend.test_metrics_service import SPECIFIED
from tests.e2e.stack import Stack, load, until

pytestmark = pytest.mark.timeout(420)
STORES = {"mongodb", "qdrant", "mongodb-exporter"}


def test_every_specified_metric_has_a_value_in_prometheus(stack: Stack) -> None:
    def has_value(name: str) -> bool:
        histogram = name.endswith("_seconds")
        series = stack.query(f'{name}{"_count" if histogram else ""}{{job="backend"}}')
        return any(float(one["value"][1]) == float(one["value"][1]) for one in series)

    assert [name for name in SPECIFIED if not has_value(name)] == []


def test_what_traffic_does_has_moved_what_it_should(stack: Stack) -> None:
    moved = [
        'http_requests_total{status="200"}',
        'http_requests_total{status="404"}',
        'ai_requests_total{type="chat"}',
        'ai_requests_total{type="embedding"}',
        "ai_tokens_used_total",
        "chat_messages_total",
        "rag_queries_total",
        "vector_search_duration_seconds_count",
        'indexing_jobs_total{status="completed"}',
        'indexing_files_processed_total{format="pdf",status="completed"}',
        "database_operations_total",
        "feedback_total",
        "user_experience_seconds_count",
        "chat_sessions_active",
        "active_users_total",
        "user_satisfaction_score",
        "rag_query_success_rate",
    ]
    still = [name for name in moved if not any(float(one["value"][1]) > 0 for one in stack.query(name))]
    assert still == []


def test_no_target_of_a_running_service_is_down(stack: Stack) -> None:
    targets = {series["metric"]["job"]: series["value"][1] for series in stack.query("up")}
    scraped = stack.services - {"gateway", "mongodb", "traffic"}
    assert targets == dict.fromkeys(scraped, "1")


def test_lines_arrive_in_loki_under_four_labels_and_can_be_found_by_their_request(stack: Stack) -> None:
    identity = f"e2e-{time.time_ns()}"
    httpx.get(stack.address("gateway") + "/nothing/here", headers={"X-Request-ID": identity})

    def found() -> Any:
        query = f'{{service="backend"}} | request_id="{identity}"'
        answer = stack.get("loki", "/loki/api/v1/query_range", query=query, since="5m")
        return answer["data"]["result"]

    (stream,) = until(found, "the line of this very request is in Loki", seconds=20)
    line = json.loads(stream["values"][0][1])
    assert (line["status"], line["endpoint"]) == (404, "unmatched")
    series = stack.get("loki", "/loki/api/v1/series", **{"match[]": '{service="backend"}', "since": "10m"})["data"]
    assert {name for one in series for name in one} == {"service", "environment", "level", "logger"}


def test_every_line_of_the_files_is_in_loki_once(stack: Stack) -> None:
    if stack.mode == "containers":
        # alert-inbox writes to the same volume, so the service is asked for, too.
        count = 'cat /app/logs/*/application.*.log | grep \'"logger":"access"\' | grep -c \'"service":"backend"\''
        listing = stack.run("exec", "-T", "backend", "sh", "-c", count)
        written = int(listing.stdout)
    else:
        files = (stack.folder / "logs").glob("application.*.log")
        written = sum(path.read_text().count('"logger":"access"') for path in files)
    assert written > 100
    query = 'sum(count_over_time({service="backend", logger="access"}[1h]))'

    def in_loki() -> int:
        result = stack.get("loki", "/loki/api/v1/query", query=query)["data"]["result"]
        return int(result[0]["value"][1]) if result else 0

    until(lambda: in_loki() >= written, f"{written} lines are in Loki", seconds=20)
    assert in_loki() == written


def test_every_panel_has_data_or_says_why_it_has_none_whatever_is_chosen(stack: Stack) -> None:
    stores = (Prometheus(stack.address("prometheus")), Loki(stack.address("loki")), Tempo(stack.address("tempo")))
    where = Stores(*stores, Files(stack.folder / "logs"), stack.address("grafana"), scrape_interval())
    found = [seen for board in boards() for seen in look(board, where, time.time())]
    assert show(found, Console(width=140))
    # What shows a week, forecasts and faults have nothing to show so soon.
    first = [one for one in found if one.board in ("Sistema Overview", "AI & Chat Analytics")]
    assert [one.panel for one in first if one.verdict != DATA] == []
    assert len(first) >= 17


def test_grafana_has_read_its_provisioning(stack: Stack) -> None:
    found = stack.get("grafana", "/api/search")
    assert {board["uid"] for board in found if board["type"] == "dash-db"} >= {"sistema-overview", "ai-chat-analytics"}
    for uid in ("prometheus", "loki", "tempo"):
        assert stack.get("grafana", f"/api/datasources/uid/{uid}")["uid"] == uid
    proxied = stack.get("grafana", "/api/datasources/proxy/uid/prometheus/api/v1/query", query="up")
    assert proxied["data"]["result"]


def test_the_watchdog_arrives_at_the_inbox(stack: Stack) -> None:
    def received() -> float:
        series = stack.query('alerts_received_total{severity="none",status="firing"}')
        return float(series[0]["value"][1])

    until(lambda: received() >= 1, "the Watchdog is delivered", seconds=90)
    last = stack.query("time() - watchdog_last_received_timestamp_seconds")
    assert float(last[0]["value"][1]) < 120


def test_tempo_and_alertmanager_are_ready(stack: Stack) -> None:
    assert httpx.get(stack.address("alertmanager") + "/-/ready").status_code == 200
    assert httpx.get(stack.address("tempo") + "/ready").status_code == 200


def kill_backend(stack: Stack) -> None:
    if stack.mode == "containers":
        stack.run("kill", "-s", "KILL", "backend")
        stack.run("up", "-d", "--wait", "--no-recreate")  # `kill` counts as a stop by hand: Docker leaves it so
        return
    pids = subprocess.run(["pgrep", "-f", "app.main"], capture_output=True, text=True, check=True).stdout.split()
    for pid in pids:
        if Path(f"/proc/{pid}/cwd").resolve() == stack.folder / "backend":
            subprocess.run(["kill", "-9", pid], check=True)


def test_a_killed_backend_comes_back_and_keeps_what_it_accepted(stack: Stack) -> None:
    address = stack.address("gateway")
    files = [("file", (f"kill-{n}.txt", f"A remark number {n}. ".encode() * 300, "text/plain")) for n in range(5)]
    jobs = [httpx.post(address + "/api/v1/documents", files=[file], timeout=30) for file in files]
    kill_backend(stack)
    assert [job.status_code for job in jobs] == [202] * 5

    def completed(job: str) -> bool:
        answer = httpx.get(f"{address}/api/v1/indexing/jobs/{job}", timeout=5)
        return answer.status_code == 200 and answer.json()["status"] == "completed"

    for job in jobs:
        until(lambda job=job: completed(job.json()["job_id"]), "the accepted upload is indexed", seconds=120)


def test_three_replicas_are_three_targets_with_a_log_file_each(stack: Stack) -> None:
    if stack.mode != "containers":
        pytest.skip("replicas are containers; local processes have one backend")
    stack.run("up", "-d", "--wait", "--no-recreate", "--scale", "backend=3")
    try:
        until(lambda: len(stack.query('up{job="backend"} == 1')) == 3, "Prometheus finds three", seconds=40)
        address = stack.address("gateway")
        for _ in range(60):
            assert httpx.get(address + "/api/v1/indexing/jobs").status_code == 200
        time.sleep(6)
        spread = stack.query('increase(http_requests_total{endpoint="/api/v1/indexing/jobs",status="200"}[30s]) > 0')
        assert len({series["metric"]["instance"] for series in spread}) == 3, "the load is spread"
        names = {identity[:12] for identity in stack.run("ps", "-q", "backend").stdout.split()}  # as Docker names hosts
        written = stack.run("exec", "-T", "backend", "sh", "-c", "ls /app/logs/*/application.log").stdout.split()
        assert len(names) == 3
        assert names - {Path(path).parent.name for path in written} == set()
    finally:
        stack.run("up", "-d", "--wait", "--no-recreate", "--scale", "backend=1")


def test_the_load_that_comes_with_the_stack_makes_requests_and_none_fails(stack: Stack) -> None:
    def progress() -> list[tuple[int, int]]:
        lines = re.findall(r"^\d+ s: (\d+) requests, \S+/s, errors (\d+)", said(), re.MULTILINE)
        return [(int(sent), int(errors)) for sent, errors in lines]

    with load(stack) as said:
        until(
            lambda: len({sent for sent, _ in progress()}) > 1, "documents are uploaded, and requests follow", seconds=90
        )
        assert progress()[-1][1] == 0, said()

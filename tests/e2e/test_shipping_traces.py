"""One request's spans and lines, in a real Tempo, Loki and Prometheus: found by its id and by each link of Grafana."""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.local.apart import Apart
from tests.config.links import derived, filled, json_data, tags
from tests.e2e.shipping import Loki, running, until
from tests.e2e.shipping_spans import CLIENT, SERVER, Span, send

pytestmark = pytest.mark.timeout(180)
ROUTE = "POST /api/v1/chat/sessions/{session_id}/messages"
REQUEST, OTHER = "request-of-this-test", "request-of-somebody-else"
LABELS = {"__name__", "service", "span_name", "span_kind", "status_code", "environment"}


def story(request: str) -> list[Span]:
    """The spans of one chat message."""
    root = Span(ROUTE, SERVER, attributes={"request.id": request, "http.route": ROUTE.split()[1]})

    def child(name: str, **attributes: str) -> Span:
        dotted = {key.replace("__", "."): value for key, value in attributes.items()}
        return Span(name, CLIENT, trace=root.trace, parent=root.id, attributes=dotted)

    call = child("POST")
    return [
        root,
        child("find messages", db__system__name="mongodb", db__collection__name="messages"),
        child("search chunks", db__system__name="qdrant", db__collection__name="chunks"),
        child("chat local", gen_ai__provider__name="specola.local", gen_ai__operation__name="chat"),
        call,
        Span("receive alerts", SERVER, "alert-inbox", trace=root.trace, parent=call.id),
    ]


@dataclass
class World:
    """The stores, and the trace of the request that is looked for."""

    services: Apart
    trace: str

    def tempo(self, path: str, **parameters: Any) -> Any:
        answer = httpx.get(self.services.url("tempo") + path, params=parameters, timeout=20)
        return answer.json() if answer.is_success else {}

    def search(self, query: str) -> list[str]:
        """Ids of the traces that a TraceQL query finds."""
        found = self.tempo("/api/search", q=query, start=int(time.time()) - 600, end=int(time.time()) + 10)
        return [str(one["traceID"]) for one in found.get("traces", [])]

    def prometheus(self, path: str, **parameters: Any) -> Any:
        answer = httpx.get(f"{self.services.url('prometheus')}/api/v1/{path}", params=parameters, timeout=20)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.prometheus("query", query=expression)["result"]
        return found

    def lines(self, query: str) -> list[dict[str, Any]]:
        now = time.time_ns()
        found = Loki(self.services.url("loki")).lines(query, now - 600_000_000_000, now)
        return [json.loads(line.text) for line in found]


def write(folder: Path, *stories: list[Span]) -> None:
    """Two lines for each request, as the backend writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            "timestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": "info", "logger": logger, "event": event, "service": "backend", "environment": "test",
            "request_id": spans[0].attributes["request.id"], "trace_id": spans[0].trace, "span_id": spans[0].id,
        }
        for spans in stories
        for logger, event in (("portal_app", "answered"), ("access", "request"))
    ]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "application.20261124T100000.000001.log").write_text(text)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("traces"), "tempo", "prometheus", "loki", "promtail") as services:
        ours, others = story(REQUEST), story(OTHER)
        write(services.folders.logs, ours, others)
        for name in ("prometheus", "loki", "promtail", "tempo"):
            services.launch(name)
        for name in ("prometheus", "loki", "tempo"):
            services.ready(name)
        otlp = f"http://127.0.0.1:{services.port('tempo', 4318)}"
        send(otlp, *ours, *others)
        yield World(services, ours[0].trace)


def test_a_trace_is_found_by_its_requests_id_within_seconds(world: World) -> None:
    found = until(lambda: world.search(f'{{ span.request.id = "{REQUEST}" }}'), "it is found", seconds=8)
    assert [one.rjust(32, "0") for one in found] == [world.trace]


def test_the_search_forms_filters_find_it_together(world: World) -> None:
    values = {"service.name": "backend", "request.id": REQUEST, "name": ROUTE, "status": None}
    parts = []
    for one in json_data("tempo")["search"]["filters"]:
        if value := values[one["tag"]]:
            tag = one["tag"] if one["tag"] in ("name", "status") else f"{one['scope']}.{one['tag']}"
            parts.append(f'{tag}{one["operator"]}"{value}"')
    query = "{" + " && ".join(parts) + "}"
    assert until(lambda: world.search(query), query) == [world.trace.lstrip("0")]


def test_calls_and_latencies_arrive_in_prometheus_under_known_labels(world: World) -> None:
    calls = until(lambda: world.query("traces_spanmetrics_calls_total"), "calls are in Prometheus", seconds=40)
    assert {name for one in calls for name in one["metric"]} == LABELS
    of_route = world.query(f'traces_spanmetrics_calls_total{{span_name="{ROUTE}", span_kind="SPAN_KIND_SERVER"}}')
    assert [float(one["value"][1]) for one in of_route] == [2.0]
    buckets = world.query(f'traces_spanmetrics_latency_bucket{{span_name="{ROUTE}"}}')
    counts = {float(one["metric"]["le"]): float(one["value"][1]) for one in buckets}
    assert {limit: count for limit, count in counts.items() if limit <= 0.05} == {0.005: 0, 0.01: 0, 0.025: 2, 0.05: 2}
    assert world.query("traces_spanmetrics_size_total") == []


def test_the_service_graph_shows_stores_the_model_and_the_other_service(world: World) -> None:
    def edges() -> set[tuple[str, str]]:
        found = world.query("traces_service_graph_request_total")
        return {(one["metric"]["client"], one["metric"]["server"]) for one in found}

    wanted = {("backend", name) for name in ("mongodb", "qdrant", "specola.local", "alert-inbox")} | {
        ("user", "backend")
    }
    until(lambda: edges() >= wanted, "every edge is in Prometheus", seconds=60)
    assert edges() == wanted


def test_an_exemplar_leads_to_a_trace(world: World) -> None:
    (link,) = json_data("prometheus")["exemplarTraceIdDestinations"]
    window = {"start": time.time() - 600, "end": time.time() + 10}

    def exemplars() -> Any:
        return world.prometheus("query_exemplars", query="traces_spanmetrics_latency_bucket", **window)

    found = until(exemplars, "exemplars are in Prometheus", seconds=40)
    ids = {exemplar["labels"][link["name"]] for one in found for exemplar in one["exemplars"]}
    assert ids
    for identity in ids:
        assert world.tempo(f"/api/v2/traces/{identity}")["trace"]["resourceSpans"]


def test_a_span_leads_to_its_traces_lines_and_no_others(world: World) -> None:
    link = json_data("tempo")["tracesToLogsV2"]
    query = filled(link["query"], tags=tags(link, {"service.name": "backend"}), trace__traceId=world.trace)
    found = until(lambda: world.lines(query), query)
    assert [line["request_id"] for line in found] == [REQUEST] * 2


def test_a_span_leads_to_its_metrics(world: World) -> None:
    link = json_data("tempo")["tracesToMetrics"]
    span = tags(link, {"service.name": "backend"})
    for one in link["queries"]:
        # Once is no rate yet: the same query over the counter itself.
        query = filled(one["query"], tags=span, span__name=ROUTE, rate_interval="1m").replace("[1m]", "")
        query = query.replace("rate(", "(")
        until(partial(world.query, query), query, seconds=40)


def test_a_line_leads_to_its_trace_and_to_every_line_of_its_request(world: World) -> None:
    (line, *_) = until(lambda: world.lines(f'{{logger="access"}} | request_id="{REQUEST}"'), "its line is in Loki")
    identity = filled(derived("trace_id")["url"], value__raw=line["trace_id"])
    trace = until(lambda: world.tempo(f"/api/v2/traces/{identity}"), "its trace is in Tempo")["trace"]
    names = [s["name"] for r in trace["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]]
    assert sorted(names) == sorted(span.name for span in story(REQUEST))
    query = filled(derived("request_id")["url"], value__raw=line["request_id"])
    assert {(one["logger"], one["request_id"]) for one in world.lines(query)} == {
        ("access", REQUEST),
        ("portal_app", REQUEST),
    }


def test_tempo_has_nothing_to_complain_about(world: World) -> None:
    said = world.services.log("tempo").read_text().splitlines()
    known = ("unowned file entry ignored during wal replay",)  # its own folder, at each start
    complaints = [line for line in said if line.startswith(("level=warn", "level=error"))]
    assert [line for line in complaints if not any(text in line for text in known)] == []


def test_names_without_end_neither_fill_prometheus_nor_hide_the_others(world: World) -> None:
    otlp = f"http://127.0.0.1:{world.services.port('tempo', 4318)}"
    for _ in range(4):
        send(otlp, *(Span(f"GET /item/{secrets.token_hex(8)}", SERVER) for _ in range(500)))
    until(lambda: world.query('{metric_overflow="true"}'), "what is too much is counted together", seconds=40)
    send(otlp, *story(OTHER))
    calls = f'traces_spanmetrics_calls_total{{span_name="{ROUTE}"}} == 3'
    until(lambda: world.query(calls), "the route is counted on", seconds=30)
    (count,) = world.query('count({__name__=~"traces_.+"})')
    assert float(count["value"][1]) < 21_000

"""One real request to a real backend: its own id and its own trace come back from every store, through every join."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.config.links import derived, filled, json_data, tags
from tests.e2e.shipping import SECOND, Line, Loki, running, until
from tests.e2e.test_shipping_traces import World

pytestmark = pytest.mark.timeout(180)
REQUEST = f"e2e-{uuid4()}"
STORES = ("prometheus", "loki", "tempo", "promtail")


class Story(World):
    """The stores after the one request."""

    def find(self, query: str) -> list[Line]:
        now = time.time_ns()
        return Loki(self.services.url("loki")).lines(query, now - 600 * SECOND, now)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("request")
    with running(folder, "backend", *STORES) as services:
        own = {"SQLITE_PATH": str(folder / "specola.sqlite"), "QDRANT_PATH": str(folder / "qdrant")}
        process = services.processes["backend"]
        services.processes["backend"] = replace(process, environment={**process.environment, **own})
        for name in STORES:
            services.launch(name)
        services.start("backend")
        for name in STORES:
            services.ready(name)
        with httpx.Client(base_url=services.url("backend"), timeout=30) as client:
            session = client.post("/api/v1/chat/sessions").json()["session_id"]
            answer = client.post(
                f"/api/v1/chat/sessions/{session}/messages", json={"content": "?"}, headers={"X-Request-ID": REQUEST}
            )
            assert answer.headers["X-Request-ID"] == REQUEST
        found = until(lambda: Story(services, "").find(f'{{logger="access"}} | request_id="{REQUEST}"'), "its line")
        yield Story(services, dict(found[0].metadata)["trace_id"])


def test_its_id_finds_the_trace_that_its_line_names(story: Story) -> None:
    found = until(partial(story.search, f'{{ span.request.id = "{REQUEST}" }}'), "its trace is found", seconds=15)
    assert [one.rjust(32, "0") for one in found] == [story.trace]


def test_its_trace_holds_the_work_that_it_caused(story: Story) -> None:
    trace = until(lambda: story.tempo(f"/api/v2/traces/{story.trace}"), "its trace is there")["trace"]
    spans = [s for r in trace["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]]
    names = {span["name"] for span in spans}
    assert "POST /api/v1/chat/sessions/{session_id}/messages" in names
    systems = {a["value"]["stringValue"] for s in spans for a in s["attributes"] if a["key"] == "db.system.name"}
    assert systems >= {"sqlite", "qdrant"}


def test_its_trace_leads_to_its_lines_and_its_line_to_all_of_them(story: Story) -> None:
    link = json_data("tempo")["tracesToLogsV2"]
    by_trace = filled(link["query"], tags=tags(link, {"service.name": "backend"}), trace__traceId=story.trace)
    by_request = filled(derived("request_id")["url"], value__raw=REQUEST)
    lines = story.find(by_trace)
    assert {json.loads(line.text)["request_id"] for line in lines} == {REQUEST}
    assert set(lines) <= set(story.find(by_request))


def test_an_exemplar_of_its_route_leads_to_it(story: Story) -> None:
    (link,) = json_data("prometheus")["exemplarTraceIdDestinations"]
    series = 'http_request_duration_seconds_bucket{endpoint="/api/v1/chat/sessions/{session_id}/messages"}'

    def exemplars() -> Any:
        window = {"start": time.time() - 600, "end": time.time() + 10}
        return story.prometheus("query_exemplars", query=series, **window)

    found = until(exemplars, "an exemplar is scraped", seconds=30)
    assert {one["labels"][link["name"]] for one_series in found for one in one_series["exemplars"]} == {story.trace}


def test_the_service_graph_shows_its_stores(story: Story) -> None:
    def servers() -> set[str]:
        return {one["metric"]["server"] for one in story.query('traces_service_graph_request_total{client="backend"}')}

    until(lambda: servers() >= {"sqlite", "qdrant"}, "both stores are in the graph", seconds=60)

"""Faults to seed, each with the rule that has to catch it."""

import copy
from collections.abc import Callable
from typing import Any

from tests.config.dashboards.boards import AI, OVERVIEW, panel

Spoil = Callable[[dict[str, Any]], None]


def query(title: str, old: str, new: str, name: str = OVERVIEW) -> Spoil:
    """Replaces a part of a panel's first query."""

    def spoil(boards: dict[str, Any]) -> None:
        target = panel(boards[name], title)["targets"][0]
        assert old in target["expr"]
        target["expr"] = target["expr"].replace(old, new)

    return spoil


def key(title: str, path: str, value: object) -> Spoil:
    """Sets (or, with None, drops) a part of a panel of the overview."""

    def spoil(boards: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        found = panel(boards[OVERVIEW], title)
        for parent in parents:
            found = found[int(parent)] if parent.isdigit() else found[parent]
        assert last in found
        found[last] = value
        if value is None:
            del found[last]

    return spoil


def board_key(path: str, value: object) -> Spoil:
    """Sets a part of the overview itself."""

    def spoil(boards: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        found = boards[OVERVIEW]
        for parent in parents:
            found = found[int(parent)] if parent.isdigit() else found[parent]
        found[last] = value

    return spoil


def added(source: str, **target: object) -> Spoil:
    """Adds a panel with one query, below all others."""

    def spoil(boards: dict[str, Any]) -> None:
        new = copy.deepcopy(panel(boards[OVERVIEW], "Error Rate"))
        asked = {"refId": "A", "datasource": {"type": source, "uid": source}, **target}
        new |= {"id": 99, "title": "Added", "targets": [asked], "gridPos": {"x": 0, "y": 90, "w": 12, "h": 8}}
        boards[OVERVIEW]["panels"].append(new)

    return spoil


def heading(**different: object) -> Spoil:
    """Adds a heading, below all panels."""
    row = {"type": "row", "id": 1000, "title": "More", "gridPos": {"x": 0, "y": 80, "w": 24, "h": 1}, **different}
    return lambda boards: boards[OVERVIEW]["panels"].append(row)


def rate(expr: str) -> Spoil:
    """Adds a panel that asks Prometheus."""
    return added("prometheus", expr=expr, legendFormat="rate")


LINES = '{service="backend", environment=~"${environment:pipe}"}'

#: What the faults below are seeded into is itself no fault.
SOUND = {
    "log lines": added("loki", expr=f'{LINES} | json | status="500"'),
    "lines counted": added("loki", expr=f"sum by (logger) (count_over_time({LINES} [$__interval]))"),
    "traces": added("tempo", query='{ span.request.id = "$environment" && resource.service.name = "backend" }'),
    "a heading": heading(),
    "a record": rate('sum(job:http_requests:rate5m{job="backend"})'),
    "a unit of one's own": key("Error Rate", "fieldConfig.defaults.unit", "suffix:/s"),
}

FAULTS = {
    "a query that does not parse": (
        query("Chat Messages Rate", "by (user_type)", "by user_type"),
        "target-promql-rule",
    ),
    "the specification's own mistake": (
        query("Token Usage by Model", "sum by (model) ", "ai_tokens_used_total by (model) ", AI),
        "target-promql-rule",
    ),
    "a renamed metric": (query("Active Users", "active_users_total", "active_users"), "metric-exists"),
    "a histogram without its suffix": (
        query("Vector Search Performance", "_seconds_bucket", "_seconds", AI),
        "metric-exists",
    ),
    "a label that the metric lacks": (query("Error Rate", "status=~", "code=~"), "label-exists"),
    "a grouping by a label that the metric lacks": (
        query("Indexing Jobs Status", "by (status)", "by (state)"),
        "label-exists",
    ),
    "a rate without a window": (query("Chat Messages Rate", "[$__rate_interval]", ""), "target-promql-rule"),
    "a counter read as a gauge": (
        query("Active Users", "active_users_total", "rag_queries_total"),
        "counter-rate",
    ),
    "a gauge under a rate": (
        query("Chat Messages Rate", "chat_messages_total", "indexing_jobs_by_status"),
        "gauge-rate",
    ),
    "a counter of one replica": (query("Chat Messages Rate", "sum by", "max by"), "target-counter-agg-rule"),
    "a shared gauge that is summed": (query("Active Users", "max(", "sum("), "shared-gauge-max"),
    "a shared gauge as it is": (
        query("Active Users", "max(active", "(active"),
        "shared-gauge-max",
    ),
    "a fixed window": (query("Chat Messages Rate", "$__rate_interval", "5m"), "target-rate-interval-rule"),
    "the whole range at each point of a line": (
        query("Chat Messages Rate", "$__rate_interval", "$__range"),
        "target-rate-interval-rule",
    ),
    "a record over a fixed window": (query("Error Rate", "$__interval", "5m"), "target-rate-interval-rule"),
    "a quantile over one heap of buckets": (
        query("API Response Time", "sum by (le)", "sum"),
        "quantile-by-le",
    ),
    "an average of buckets": (
        query("API Response Time", "sum by (le)", "avg by (le)"),
        "quantile-of-averages",
    ),
    "any service's requests": (query("Chat Messages Rate", 'job="backend", ', ""), "target-job-rule"),
    "all replicas whatever is chosen": (
        query("System Health", ', instance=~"$instance"', ""),
        "target-instance-rule",
    ),
    "all replicas' records whatever is chosen": (
        query("Error Rate", ', instance=~"$instance"', ""),
        "target-instance-rule",
    ),
    "replicas that are counted by themselves and among all": (
        query("Error Rate", 'chosen="${environment:text}, ${instance:text}", ', ""),
        "target-instance-rule",
    ),
    "a variable that is not there": (query("System Health", "$instance", "$pod"), "template-exists"),
    "a legend's label that the query drops": (
        key("Chat Messages Rate", "targets.0.legendFormat", "{{instance}}"),
        "legend-label",
    ),
    "an unknown data source": (key("Error Rate", "datasource.uid", "prom"), "panel-datasource-rule"),
    "an unknown data source of a query": (
        key("Error Rate", "targets.0.datasource.uid", "P1809F7CD0C75ACF3"),
        "panel-datasource-rule",
    ),
    "no unit": (key("Error Rate", "fieldConfig.defaults.unit", None), "panel-units-rule"),
    "no description": (key("Error Rate", "description", ""), "panel-title-description-rule"),
    "no thresholds": (key("Error Rate", "fieldConfig.defaults.thresholds", None), "panel-thresholds"),
    "no word for nothing": (key("Error Rate", "fieldConfig.defaults.noValue", None), "panel-no-value"),
    "no way onwards": (key("Error Rate", "links", []), "panel-links"),
    "no query": (key("Error Rate", "targets", []), "panel-no-targets-rule"),
    "a link to no dashboard": (key("Active Users", "links.0.url", "/d/ai-chat?x=1"), "link-target"),
    "a broken link to Explore": (key("Error Rate", "links.0.url", "/explore?left=%7B"), "link-target"),
    "a link to no data source": (
        key("Error Rate", "links.0.url", "/explore?left=%7B%22datasource%22%3A%22x%22%2C%22queries%22%3A%5B%5D%7D"),
        "link-target",
    ),
    "a panel over another": (key("Error Rate", "gridPos.x", 6), "grid"),
    "a panel beyond the edge": (key("Error Rate", "gridPos.x", 13), "grid"),
    "a panel's number twice": (key("Error Rate", "id", 1), "panel-id"),
    "a number of its own": (board_key("id", 7), "dashboard-uid"),
    "another's uid": (board_key("uid", "ai-chat-analytics"), "dashboard-uid"),
    "inputs to ask for": (board_key("__inputs", []), "dashboard-inputs"),
    "a variable that is never read anew": (
        board_key("templating.list.1.refresh", 1),
        "template-on-time-change-reload-rule",
    ),
    "a variable from a label that is not there": (
        board_key("templating.list.0.query", 'label_values(app_info{job="backend"}, env)'),
        "label-exists",
    ),
    "a variable that is no list of labels": (
        board_key("templating.list.0.query", "app_info"),
        "template-label-promql-rule",
    ),
    "an annotation on a metric that is not there": (
        board_key("annotations.list.2.expr", 'max by (fault) (faults{job="backend", instance="x"})'),
        "metric-exists",
    ),
    "a unit that Grafana does not know": (
        key("Error Rate", "fieldConfig.defaults.unit", "seconds"),
        "panel-units-rule",
    ),
    "an axis that says at every half that there is no data": (
        lambda boards: panel(boards[OVERVIEW], "Error Rate")["fieldConfig"]["defaults"].update(decimals=0),
        "panel-axis-decimals",
    ),
    "a column's unit that Grafana does not know": (
        key("Error Rate", "fieldConfig.overrides.0.properties", [{"id": "unit", "value": "dollars"}]),
        "panel-units-rule",
    ),
    "log lines of any service": (added("loki", expr='|= "error"'), "target-logql-rule"),
    "a stream by what is no label": (
        added("loki", expr=LINES.replace("service=", "request_id=")),
        "label-exists",
    ),
    "log lines of any environment": (added("loki", expr='{service="backend"}'), "target-environment-rule"),
    "lines counted over a fixed window": (
        added("loki", expr=f"sum(count_over_time({LINES} [5m]))"),
        "target-rate-interval-rule",
    ),
    "a search for an attribute that no span has": (
        added("tempo", query='{ span.request_id = "$environment" }'),
        "attribute-exists",
    ),
    "a search by another service's name": (
        added("tempo", query='{ resource.service = "backend" }'),
        "attribute-exists",
    ),
    "a log panel's variable that is not there": (added("loki", expr=f"{LINES} |= `$request`"), "template-exists"),
    "a limit in red": (
        key("Error Rate", "fieldConfig.defaults.thresholds.steps.1.color", "red"),
        "panel-colours",
    ),
    "a line in a green of its own": (
        key("Error Rate", "fieldConfig.overrides.0.properties.0.value.fixedColor", "#00FF00"),
        "panel-colours",
    ),
    "an annotation in blue": (board_key("annotations.list.1.iconColor", "blue"), "panel-colours"),
    "a heading without words": (heading(title=""), "row-title"),
    "a heading that hides its panels": (heading(collapsed=True), "row-open"),
    "a heading over a panel": (heading(gridPos={"x": 0, "y": 0, "w": 24, "h": 1}), "grid"),
    "a heading with a panel's number": (heading(id=1), "panel-id"),
    "a record that no rule makes": (rate('sum(job:http_requests:rate7m{job="backend"})'), "metric-exists"),
    "a label that a record has lost": (rate('job:http_requests:rate5m{status="500"}'), "label-exists"),
    "the rate of a recorded rate": (rate('sum(rate(job:http_requests:rate5m{job="backend"}[5m]))'), "gauge-rate"),
    "a grouping that a record cannot serve": (rate("sum by (endpoint) (job:http_requests:rate5m)"), "label-exists"),
}

#: What is wrong with the words of a query only its language's own program can say.
WORDS = {
    "LogQL without its closing brace": ("loki", '{service="backend"'),
    "LogQL that matches every stream there is": ("loki", '{service=~".*"}'),
    "LogQL with a parser that there is not": ("loki", '{service="backend"} | jsn | status="500"'),
    "a rate of lines without a window": ("loki", 'sum(rate({service="backend"}))'),
    "TraceQL without its closing brace": ("tempo", "{ status = error"),
    "TraceQL with an intrinsic that there is not": ("tempo", "{ state = error }"),
    "TraceQL that compares a duration with a word": ("tempo", '{ duration > "2s" }'),
}

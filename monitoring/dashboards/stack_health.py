"""Stack Health: do the watchers themselves watch? Every part of the stack, and the ways of alerts, lines and spans."""

from typing import Final

import yaml
from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards import limits, links, shapes
from monitoring.dashboards import stack_ways as ways
from monitoring.dashboards.page import Row, chooser, environment_chooser, render
from monitoring.durations import seconds
from monitoring.rules import FOLDER, limit

UID: Final = "stack-health"

_PART: Final = 'job=~"$job"'
#: Seconds after which Prometheus gives up a scrape.
_TIMEOUT: Final = seconds(
    yaml.safe_load((FOLDER.parent / "prometheus.yml").read_text(encoding="utf-8"))["global"]["scrape_timeout"]
)
_NO_TARGET: Final = "Prometheus scrapes nothing"


def build() -> str:
    """The dashboard as the text of its file."""
    rows: list[Row] = [
        (5, [(4, _up()), (4, _watchdog()), (4, _reloads()), *((3, panel) for panel in _lost())]),
        (13, [(16, _parts()), (8, _scrapes())]),
        "Rules and alerts",
        (8, [(6, ways.rules()), (6, ways.rule_time()), (6, ways.sent()), (6, ways.alerts())]),
        "Logs",
        (8, [(6, ways.lines()), (6, ways.lines_lost()), (6, ways.lag()), (6, ways.loki())]),
        "Traces",
        (8, [(8, ways.spans()), (8, ways.spans_lost()), (8, ways.span_metrics())]),
        "Storage",
        (8, [(9, ways.writes()), (9, _wal()), (6, _backup())]),
        "What the parts take and say",
        (8, [(8, _memory()), (8, _processor()), (8, _grafana())]),
        (10, [(24, _log())]),
    ]
    return render(
        uid=UID,
        title="Stack Health",
        description="Do the watchers themselves watch: every part, and the ways of alerts, lines and spans.",
        tags=["stack"],
        variables=[
            environment_chooser(),
            chooser("job", "Part", 'label_values(up{job=~".+"}, job)', "The parts of the stack, by their scrape job"),
        ],
        rows=rows,
    )


def _up() -> model.Panel:
    about = shapes.About(
        1,
        "Do All Parts Answer?",
        "UP: every target answers Prometheus. A percentage: that share of them does; the table says which do not.",
        "Prometheus' own `up`. A part that is found by name and gone is no target at all: its own alert tells of it.",
        "UP.",
        shapes.SHARE,
        _NO_TARGET,
        ways.ONWARDS,
        limits.REPLICAS_UP,
        decimals=0,
    )
    return shapes.number(about, f"avg(up{{{_PART}}})", words={"0": "DOWN", "1": "UP"})


def _watchdog() -> model.Panel:
    about = shapes.About(
        2,
        "Watchdog Last Heard",
        "How long ago the alert that always fires reached alert-inbox. While it comes, the way of every alert is open.",
        "`watchdog_last_received_timestamp_seconds` of alert-inbox.",
        f"Below a minute or so. Above {limit('WatchdogNotArriving'):g} s nobody may hear of anything.",
        shapes.SECONDS,
        "No alert-inbox answers",
        [ways.INBOX_LOGS, *ways.ONWARDS],
        limits.Limits(limits.MUTED, ((0.0, limits.GOOD), (limit("WatchdogNotArriving"), limits.BAD))),
        decimals=0,
    )
    return shapes.number(about, 'time() - max(watchdog_last_received_timestamp_seconds{job="alert-inbox"})')


def _reloads() -> model.Panel:
    about = shapes.About(
        3,
        "Reloads Accepted?",
        "REFUSED: one of Prometheus, Alertmanager, Loki's rules and Alloy goes on with the configuration before, until "
        "it is started anew; then it does not come up.",
        "What each says of its last reload, such as `prometheus_config_last_reload_successful`.",
        "ACCEPTED.",
        shapes.PLAIN,
        _NO_TARGET,
        ways.ONWARDS,
        limits.Limits(limits.BAD, ((1.0, limits.GOOD),)),
    )
    said = (
        'prometheus_config_last_reload_successful{job="prometheus"}',
        'alertmanager_config_last_reload_successful{job="alertmanager"}',
        'loki_ruler_config_last_reload_successful{job="loki"}',
        'alloy_config_last_load_successful{job=~"alloy|cadvisor"}',
    )
    return shapes.number(about, f"min({' or '.join(said)})", words={"0": "REFUSED", "1": "ACCEPTED"})


def _lost() -> list[model.Panel]:
    told = (
        ("Rules Failed", ways.RULES, "evaluations of rules that failed or were left out, in Prometheus and Loki"),
        (
            "Alerts Lost",
            ways.ALERTS,
            "attempts to hand on an alert that failed, from Prometheus and Loki to the receivers",
        ),
        ("Lines Lost", ways.LINES, "log lines that were dropped between the code that wrote them and Loki"),
        ("Spans Lost", ways.SPANS, "spans that were dropped between the code that made them and Tempo"),
    )
    panels = []
    for number, (title, losses, what) in enumerate(told, 4):
        about = shapes.About(
            number,
            title,
            f"How many {what}, within the shown time.",
            "The counters of the panels below, which say where and why.",
            "0. What fails once is mostly tried again; what is dropped is gone.",
            shapes.COUNT,
            "Who counts them does not answer",
            ways.ONWARDS,
            ways.NONE,
            decimals=0,
        )
        panels.append(shapes.number(about, ways.in_all(losses)))
    return panels


def _parts() -> model.Panel:
    about = shapes.About(
        8,
        "How Is Each Part?",
        "A row for each part: the share of its targets that answers, how long the slowest takes to, how many samples "
        "it gives, the memory that it has taken, and how often it was started within the shown time.",
        "`up`, `scrape_duration_seconds`, `scrape_samples_scraped`, and each part's own `process_…`, if it has any.",
        "All up, in far less than the time that Prometheus waits; no starts.",
        shapes.SHARE,
        _NO_TARGET,
        ways.ONWARDS,
        decimals=0,
    )
    columns = [
        shapes.Column(f"avg by (job) (up{{{_PART}}})", "Up", shapes.SHARE),
        shapes.Column(f"max by (job) (scrape_duration_seconds{{{_PART}}})", "Answers in", shapes.SECONDS, 1),
        shapes.Column(f"sum by (job) (scrape_samples_scraped{{{_PART}}})", "Samples", shapes.COUNT, 1),
        shapes.Column(f"sum by (job) (process_resident_memory_bytes{{{_PART}}})", "Memory", shapes.BYTES, 0),
        shapes.Column(f"sum by (job) (changes(process_start_time_seconds{{{_PART}}}[$__range]))", "Starts"),
    ]
    return shapes.rows(about, shapes.Rows("job", "Part"), columns)


def _scrapes() -> model.Panel:
    return ways.chart(
        9,
        "Does Each Part Answer in Time?",
        "How long the slowest target of each part takes to give its figures.",
        "`scrape_duration_seconds`, which Prometheus writes for each scrape.",
        f"Far below {_TIMEOUT:g} s, the dashed line, at which Prometheus gives up and the part counts as down.",
        shapes.SECONDS,
        _NO_TARGET,
        {"{{job}}": f"max by (job) (scrape_duration_seconds{{{_PART}}})"},
        limits.too_high(_TIMEOUT),
    )


def _memory() -> model.Panel:
    parts = f"process_resident_memory_bytes{{{_PART}}} / (go_gc_gomemlimit_bytes{{{_PART}}} < 1e15)"
    return ways.chart(
        24,
        "How Near Is a Part to Its Memory Limit?",
        "The memory that each part in Go has taken, over the limit that its runtime keeps to (GOMEMLIMIT).",
        "`process_resident_memory_bytes` over `go_gc_gomemlimit_bytes`. The container's mem_limit is a fifth above.",
        "Below 100 %, the dashed line: above it the part collects garbage all the time, and is killed soon after.",
        shapes.SHARE,
        "No part keeps to a memory limit here",
        {"{{job}}": f"max by (job) ({parts})"},
        limits.too_high(1.0),
    )


def _processor() -> model.Panel:
    return ways.chart(
        25,
        "What Does Each Part Take of a Core?",
        "Processor time a second of each part, all its targets together: 100 % is one core.",
        "`process_cpu_seconds_total`, of the parts that expose it.",
        "The backend first, by far. The stack that watches should take less than what it watches.",
        shapes.SHARE,
        _NO_TARGET,
        {"{{job}}": f"sum by (job) (rate(process_cpu_seconds_total{{{_PART}}}[$__rate_interval]))"},
    )


def _grafana() -> model.Panel:
    served = "grafana_http_request_duration_seconds_count"
    return ways.chart(
        26,
        "Does Grafana Answer?",
        "Requests a second that Grafana answered, by status: a panel that cannot be drawn is a 4xx or a 5xx.",
        f"`{served}`.",
        "200. A 5xx, or a 400 that comes with each refresh: a data source that does not answer, or a broken panel.",
        shapes.REQUESTS_PER_SECOND,
        "No Grafana answers",
        {"{{status_code}}": f'sum by (status_code) (rate({served}{{job="grafana"}}[$__rate_interval]))'},
    )


def _log() -> model.Panel:
    about = shapes.About(
        27,
        "What Do the Parts Complain Of?",
        "The newest warnings and errors of whoever writes into Loki, and lines that are none of ours (level unknown).",
        "Loki, all services. The parts of the stack write to their own output: `docker compose logs` or .run/log.",
        "Nothing new. alert-inbox writes an error when the Watchdog stops coming, and a line for each alert.",
        shapes.PLAIN,
        "No warning and no error in the shown time",
        [ways.INBOX_LOGS, *ways.ONWARDS],
    )
    return shapes.log_lines(about, links.lines(labels='level=~"warning|error|critical|unknown"'))


def _wal() -> model.Panel:
    return ways.chart(
        22,
        "How Much Waits to Be Written?",
        "What each store keeps apart until it is in its final place, and reads again when it starts.",
        "`prometheus_tsdb_wal_storage_size_bytes`, `loki_ingester_wal_bytes_in_use`, `tempo_live_store_live_trace_…`.",
        "A saw with teeth of 2 hours. What only climbs is not written to blocks.",
        shapes.BYTES,
        "No store answers",
        {
            "Prometheus": 'max(prometheus_tsdb_wal_storage_size_bytes{job="prometheus"})',
            "Loki": 'max(loki_ingester_wal_bytes_in_use{job="loki"})',
            "Tempo": 'sum(tempo_live_store_live_trace_bytes{job="tempo"})',
        },
    )


def _backup() -> model.Panel:
    about = shapes.About(
        23,
        "How Old Is the Newest Backup?",
        "Time since the last backup that succeeded.",
        "`backup_last_success_timestamp_seconds` of the profile `backup`.",
        f"Below a day. BackupTooOld fires at {limit('BackupTooOld') / 3600:g} hours.",
        shapes.SECONDS,
        "No backups are made here (profile backup)",
        ways.ONWARDS,
        limits.Limits(limits.MUTED, ((0.0, limits.GOOD), (limit("BackupTooOld"), limits.WARNING))),
        decimals=0,
    )
    return shapes.number(about, 'time() - max(backup_last_success_timestamp_seconds{job="backup"} > 0)')

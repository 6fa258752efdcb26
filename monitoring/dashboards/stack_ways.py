"""The panels of Stack Health about the ways of alerts, lines and spans, and about what keeps them."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards import limits, links, shapes
from monitoring.rules import limit

INBOX_LOGS: Final = links.logs("What alert-inbox received", labels='service="alert-inbox"')
ONWARDS: Final = [links.error_logs(), links.dashboard("Capacity Planning", "capacity")]
#: One is one too many.
NONE: Final = limits.Limits(limits.MUTED, ((0.0, limits.GOOD), (0.001, limits.BAD)))

# What is counted of each kind of loss: a legend, the counter, and the label that says more. The first of each is there
# from the start; others appear once they count something, or where that part runs.
Losses: TypeAlias = tuple[tuple[str, str, str], ...]
RULES: Final[Losses] = (
    ("{{rule_group}}", 'prometheus_rule_evaluation_failures_total{job="prometheus"}', "rule_group"),
    ("missed by Prometheus", 'prometheus_rule_group_iterations_missed_total{job="prometheus"}', ""),
    ("Loki {{rule_group}}", 'loki_prometheus_rule_evaluation_failures_total{job="loki"}', "rule_group"),
    ("missed by Loki", 'loki_prometheus_rule_group_iterations_missed_total{job="loki"}', ""),
)
ALERTS: Final[Losses] = (
    ("Prometheus, failed", 'prometheus_notifications_errors_total{job="prometheus"}', ""),
    ("Prometheus, dropped", 'prometheus_notifications_dropped_total{job="prometheus"}', ""),
    ("Loki, failed", 'loki_prometheus_notifications_errors_total{job="loki"}', ""),
    (
        "Alertmanager by {{integration}}",
        'alertmanager_notification_requests_failed_total{job="alertmanager"}',
        "integration",
    ),
)
LINES: Final[Losses] = (
    ("{{job}}, before it is written", 'log_messages_dropped_total{job=~"backend|alert-inbox"}', "job"),
    ("Promtail: {{reason}}", 'promtail_dropped_entries_total{job="promtail"}', "reason"),
    ("Alloy: {{reason}}", 'loki_write_dropped_entries_total{job=~"alloy|cadvisor"}', "reason"),
    ("Loki: {{reason}}", 'loki_discarded_samples_total{job="loki"}', "reason"),
)
SPANS: Final[Losses] = (
    ("before it is sent: {{reason}}", 'trace_spans_dropped_total{job=~"backend|alert-inbox"}', "reason"),
    ("Tempo refused", 'tempo_receiver_refused_spans_total{job="tempo"}', ""),
    ("Tempo: {{reason}}", 'tempo_discarded_spans_total{job="tempo"}', "reason"),
)
_WRITES: Final[Losses] = (
    ("Prometheus: samples", 'prometheus_tsdb_wal_writes_failed_total{job="prometheus"}', ""),
    ("Prometheus: blocks", 'prometheus_tsdb_compactions_failed_total{job="prometheus"}', ""),
    ("Loki: disk full", 'loki_ingester_wal_disk_full_failures_total{job="loki"}', ""),
    ("Loki: chunks", 'loki_ingester_chunks_flush_failures_total{job="loki"}', ""),
    ("Tempo: blocks", 'tempo_live_store_local_failed_flushes_total{job="tempo"}', ""),
)


def in_all(losses: Losses) -> str:
    """How many there were of all within the shown time; nothing where the first does not exist."""
    first, *others = (f"sum(increase({counter}[$__range]))" for _, counter, _ in losses)
    return " + ".join([first, *(f"({other} or vector(0))" for other in others)])


def _over_time(losses: Losses) -> dict[str, str]:
    grouped = ((legend, counter, f" by ({label}) " if label else "") for legend, counter, label in losses)
    return {legend: f"sum{by}(increase({counter}[$__rate_interval])) > 0" for legend, counter, by in grouped}


def chart(
    number: int,
    title: str,
    read: str,
    comes_from: str,
    normal: str,
    unit: str,
    empty: str,
    lines: Mapping[str, str],
    colours: limits.Limits = limits.NONE,
) -> model.Panel:
    """A panel over time, with queries by their legends."""
    about = shapes.About(number, title, read, comes_from, normal, unit, empty, ONWARDS, colours, low=0)
    return shapes.time_series(about, [shapes.Line(expr, legend) for legend, expr in lines.items()])


def _rate(counter: str, job: str, by: str = "") -> str:
    return f'sum{f" by ({by}) " if by else ""}(rate({counter}{{job="{job}"}}[$__rate_interval]))'


def rules() -> model.Panel:
    """Alerts PrometheusRuleFailures and LokiRuleFailures."""
    return chart(
        10,
        "Which Rules Fail?",
        "Evaluations that failed, by the group of rules, and rounds left out, as the one before took so long.",
        "`prometheus_rule_evaluation_failures_total` and its like, within the window of each point.",
        "0: a rule that fails is an alert that cannot fire.",
        shapes.COUNT,
        "No rule failed in this window",
        _over_time(RULES),
        NONE,
    )


def rule_time() -> model.Panel:
    """How late alerts are because of the rules' own time."""
    shares = {
        part: f'max({name}_last_duration_seconds{{job="{job}"}} / {name}_interval_seconds{{job="{job}"}})'
        for part, job, name in (
            ("Prometheus", "prometheus", "prometheus_rule_group"),
            ("Loki", "loki", "loki_prometheus_rule_group"),
        )
    }
    return chart(
        11,
        "Do Rules Keep Up?",
        "How long the slowest group of rules took, over the time between two rounds.",
        "`prometheus_rule_group_last_duration_seconds` over `…_interval_seconds`, and Loki's.",
        "A few per cent. At 100 %, the dashed line, rounds are left out and alerts come late.",
        shapes.SHARE,
        "Neither Prometheus nor Loki answers",
        shares,
        limits.too_high(1.0),
    )


def sent() -> model.Panel:
    """Notifications from hand to hand."""
    return chart(
        12,
        "Are Alerts Handed On?",
        "Alerts a second from Prometheus and Loki to Alertmanager, notifications from there by the way that they take, "
        "and what alert-inbox received.",
        "`prometheus_notifications_sent_total`, `alertmanager_notifications_total`, `alert_notifications_total`.",
        "All a little above 0: the Watchdog alone is sent every minute.",
        shapes.PER_SECOND,
        "No part of the alerts' way answers",
        {
            "Prometheus": _rate("prometheus_notifications_sent_total", "prometheus"),
            "Loki": _rate("loki_prometheus_notifications_sent_total", "loki"),
            "by {{integration}}": f"{_rate('alertmanager_notifications_total', 'alertmanager', 'integration')} > 0",
            "to alert-inbox": _rate("alert_notifications_total", "alert-inbox"),
        },
    )


def alerts() -> model.Panel:
    """Alerts PrometheusNotificationsFailing, -Dropped, AlertmanagerNotificationsFailing."""
    return chart(
        13,
        "Where Are Alerts Lost?",
        "Attempts to hand on an alert that failed, and alerts that were dropped, by the hand that held them.",
        "`prometheus_notifications_errors_total`, `alertmanager_notification_requests_failed_total` and their like.",
        f"0. More than {limit('PrometheusNotificationsFailing'):g} failures in 5 minutes, the dashed line, are told; "
        "what is dropped is told at once.",
        shapes.COUNT,
        "No alert was lost in this window",
        _over_time(ALERTS),
        limits.too_high(limit("PrometheusNotificationsFailing")),
    )


def lines() -> model.Panel:
    """Lines from hand to hand."""
    return chart(
        14,
        "Do Lines Reach Loki?",
        "Lines a second that the shipper sent, and that Loki received. Where they differ, lines wait or are lost.",
        "`promtail_sent_entries_total`, or Alloy's, and `loki_distributor_lines_received_total`.",
        "Both alike, and never 0: each service writes its heartbeat once a minute.",
        shapes.PER_SECOND,
        "Neither a shipper nor Loki answers",
        {
            "sent by Promtail": _rate("promtail_sent_entries_total", "promtail"),
            "sent by Alloy": _rate("loki_write_sent_entries_total", "alloy"),
            "received by Loki": _rate("loki_distributor_lines_received_total", "loki"),
        },
    )


def lines_lost() -> model.Panel:
    """Alerts LogMessagesDropped and PromtailDroppedLines."""
    return chart(
        15,
        "Where Are Lines Lost?",
        "Lines that were dropped, by who dropped them and why.",
        "`log_messages_dropped_total`, `promtail_dropped_entries_total`, `loki_discarded_samples_total`.",
        "0: any is told.",
        shapes.COUNT,
        "No line was lost in this window",
        _over_time(LINES),
        NONE,
    )


def lag() -> model.Panel:
    """Alert PromtailLagging."""
    behind = {
        "Promtail": ("promtail_file_bytes_total", "promtail_read_bytes_total", "promtail"),
        "Alloy": ("loki_source_file_file_bytes_total", "loki_source_file_read_bytes_total", "alloy"),
    }
    return chart(
        16,
        "How Far Behind Is the Shipper?",
        "Bytes of log files that are written and not yet read.",
        "`promtail_file_bytes_total` less `promtail_read_bytes_total`, or Alloy's.",
        "A few kilobytes. It climbs while Loki is away, and falls again; at the dashed line PromtailLagging fires.",
        shapes.BYTES,
        "No shipper answers",
        {
            name: f'sum({size}{{job="{job}"}}) - sum({read}{{job="{job}"}})'
            for name, (size, read, job) in behind.items()
        },
        limits.too_high(limit("PromtailLagging")),
    )


def loki() -> model.Panel:
    """Alert LokiRequestErrors."""
    asked = "loki_request_duration_seconds_count"
    failed = f'sum by (route) (rate({asked}{{job="loki", status_code=~"5.."}}[$__rate_interval]))'
    return chart(
        17,
        "Does Loki Answer?",
        "The share of requests that Loki answered with a 5xx, by what was asked of it.",
        f"`{asked}`. A route that never failed has no line.",
        f"No line, or 0. At {limit('LokiRequestErrors'):.0%}, the dashed line, LokiRequestErrors fires.",
        shapes.SHARE,
        "No request to Loki failed in this window",
        {"{{route}}": f"{failed} / {_rate(asked, 'loki', 'route')} > 0"},
        limits.too_high(limit("LokiRequestErrors")),
    )


def spans() -> model.Panel:
    """Spans from hand to hand."""
    return chart(
        18,
        "Do Spans Reach Tempo?",
        "Spans a second that Tempo received, and that its metrics of spans are made of.",
        "`tempo_distributor_spans_received_total` and `tempo_metrics_generator_spans_received_total`.",
        "Both alike, in proportion to the requests and OTEL_TRACES_SAMPLER_ARG.",
        shapes.PER_SECOND,
        "Tempo has received no span",
        {
            "received": _rate("tempo_distributor_spans_received_total", "tempo"),
            "made into metrics": _rate("tempo_metrics_generator_spans_received_total", "tempo"),
        },
    )


def spans_lost() -> model.Panel:
    """Alerts SpansDropped and TempoSpansRefused."""
    return chart(
        19,
        "Where Are Spans Lost?",
        "Spans that were dropped or refused, by who did it and why. Without Tempo all are, before they are sent.",
        "`trace_spans_dropped_total`, `tempo_receiver_refused_spans_total`, `tempo_discarded_spans_total`.",
        "0: any is told.",
        shapes.COUNT,
        "No span was lost in this window",
        _over_time(SPANS),
        NONE,
    )


def span_metrics() -> model.Panel:
    """Alert TempoSpanMetricsFailing."""
    sending = "prometheus_remote_storage_samples"
    return chart(
        20,
        "Do Metrics of Spans Reach Prometheus?",
        "Samples a second that Tempo makes of spans and sends to Prometheus, and those that failed or are tried again.",
        f"`{sending}_total`, `…_failed_total` and `…_retried_total` of Tempo.",
        "Only sent. TempoSpanMetricsFailing fires after 5 minutes of failures.",
        shapes.PER_SECOND,
        "Tempo has sent no metrics of spans",
        {
            what: _rate(f"{sending}{name}_total", "tempo")
            for what, name in (("sent", ""), ("failed", "_failed"), ("tried again", "_retried"))
        },
    )


def writes() -> model.Panel:
    """Alerts PrometheusStorageFailing and LokiStorageFailing."""
    return chart(
        21,
        "Can Everything Be Written?",
        "Writes to disk that failed, of samples, lines and spans; and damaged places among the newest samples, which "
        "Prometheus found when it started: what was behind them is lost.",
        "`prometheus_tsdb_wal_writes_failed_total`, `loki_ingester_chunks_flush_failures_total` and their like.",
        "0: any is told, and lost when that part ends now. Damaged: it was killed while it wrote, or the disk is bad.",
        shapes.COUNT,
        "No write failed in this window",
        {**_over_time(_WRITES), "Prometheus: damaged": "max(instance:prometheus_corruptions:sum) > 0"},
        NONE,
    )

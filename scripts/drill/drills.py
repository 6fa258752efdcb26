"""Which fault makes which alert fire; or why none can. tests/scripts/drill compares this with the rule files."""

from dataclasses import dataclass, field, replace

from scripts.drill import broken
from scripts.drill.faults import Fault, dissatisfied, injected, memory_taken, requests, restarted, silenced, stopped
from scripts.drill.load import Load


@dataclass(frozen=True)
class Drill:
    """A fault and the alert by which it is told. `labels` choose among alerts of one name.

    `slow` is how many seconds longer than usual it takes to fire, whatever the timings; `only_real`, why shortened ones
    show nothing.
    """

    alert: str
    fault: Fault
    labels: dict[str, str] = field(default_factory=dict)
    slow: float = 0.0
    only_real: str = ""


_AI_DOWN = injected("ai_down")
#: A stack of the drill's own has a queue of 100 lines (stacks.py); the burst is 200 at once.
_SHORT_QUEUE = replace(injected("log_burst"), own=True)
_INDEXING = injected("indexing_failures", Load("upload", 3), logs=True)
#: Two spans a request fill the exporter's queue (8,192) in half a minute.
_TRACES_WAIT = stopped("tempo", Load("list", 150), uses=frozenset({"tempo", "backend"}))
_LIST, _CHAT = Load("list", 20), Load("chat", 3)

_PROMETHEUS = ("prometheus", "/etc/prometheus/prometheus.yml")
_ALERTMANAGER = ("alertmanager", "/etc/alertmanager/alertmanager.yml")
_UNEVALUATED = broken.rule_added("prometheus", "up + on () up", "a rule that cannot be evaluated")
_UNEVALUATED_LOGS = broken.rule_added(
    "loki", 'sum(sum_over_time({service=~".+"} | json | unwrap timestamp [15s]))', "a rule that cannot be evaluated"
)
_SECOND_ALERTMANAGER = broken.configured(*_PROMETHEUS, broken.second_alertmanager, "a second Alertmanager, away")
_AWAY = broken.configured(*_ALERTMANAGER, broken.second_webhook, "a second webhook, away")
#: It is the Watchdog that goes there: not while another drill silences it.
_SECOND_WEBHOOK = replace(_AWAY, uses=_AWAY.uses | {"watchdog"})
_METRIC_LOST = broken.configured(*_PROMETHEUS, broken.metric_lost, "a metric dropped by relabelling")

_STARTS_SLOWLY = "a start takes as long as ever, and is BackendDown where a minute is three seconds: try it with ALERT"

#: In the order in which they are run: what is critical holds back the warnings of its service, and so comes later.
#: For the same reason warnings are made with a share of failures below what is critical, and below what the health
#: checks, which such a fault strikes as well, take for an outage.
DRILLS: tuple[Drill, ...] = (
    Drill("RagSuccessLow", requests(Load("nonsense", 2))),
    Drill("WatchdogNotArriving", silenced("Watchdog"), slow=200),
    Drill("IndexingJobsFailing", _INDEXING),
    Drill("ExceptionSurge", _INDEXING, {"service": "backend"}),
    Drill("IndexingStuck", broken.extraction_stopped()),
    Drill("UserSatisfactionFalling", dissatisfied()),
    Drill("HighResponseTime", injected("http_latency", _LIST, percent=20, delay=3)),
    Drill("AIFirstTokenSlow", injected("ai_slow", Load("stream", 8), _LIST, percent=10, delay=4)),
    Drill("AIResponseSlow", injected("ai_slow", Load("chat", 8), _LIST, percent=10, delay=12)),
    # Few calls would leave it to chance on which side of the limit their share falls.
    Drill("AIErrorsHigh", injected("ai_down", Load("upload", 8), percent=20)),
    Drill("LogErrorBurst", injected("log_burst", logs=True), {"service": "backend"}),
    Drill("LogMessagesDropped", _SHORT_QUEUE, {"service": "backend"}),
    Drill("LokiDown", stopped("loki")),
    Drill("PromtailLagging", broken.flooded()),
    Drill("LokiRuleFailures", _UNEVALUATED_LOGS, slow=60),
    Drill("PrometheusRuleFailures", _UNEVALUATED),
    Drill("ConfigReloadFailed", broken.configured(*_PROMETHEUS, broken.unreadable, "an unknown key in prometheus.yml")),
    Drill("PrometheusNotificationsFailing", _SECOND_ALERTMANAGER),
    Drill("AlertmanagerNotificationsFailing", _SECOND_WEBHOOK, slow=60),
    Drill("MetricsAbsent", _METRIC_LOST, {"service": "node-exporter"}),
    Drill("PromtailDown", stopped("promtail")),
    Drill("TempoSpansRefused", broken.trace_too_large()),
    Drill("TempoDown", stopped("tempo", uses=frozenset({"tempo"}))),
    Drill("SpansDropped", _TRACES_WAIT, {"service": "backend"}, slow=60),
    Drill("TargetDown", stopped("node-exporter", uses=frozenset({"node-exporter"})), {"service": "node-exporter"}),
    Drill("EventLoopBlocked", broken.frozen("backend", stopped=0.4, runs=0.4)),
    Drill("HighMemoryUsage", memory_taken(percent=88)),
    Drill("BackendCrashLooping", restarted("backend", times=4), only_real=_STARTS_SLOWLY),
    Drill("HighErrorRateAbsolute", injected("http_errors", Load("list", 30), percent=3)),
    Drill(
        "ChatSuccessBudgetBurn", injected("vector_store_down", _CHAT, Load("list", 30), percent=30), {"window": "1h"}
    ),
    # Of its long window's requests most have to be slow: those of the drills before it have to leave the window first.
    Drill("LatencyBudgetBurn", injected("http_latency", _LIST, delay=0.6), {"window": "1h"}, slow=180),
    Drill("LowDiskSpace", broken.disk_filled()),
    # Before the others that set off FailureAftermath: for 15 minutes, whatever the timings, Prometheus goes on telling
    # that alerts are over, by which Alertmanager keeps their group, and what is new in it waits for group_interval.
    Drill("AIServiceDown", _AI_DOWN),
    Drill("CriticalUnresolved", _AI_DOWN, {"source_alert": "AIServiceDown"}),
    Drill("FailureAftermath", _AI_DOWN, {"source_alert": "AIServiceDown"}),
    Drill("BudgetAftermath", _AI_DOWN, {"source_alert": "AIServiceDown"}),
    Drill("HighErrorRate", injected("http_errors", _LIST, percent=30)),
    Drill("VectorStoreUnreachable", injected("vector_store_down")),
    Drill("DatabaseUnreachable", injected("database_down")),
    Drill("BackendDown", stopped("backend", uses=frozenset({"backend"}))),
)

_FULL_DISK = "the disk under it would have to refuse writes"
#: Alerts without a drill, and why.
WITHOUT: dict[str, str] = {
    "Watchdog": "it always fires; that it stops coming is what WatchdogNotArriving is about",
    "AvailabilityBudgetBurn": "HighErrorRate fires by the same errors, sooner, and holds it back",
    "ServiceSilent": "what silences a service (no Promtail, no backend, a full disk) has an alert that holds it back",
    "AlertmanagerDown": "while Alertmanager is away nothing is delivered; the Watchdog's absence tells it",
    "PrometheusNotificationsDropped": "10,000 alerts would have to wait for an Alertmanager",
    "PrometheusStorageCorrupted": "damaged samples are found at its start alone, which would cost the other drills",
    "PrometheusStorageFailing": _FULL_DISK,
    "LokiStorageFailing": _FULL_DISK,
    "LokiRequestErrors": "no request makes a healthy Loki answer with a 5xx",
    "PromtailDroppedLines": "it is set up never to give up, and Loki refuses none of its lines",
    "TempoSpanMetricsFailing": "Prometheus, which tells it, is what would have to be away",
    "AuthenticationFailures": "nothing in this stack asks for credentials; docker-compose.staging.yml does",
    "DiskFullInFourDays": "it looks at the trend of hours on a disk that is no tmpfs",
    "MemoryGrowing": "no fault makes the backend leak memory",
    "SeriesGrowth": "it compares with yesterday",
    "BackupTooOld": "it takes a day without a backup",
    "PrometheusSeriesMany": "100,000 series would have to be made",
    "VectorSearchSlow": "no fault slows the vector store alone",
    "AICostRunningAway": "the local AI costs nothing, and a bill is no drill",
}

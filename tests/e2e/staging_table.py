"""What may reach what in the staging overlay, and what is given to whom."""

from tests.e2e.staging import PORT

#: Every open port of every container. (9095: gRPC, by which Loki's, Tempo's and Promtail's own parts talk.)
LISTENS: dict[str, list[int]] = {
    "gateway": [PORT],
    "backend": [8000],
    "alert-inbox": [8001],
    "mongodb": [27017],
    "mongodb-exporter": [9216],
    "qdrant": [6333, 6334],
    "prometheus": [9090],
    "alertmanager": [9093],
    "loki": [3100, 9095],
    "promtail": [9080, 9095],
    "tempo": [3200, 4317, 4318, 9095],
    "grafana": [3000],
    "node-exporter": [9100],
    "secrets": [],
}
#: Who is on a network together, and so reaches each other: each pair, with what passes between them.
TOGETHER = {
    ("gateway", "backend"): "requests",
    ("gateway", "alert-inbox"): "runbooks, and what arrived",
    ("gateway", "alertmanager"): "its page",
    ("gateway", "prometheus"): "its page",
    ("gateway", "loki"): "logcli",
    ("gateway", "tempo"): "searches",
    ("gateway", "grafana"): "its page",
    ("backend", "mongodb"): "records",
    ("backend", "qdrant"): "vectors",
    ("backend", "tempo"): "spans",
    ("alert-inbox", "tempo"): "spans",
    ("alertmanager", "alert-inbox"): "alerts",
    ("mongodb-exporter", "mongodb"): "its state",
    ("promtail", "loki"): "lines",
    ("loki", "alertmanager"): "alerts of lines",
    ("prometheus", "alertmanager"): "alerts, and a scrape",
    ("tempo", "prometheus"): "metrics of spans, and a scrape",
    ("grafana", "prometheus"): "queries, and a scrape",
    ("grafana", "loki"): "queries",
    ("grafana", "tempo"): "queries",
    ("grafana", "alertmanager"): "alerts and silences",
    ("prometheus", "backend"): "a scrape",
    ("prometheus", "alert-inbox"): "a scrape",
    ("prometheus", "loki"): "a scrape",
    ("prometheus", "promtail"): "a scrape",
    ("prometheus", "qdrant"): "a scrape",
    ("prometheus", "mongodb-exporter"): "a scrape",
    ("prometheus", "node-exporter"): "a scrape",
}
#: What a stranger may see at the one address: that it lives, and two pages on which to log in.
OPEN = {"/": "<!doctype html>", "/health/live": '{"status":"alive"}', "/grafana/login": "<!doctype html>"}
#: Of the parts behind the gateway, what gives data, and what it needs: user, file of the password, what the answer has.
PROTECTED = {
    "/prometheus/": ("operator", "prometheus_password", "<title>"),
    "/prometheus/api/v1/query?query=up": ("operator", "prometheus_password", "mongodb-exporter"),
    "/prometheus/api/v1/status/config": ("operator", "prometheus_password", "scrape_configs"),
    "/prometheus/metrics": ("operator", "prometheus_password", "prometheus_build_info"),
    "/prometheus/-/ready": ("operator", "prometheus_password", "Ready"),
    "/alertmanager/": ("operator", "alertmanager_password", "<title>"),
    "/alertmanager/api/v2/alerts": ("operator", "alertmanager_password", "Watchdog"),
    "/alertmanager/api/v2/status": ("operator", "alertmanager_password", "versionInfo"),
    "/loki/api/v1/label/service/values": ("operator", "loki_password", "backend"),
    "/tempo/api/search/tags": ("operator", "tempo_password", "service.name"),
    "/tempo/status/config": ("operator", "tempo_password", "distributor"),
    "/alerts": ("operator", "alert_inbox_password", "["),
    "/runbooks": ("operator", "alert_inbox_password", "BackendDown"),
    "/runbooks/BackendDown": ("operator", "alert_inbox_password", "backend"),
    "/grafana/api/search": ("admin", "grafana_admin_password", "sistema-overview"),
    "/grafana/api/datasources": ("admin", "grafana_admin_password", "alertmanager"),
    "/grafana/api/datasources/proxy/uid/prometheus/api/v1/query?query=up": ("admin", "grafana_admin_password", "job"),
    "/grafana/api/datasources/proxy/uid/alertmanager/api/v2/alerts": ("admin", "grafana_admin_password", "Watchdog"),
    "/grafana/api/datasources/proxy/uid/loki/loki/api/v1/labels": ("admin", "grafana_admin_password", "service"),
    "/grafana/api/datasources/proxy/uid/tempo/api/search/tags": ("admin", "grafana_admin_password", "service.name"),
}
#: For nobody outside, whatever the credentials.
CLOSED = ("/metrics", "/%6detrics", "//metrics", "/internal/faults", "/internal/profile", "/internal/log-level",
          "/grafana/api/health", "/grafana/healthz", "/grafana/metrics")  # fmt: skip
#: The same for whoever has the password: a series that was deleted is gone, and a snapshot fills the disk.
ADMIN = ("/prometheus/api/v1/admin/tsdb/snapshot", "/prometheus/api/v1/admin/tsdb/delete_series?match[]=up",
         "/prometheus//api/v1/admin/tsdb/clean_tombstones", "/prometheus/api/v1/%61dmin/tsdb/snapshot")  # fmt: skip
#: Within, where the networks let it through: asked from Prometheus', which is on almost all.
INNER = ("http://backend:8000/metrics", "http://backend:8000/internal/tracing", "http://backend:8000/api/v1/indexing/jobs",
         "http://backend:8000/openapi.json", "http://alert-inbox:8001/metrics",
         "http://prometheus:9090/api/v1/query?query=up", "http://prometheus:9090/metrics",
         "http://alertmanager:9093/api/v2/alerts", "http://alertmanager:9093/metrics",
         "http://grafana:3000/api/search", "http://grafana:3000/metrics",
         "http://qdrant:6333/collections", "http://qdrant:6333/metrics", "http://qdrant:6333/telemetry")  # fmt: skip

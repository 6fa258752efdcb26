"""What alert-inbox does with the alerts that it is sent: writes, counts and keeps them, and misses the Watchdog."""

import asyncio
import json
import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from prometheus_client import Counter, Gauge
from pydantic import AfterValidator, BaseModel, Field

from app.core.logging_config import logger

SEVERITIES = ("critical", "warning", "info", "escalation", "none")
STATUSES = ("firing", "resolved")
#: The receivers of alertmanager.yml, and Grafana's contact point; whatever else somebody configures is `other`.
RECEIVERS = ("page", "chat", "log", "escalation", "watchdog", "grafana", "other")
#: The last alerts are kept for GET /alerts.
KEPT_ALERTS = 1000

alerts_received = Counter("alerts_received_total", "Alerts delivered to the inbox", ["severity", "status"])
notifications_received = Counter("alert_notifications_total", "Notifications delivered to the inbox", ["receiver"])
repeats_received = Counter("alert_repeats_total", "Alerts delivered again, unchanged since the last time", ["receiver"])
last_watchdog = Gauge("watchdog_last_received_timestamp_seconds", "When the Watchdog last arrived (Unix time)")
for _severity in SEVERITIES:
    for _status in STATUSES:
        alerts_received.labels(_severity, _status)  # so that rules see 0 and not nothing
for _receiver in RECEIVERS:
    notifications_received.labels(_receiver)
    repeats_received.labels(_receiver)


#: Text that can be written: half a surrogate pair cannot, and comes with a label that somebody cut in the middle.
Text = Annotated[str, AfterValidator(lambda text: text.encode("utf-8", "replace").decode("utf-8"))]


class Alert(BaseModel):
    """One alert of a notification, in Alertmanager's own words."""

    status: Text
    labels: dict[Text, Text]
    annotations: dict[Text, Text] = {}
    startsAt: Text = ""  # noqa: N815 - Alertmanager's name
    endsAt: Text = ""  # noqa: N815
    fingerprint: Text = ""


class Notification(BaseModel):
    """The webhook's body, version 4: Alertmanager's and Grafana's."""

    receiver: Text
    status: Text
    externalURL: Text = ""  # noqa: N815
    alerts: list[Alert] = Field(max_length=10_000)


def logs_link(alert: Alert) -> str:
    """Grafana's Explore with the service's lines from 15 minutes before the alert, or "" if no dashboard is named.

    Grafana's address is taken from the dashboard's, as monitoring/alertmanager/templates/specola.tmpl does.
    """
    grafana, found, _ = alert.annotations.get("dashboard", "").partition("/d/")
    if not found:
        return ""
    try:
        start = str(int(datetime.fromisoformat(alert.startsAt).timestamp() * 1000) - 900_000)
    except ValueError:
        start = "now-1h"
    query = {"refId": "A", "expr": f'{{service="{alert.labels.get("service", "")}"}}'}
    state = {"datasource": "loki", "queries": [query], "range": {"from": start, "to": "now"}}
    return f"{grafana}/explore?left={quote(json.dumps(state, separators=(',', ':')), safe='')}"


def silence_link(alert: Alert, alertmanager: str) -> str:
    """Alertmanager's form for a silence of this alert."""
    names = ("alertname", "service", "source_alert")
    matchers = ",".join(f'{name}="{alert.labels[name]}"' for name in names if name in alert.labels)
    return f"{alertmanager}/#/silences/new?filter={quote(f'{{{matchers}}}', safe='')}"


class Inbox:
    """What arrived: at least once each, so that what comes again is the same entry with one delivery more."""

    def __init__(self, watchdog_timeout: float) -> None:
        self._entries: OrderedDict[tuple[str, ...], dict[str, Any]] = OrderedDict()
        self.last_watchdog = time.time()
        self._heard = time.monotonic()  # no clock that is set; the first one gets as long as every other
        self._timeout = watchdog_timeout
        self._silent = False
        last_watchdog.set_function(lambda: self.last_watchdog)

    def take(self, notification: Notification) -> None:
        """Counts, writes and keeps each alert of a notification."""
        # Grafana calls its receiver by the contact point's name, older ones with more around it.
        name = re.sub(r"\W.*", "", notification.receiver)
        receiver = name if name in RECEIVERS else "other"
        notifications_received.labels(receiver).inc()
        for alert in notification.alerts:
            severity = alert.labels.get("severity", "none")
            known = severity if severity in SEVERITIES else "none"
            status = alert.status if alert.status in STATUSES else "firing"
            alerts_received.labels(known, status).inc()
            if alert.labels.get("alertname") == "Watchdog":
                self.last_watchdog, self._heard = time.time(), time.monotonic()
                continue  # its absence is the message, not its presence
            entry = self._keep(alert, receiver, notification.externalURL)
            if entry["deliveries"] > 1:
                repeats_received.labels(receiver).inc()
            write = logger.error if known in ("critical", "escalation") and status == "firing" else logger.warning
            write(
                "alert",
                alertname=alert.labels.get("alertname", ""),
                alert_status=status,
                severity=severity,
                labels=alert.labels,
                annotations=alert.annotations,
                starts_at=alert.startsAt,
                fingerprint=alert.fingerprint,
                receiver=receiver,
                deliveries=entry["deliveries"],
                logs=entry["logs"],
                silence=entry["silence"],
            )

    def _keep(self, alert: Alert, receiver: str, alertmanager: str) -> dict[str, Any]:
        identity = alert.fingerprint or json.dumps(alert.labels, sort_keys=True)
        key = (identity, alert.startsAt, alert.status, receiver)
        now = time.time()
        entry = self._entries.pop(key, None)
        if entry is None:
            entry = {
                **alert.model_dump(),
                "receiver": receiver,
                "received_at": now,
                "deliveries": 0,
                "logs": logs_link(alert),
                "silence": silence_link(alert, alertmanager),
            }
        entry["deliveries"] += 1
        entry["last_received_at"] = now
        self._entries[key] = entry
        if len(self._entries) > KEPT_ALERTS:
            self._entries.popitem(last=False)
        return entry

    def alerts(self, alertname: str | None, since: float) -> Iterator[dict[str, Any]]:
        """What was received at `since` (Unix time) or later, the latest first; of every alert, or of one."""
        for entry in reversed(self._entries.values()):
            if entry["last_received_at"] >= since and alertname in (None, entry["labels"].get("alertname")):
                yield entry

    async def watch(self) -> None:
        """Says so, once, when the Watchdog stops coming, and once when it is back."""
        while True:
            await asyncio.sleep(min(5.0, self._timeout / 4))
            silence = time.monotonic() - self._heard
            if silence > self._timeout and not self._silent:
                logger.critical("the Watchdog stopped coming: alerts may not arrive", seconds=round(silence))
            elif silence <= self._timeout and self._silent:
                logger.warning("the Watchdog is back")
            self._silent = silence > self._timeout

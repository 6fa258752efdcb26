"""alert-inbox: Alertmanager's default receiver, so that nothing needs an account.

It writes each alert as a structured line, counts it, serves the runbooks as pages, and says when the Watchdog stops
coming. A program of its own, so that "the backend is down" arrives.
"""

import asyncio
import contextlib
import html
import re
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from markdown_it import MarkdownIt
from prometheus_client import Counter, Gauge
from pydantic import BaseModel, Field

from app import __version__
from app.api import metrics as metrics_api
from app.core.body_limit import BodyLimitMiddleware
from app.core.config import Settings, get_settings
from app.core.errors import ProblemError, install_error_handlers
from app.core.logging_config import logger
from app.core.middleware import ObservabilityMiddleware
from app.core.routing import EndpointNames
from app.core.server import serve

SEVERITIES = ("critical", "warning", "info", "none")
STATUSES = ("firing", "resolved")
#: The last alerts are kept for GET /alerts.
KEPT_ALERTS = 500
#: Of one notification, which may hold thousands of alerts.
MAX_NOTIFICATION_BYTES = 5_000_000

alerts_received = Counter("alerts_received_total", "Alerts delivered to the inbox", ["severity", "status"])
last_watchdog = Gauge("watchdog_last_received_timestamp_seconds", "When the Watchdog last arrived (Unix time)")
for _severity in SEVERITIES:
    for _status in STATUSES:
        alerts_received.labels(_severity, _status)  # so that rules see 0 and not nothing


class Alert(BaseModel):
    """One alert of a notification, in Alertmanager's own words."""

    status: str
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: str = ""  # noqa: N815 - Alertmanager's name
    endsAt: str = ""  # noqa: N815
    fingerprint: str = ""


class Notification(BaseModel):
    """The webhook's body, version 4."""

    receiver: str
    status: str
    alerts: list[Alert] = Field(max_length=10_000)


class Inbox:
    """What arrived."""

    def __init__(self, watchdog_timeout: float) -> None:
        self.alerts: deque[dict[str, Any]] = deque(maxlen=KEPT_ALERTS)
        self.last_watchdog = time.time()  # the first one gets as long as every other
        self._timeout = watchdog_timeout
        self._silent = False
        last_watchdog.set_function(lambda: self.last_watchdog)

    def take(self, notification: Notification) -> None:
        """Counts and writes each alert of a notification."""
        for alert in notification.alerts:
            severity = alert.labels.get("severity", "none")
            known = severity if severity in SEVERITIES else "none"
            status = alert.status if alert.status in STATUSES else "firing"
            alerts_received.labels(known, status).inc()
            if alert.labels.get("alertname") == "Watchdog":
                self.last_watchdog = time.time()
                continue  # its absence is the message, not its presence
            received = {**alert.model_dump(), "receiver": notification.receiver, "received_at": time.time()}
            self.alerts.appendleft(received)
            write = logger.error if known == "critical" and status == "firing" else logger.warning
            write(
                "alert",
                alertname=alert.labels.get("alertname", ""),
                alert_status=status,
                severity=severity,
                labels=alert.labels,
                annotations=alert.annotations,
                starts_at=alert.startsAt,
                fingerprint=alert.fingerprint,
                receiver=notification.receiver,
            )

    async def watch(self) -> None:
        """Says so, once, when the Watchdog stops coming, and once when it is back."""
        while True:
            await asyncio.sleep(min(5.0, self._timeout / 4))
            silence = time.time() - self.last_watchdog
            if silence > self._timeout and not self._silent:
                logger.critical("the Watchdog stopped coming: alerts may not arrive", seconds=round(silence))
            elif silence <= self._timeout and self._silent:
                logger.warning("the Watchdog is back")
            self._silent = silence > self._timeout


def create_inbox(settings: Settings | None = None) -> FastAPI:
    """The application."""
    settings = settings or get_settings()
    inbox = Inbox(settings.watchdog_timeout_seconds)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(inbox.watch())
        logger.info("started")
        yield
        watcher.cancel()

    app = FastAPI(title="Specola alert-inbox", version=__version__, lifespan=lifespan)
    app.include_router(metrics_api.router)

    @app.post("/alerts", status_code=204)
    async def receive(notification: Notification) -> Response:
        """Alertmanager's webhook."""
        inbox.take(notification)
        return Response(status_code=204)

    @app.get("/alerts")
    async def alerts(alertname: str | None = None) -> list[dict[str, Any]]:
        """What arrived lately, the newest first."""
        return [alert for alert in inbox.alerts if alertname in (None, alert["labels"].get("alertname"))]

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "alive"}

    @app.get("/runbooks/{alertname}", response_class=HTMLResponse)
    async def runbook(alertname: str) -> str:
        """What to do when this alert fires."""
        page = settings.runbooks_dir / f"{alertname}.md"
        if not re.fullmatch(r"[A-Za-z0-9]{1,100}", alertname) or not page.is_file():
            raise ProblemError(404, "No runbook has this name; GET /runbooks lists them.")
        return _page(
            alertname,
            MarkdownIt("commonmark", {"html": False}).enable("table").render(page.read_text(encoding="utf-8")),
        )

    @app.get("/runbooks", response_class=HTMLResponse)
    async def runbooks(_: Request) -> str:
        """The list of runbooks."""
        names = sorted(path.stem for path in settings.runbooks_dir.glob("*.md"))
        items = "".join(f'<li><a href="/runbooks/{name}">{name}</a></li>' for name in names)
        return _page("Runbooks", f"<h1>Runbooks</h1><ul>{items}</ul>")

    install_error_handlers(app)
    app.add_middleware(BodyLimitMiddleware, default=MAX_NOTIFICATION_BYTES)
    app.add_middleware(ObservabilityMiddleware, names=EndpointNames(app.routes), settings=settings)
    return app


def _page(title: str, body: str) -> str:
    style = (
        ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;"
        "padding:0 1rem}pre{overflow-x:auto;padding:.7rem;border:1px solid #8884}table{border-collapse:collapse}"
        "td,th{border:1px solid #8886;padding:.2rem .5rem;text-align:left}"
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{style}</style><body>{body}</body></html>"
    )


def main() -> None:
    """Serves until told to stop."""
    settings = get_settings()
    serve(create_inbox(settings), settings.inbox_port, settings)


if __name__ == "__main__":
    main()

"""alert-inbox: Alertmanager's default receiver, so that nothing needs an account.

It writes each alert as a structured line, counts it, serves the runbooks as pages, and says when the Watchdog stops
coming. A program of its own, so that "the backend is down" arrives.
"""

import asyncio
import contextlib
import html
import re
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from markdown_it import MarkdownIt
from opentelemetry.trace import SpanKind

from app import __version__
from app.api import access
from app.api import metrics as metrics_api
from app.core.body_limit import BodyLimit, BodyLimitMiddleware
from app.core.config import Settings, get_settings
from app.core.errors import ProblemError, install_error_handlers
from app.core.heartbeat import beat
from app.core.logging_config import logger
from app.core.middleware import ObservabilityMiddleware
from app.core.routing import EndpointNames
from app.core.server import serve
from app.core.spans import in_span
from app.services.alerts import Inbox, Notification

#: Of one notification, which may hold thousands of alerts.
MAX_NOTIFICATION_BYTES = 5_000_000


def create_inbox(settings: Settings | None = None) -> FastAPI:
    """The application."""
    settings = settings or get_settings()
    inbox = Inbox(settings.watchdog_timeout_seconds)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(inbox.watch()), asyncio.create_task(beat())]
        logger.info("started")
        yield
        for task in tasks:
            task.cancel()

    app = FastAPI(title="Specola alert-inbox", version=__version__, lifespan=lifespan)
    app.include_router(metrics_api.router)

    @app.post("/alerts", status_code=204)
    async def receive(notification: Notification) -> Response:
        """Alertmanager's webhook."""
        with in_span("receive alerts", SpanKind.CONSUMER, {"alerts.count": len(notification.alerts)}):
            inbox.take(notification)
        return Response(status_code=204)

    @app.get("/alerts")
    async def alerts(alertname: str | None = None, since: float = 0) -> list[dict[str, Any]]:
        """What arrived at `since` (Unix time) or later, of the last 1000 alerts, the latest first."""
        return list(inbox.alerts(alertname, since))

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "alive"}

    @app.get("/runbooks/{alertname}", response_class=HTMLResponse)
    async def runbook(alertname: str) -> str:
        """What to do when this alert fires. Pages name each other as files do, with `.md`."""
        alertname = alertname.removesuffix(".md")
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
    detail = f"A notification has at most {MAX_NOTIFICATION_BYTES} bytes."
    app.add_middleware(BodyLimitMiddleware, default=BodyLimit(MAX_NOTIFICATION_BYTES, detail))
    if token := access.read_token(settings.internal_token_file):
        app.add_middleware(access.AccessMiddleware, token=token, with_keys=False)
    app.add_middleware(ObservabilityMiddleware, names=EndpointNames(app), settings=settings)
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

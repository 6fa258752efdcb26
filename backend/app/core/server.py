"""How the image's programs are served: the backend and alert-inbox alike."""

import signal
import sys
from typing import Any

import uvicorn

from app.core.config import Settings
from app.core.logging_config import close_logging, configure_logging
from app.core.tracing import close_tracing, configure_tracing


def serve(app: Any, port: int, settings: Settings) -> None:
    """Serves an ASGI app until told to stop; what is in flight then has `shutdown_seconds` to finish."""
    configure_logging(settings)
    configure_tracing(settings)
    # uvicorn repeats the signal once it has ended; by default that would kill what still has lines and spans to write.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        uvicorn.run(
            app,
            host=settings.host,
            port=port,
            log_config=None,  # its lines go through our own pipeline
            access_log=False,  # the middleware writes one with more in it
            server_header=False,
            ssl_certfile=settings.server_certificate_file or None,  # with its key
            timeout_graceful_shutdown=round(settings.shutdown_seconds),
        )
    finally:
        close_tracing()
        close_logging()

"""A line now and then, so that a service without work can be told from one whose lines no longer arrive."""

import asyncio

from app.core.logging_config import emit

#: Well below the five minutes after which the alert ServiceSilent (loki/rules/fake/rules.yml) misses a service's lines.
HEARTBEAT_SECONDS = 60.0


async def beat(seconds: float = HEARTBEAT_SECONDS) -> None:
    """Writes a line at once and then every `seconds`, until cancelled, whatever LOG_LEVEL says."""
    while True:
        emit("info", "heartbeat", "running", {})
        await asyncio.sleep(seconds)

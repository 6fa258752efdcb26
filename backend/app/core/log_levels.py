"""Levels of single loggers, lowered or raised for a while: to look closer at one part without a restart.

One tree of levels, the standard library's, holds for structlog's loggers too.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from app.core.config import LogLevel
from app.core.logging_config import LOGGER_NAME, logger


@dataclass(frozen=True)
class SetLevel:
    """A logger's level until its end time (Unix seconds)."""

    logger: str
    level: LogLevel
    until: float
    before: int


class LogLevels:
    """What is set now. Each one ends by itself; the event loop that set it restores it."""

    def __init__(self) -> None:
        self._set: dict[str, tuple[SetLevel, asyncio.TimerHandle]] = {}

    @staticmethod
    def known(name: str) -> bool:
        """Whether there is a logger of this name, or one below it: a name that nobody uses would do nothing."""
        return name in ("root", LOGGER_NAME) or name in logging.root.manager.loggerDict

    def active(self) -> list[SetLevel]:
        """What is set now."""
        return [one for one, _ in self._set.values()]

    def set(self, name: str, level: LogLevel, seconds: float) -> None:
        """Sets one logger's level for this long; one that was set already keeps what it had before that."""
        before = logging.getLogger(name).level
        if name in self._set:
            former, timer = self._set.pop(name)
            timer.cancel()
            before = former.before
        logging.getLogger(name).setLevel(level)
        timer = asyncio.get_running_loop().call_later(seconds, self.restore, name)
        self._set[name] = SetLevel(name, level, time.time() + seconds, before), timer
        logger.warning("log level set", of=name, to=level, seconds=seconds)

    def restore(self, name: str | None = None) -> None:
        """Puts back what was before, of one logger or of all."""
        for one in [name] if name else list(self._set):
            former, timer = self._set.pop(one)
            timer.cancel()
            logging.getLogger(one).setLevel(former.before)
            logger.warning("log level restored", of=one, to=logging.getLevelName(former.before))


#: The process' own.
levels = LogLevels()

"""Looking closer while it runs: every request of one request id, or of one route, is traced until an end time."""

import re
import time
from dataclasses import dataclass
from typing import Literal

from starlette.routing import compile_path

from app.core.logging_config import logger

#: More at once would be paid by every request.
MAX_ORDERS = 50


class TooManyOrders(Exception):
    """`MAX_ORDERS` are active already."""


@dataclass(frozen=True, slots=True)
class TraceOrder:
    """Trace what has this request id, or this route's template, until then (Unix seconds)."""

    kind: Literal["request_id", "route"]
    value: str
    until: float
    path: re.Pattern[str] | None


class TraceOrders:
    """The orders of this process. Without any, a request asks an empty dict."""

    def __init__(self) -> None:
        self._orders: dict[tuple[str, str], TraceOrder] = {}

    def add(self, kind: Literal["request_id", "route"], value: str, seconds: float) -> None:
        """Begins an order, or moves the end of the same one. Raises `TooManyOrders`."""
        active = self.active()
        if len(active) >= MAX_ORDERS and (kind, value) not in self._orders:
            raise TooManyOrders(f"{MAX_ORDERS} orders are active: end them with DELETE /internal/tracing")
        path = compile_path(value)[0] if kind == "route" else None
        self._orders[(kind, value)] = TraceOrder(kind, value, time.time() + seconds, path)
        logger.warning("every request of this kind is traced", kind=kind, value=value, seconds=seconds)

    def active(self) -> list[TraceOrder]:
        """Those that have not ended."""
        now = time.time()
        for key in [key for key, order in self._orders.items() if order.until <= now]:
            logger.warning("traced as usual again", kind=key[0], value=self._orders.pop(key).value)
        return list(self._orders.values())

    def clear(self) -> None:
        """Ends all of them."""
        self._orders.clear()
        logger.warning("all is traced as usual again")

    def include(self, request_id: str, path: str) -> bool:
        """Whether this request is to be traced."""
        if not self._orders:
            return False
        return any(order.path.match(path) if order.path else order.value == request_id for order in self.active())


orders = TraceOrders()

"""What a call to another service carries of the request that causes it."""

from app.core.logging_config import current_request_id
from app.core.tracing import outgoing_headers


def request_headers() -> dict[str, str]:
    """`X-Request-ID`, `traceparent` and the caller's `tracestate`; only those that there are."""
    request_id = current_request_id()
    return {**({"X-Request-ID": request_id} if request_id else {}), **outgoing_headers()}

"""What all tests share."""

import ssl
from functools import cache
from typing import Any

_make = ssl.create_default_context
_make_once = cache(_make)


def _default_context(*arguments: Any, cafile: str | None = None, **more: Any) -> ssl.SSLContext:
    """Reads a file of certificate authorities once: it takes 20 ms, and httpx does it for every client and call."""
    if cafile is None:
        return _make(*arguments, **more)
    return _make_once(*arguments, cafile=cafile, **more)


ssl.create_default_context = _default_context

"""What all tests share."""

import os
import ssl
from functools import cache
from typing import Any

import pytest

from scripts.local import apart

_make = ssl.create_default_context
_make_once = cache(_make)


def _default_context(*arguments: Any, cafile: str | None = None, **more: Any) -> ssl.SSLContext:
    """Reads a file of certificate authorities once: it takes 20 ms, and httpx does it for every client and call."""
    if cafile is None:
        return _make(*arguments, **more)
    return _make_once(*arguments, cafile=cafile, **more)


ssl.create_default_context = _default_context

# Workers that look for free ports at the same time look in different places.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_share = len(apart.PORTS) // 8
apart.PORTS = apart.PORTS[_worker % 8 * _share : (_worker % 8 + 1) * _share]


def _shared(item: pytest.Item) -> str:
    """What a test must not share with another that runs at the same time: the ports of a whole stack, else its file."""
    mode = getattr(item, "callspec", None) and item.callspec.params.get("stack")  # type: ignore[attr-defined]
    return mode if mode in ("containers", "processes") else item.nodeid.split("::")[0]


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files go to the workers whole, those that wait longest first: whole stacks, then what is end to end."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_shared(item)))
    order = {"containers": 0, "processes": 1}
    items.sort(key=lambda item: (order.get(_shared(item), 3 - ("tests/e2e" in item.nodeid)), _shared(item)))

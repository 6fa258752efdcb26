"""What all tests share."""

import os
import re
import ssl
from functools import cache
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from scripts.local import apart
from tests import worker

_make = ssl.create_default_context
_make_once = cache(_make)


def _default_context(*arguments: Any, cafile: str | None = None, **more: Any) -> ssl.SSLContext:
    """Reads a file of certificate authorities once: it takes 20 ms, and httpx does it for every client and call."""
    if cafile is None:
        return _make(*arguments, **more)
    return _make_once(*arguments, cafile=cafile, **more)


ssl.create_default_context = _default_context

# Workers that look for free ports at the same time look in different places.
_share = len(apart.PORTS) // worker.PLACES
apart.PORTS = apart.PORTS[worker.NUMBER * _share : (worker.NUMBER + 1) * _share]


#: Tests in a browser: Chromium drops what it loads when the machine's networks change, as those of containers do.
_IN_A_BROWSER = re.compile(r"test_(\w*page\w*|view)\.py$")


def _shared(nodeid: str) -> str:
    """What a test must not share with another that runs at the same time: the ports of a whole stack, else its file."""
    file, _, rest = nodeid.partition("::")
    if _IN_A_BROWSER.search(file):
        return "containers"
    mode = re.search(r"\[(?:.*-)?(containers|processes)(?:-.*)?\]", rest)
    return mode[1] if mode and "e2e" in file else file


def _order(scopes: set[str]) -> dict[str, float]:
    """When each is begun. Whole stacks come first; then what waits (end to end) and what computes, by turns."""
    waiting = sorted(scope for scope in scopes if "e2e" in scope)
    computing = sorted(scopes - {*waiting, "containers", "processes"})
    # At the end nothing long may be left.
    order = {scope: 0.8 * number / len(waiting) for number, scope in enumerate(waiting)}
    order |= {scope: number / len(computing) for number, scope in enumerate(computing)}
    return order | {"containers": -2, "processes": -1}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares a whole stack stands in a row; what is long is left out."""
    if os.environ.get("LONG") != "1":
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="it takes minutes: `make test LONG=1` runs it"))
    order = _order({_shared(item.nodeid) for item in items})
    items.sort(key=lambda item: (order[_shared(item.nodeid)], _shared(item.nodeid)))


class _ByWhatIsShared(LoadScopeScheduling):
    """Gives a worker all tests that share something."""

    def _split_scope(self, nodeid: str) -> str:
        return _shared(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """The order of the items stays: the largest files are not the longest."""
    config.option.loadscopereorder = False
    return _ByWhatIsShared(config, log)

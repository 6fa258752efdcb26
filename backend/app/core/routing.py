"""Which route served a request, as a template: the `endpoint` label must never be a client's path.

`scope["route"].path` is not enough: for a router included in a router it lacks the outer prefixes. FastAPI keeps the
whole template among its private objects in the scope; tests/backend/test_middleware.py holds that they are where
this module looks, under a real server.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from starlette.routing import Match, Mount, Route
from starlette.types import Scope

UNMATCHED = "unmatched"
#: Anything else that claims to be a method is `OTHER_METHOD`, as OpenTelemetry's HTTP conventions have it.
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"))
OTHER_METHOD = "_OTHER"
#: nginx's number for a client that went away before its answer was complete.
CLIENT_CLOSED_REQUEST = 499
METHOD_NOT_ALLOWED = 405
#: What may come of any request before a route is asked: a body too large, no right to call, shed load, a fault.
_ANYWHERE = (400, 401, 403, 413, 429, 500, 503, CLIENT_CLOSED_REQUEST)
#: What Starlette makes of the routes that are not the API's: its pages, and files with their ranges and validators.
_PAGE, _FILE, _NOWHERE = (200,), (200, 206, 304, 404, 416), (307, 404, METHOD_NOT_ALLOWED)


class EndpointNames:
    """Names the endpoint of a request to one application, whose routes are all there."""

    def __init__(self, app: FastAPI) -> None:
        pages = [route for route in app.routes if type(route) is Route]
        self._plain = {route.endpoint: route.path for route in pages}
        self._mounts = {route.path: route for route in app.routes if isinstance(route, Mount)}
        self._operations = {
            (path, method.upper()): sorted(int(status) for status in operation["responses"] if status.isdigit())
            for path, operations in app.openapi()["paths"].items()
            for method, operation in operations.items()
        }
        self._pages = {(route.path, method) for route in pages for method in route.methods or ()}
        self._templates = [_Template(path, method) for path, method in (*self._operations, *self._pages)]

    def name(self, scope: Scope) -> str:
        """The template of the route that matched, `track_endpoint_metrics`' name if it has one, or `unmatched`.

        For a request that was answered before a route was looked for, the one that would have served it.
        """
        endpoint = scope.get("endpoint")
        named = getattr(endpoint, "__endpoint_name__", None)
        if named is not None:
            return str(named)
        context = scope.get("fastapi", {}).get("effective_route_context")
        route = context if context is not None else scope.get("route")
        path = getattr(route, "path_format", None) or getattr(route, "path", None)
        if path is None and callable(endpoint):
            path = self._plain.get(endpoint)
        root = scope.get("root_path", "")
        if not root:
            return path or (self._would_serve(scope) if endpoint is None else UNMATCHED)
        # Inside a mounted application. A mount whose own path has parameters would put a client's text here.
        mount = self._mounts.get(root)
        if mount is None:
            return UNMATCHED
        if path is not None:
            return f"{root}{path}"
        return f"{root}/{{path}}" if endpoint is mount.app and not hasattr(mount.app, "routes") else UNMATCHED

    def _would_serve(self, scope: Scope) -> str:
        for template in self._templates:
            if template.method == scope["method"] and template.matches(scope)[0] is Match.FULL:
                return template.path
        return UNMATCHED

    def known(self) -> Iterator[tuple[str, str, int]]:
        """Every (method, endpoint, status) that a request can be counted as, whatever a client sends.

        A count that begins to exist at 1 is no increase: the first failure would be missing from every rate. And what
        clients can make exist, they could fill the memory with.
        """
        for (path, method), statuses in self._operations.items():
            wanted = {*statuses, *_ANYWHERE} - {METHOD_NOT_ALLOWED}
            yield from ((method, path, status) for status in sorted(wanted))
        for path, method in sorted(self._pages):
            yield from ((method, path, status) for status in (*_PAGE, *_ANYWHERE))
        for path, mount in self._mounts.items():
            if not hasattr(mount.app, "routes"):
                yield from (
                    (method, f"{path}/{{path}}", one) for method in ("GET", "HEAD") for one in (*_FILE, *_ANYWHERE)
                )
        for method in sorted((*METHODS, OTHER_METHOD)):
            yield from ((method, UNMATCHED, status) for status in (*_NOWHERE, *_ANYWHERE))


class _Template(Route):
    """A route that only matches. `methods` of Starlette's own would take HEAD for whoever takes GET."""

    def __init__(self, path: str, method: str) -> None:
        super().__init__(path, endpoint=_never)
        self.methods, self.method = {method}, method


def _never(_: Any) -> None:
    raise AssertionError("it is matched, and not called")

"""Which route served a request, as a template: the `endpoint` label must never be a client's path.

`scope["route"].path` is not enough: for a router included in a router it lacks the outer prefixes. FastAPI keeps the
whole template among its private objects in the scope; tests/backend/test_middleware.py holds that they are where
this module looks, under a real server.
"""

from typing import Any

from starlette.routing import Mount, Route
from starlette.types import Scope

UNMATCHED = "unmatched"


class EndpointNames:
    """Names the endpoint of a request to one application."""

    def __init__(self, routes: list[Any]) -> None:
        self._plain = {route.endpoint: route.path for route in routes if type(route) is Route}
        self._mounts = {route.path: route for route in routes if isinstance(route, Mount)}

    def name(self, scope: Scope) -> str:
        """The template of the route that matched, `track_endpoint_metrics`' name if it has one, or `unmatched`."""
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
            return path or UNMATCHED
        # Inside a mounted application. A mount whose own path has parameters would put a client's text here.
        mount = self._mounts.get(root)
        if mount is None:
            return UNMATCHED
        if path is not None:
            return f"{root}{path}"
        return f"{root}/{{path}}" if endpoint is mount.app and not hasattr(mount.app, "routes") else UNMATCHED

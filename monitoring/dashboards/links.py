"""Ways onwards from a panel: to the logs and traces of the same window, and to other dashboards."""

import re
from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from monitoring import explore

PROMETHEUS: Final = "prometheus"
LOKI: Final = "loki"
TEMPO: Final = "tempo"

# Loki wants one matcher that no empty value fits: the service is named whatever it is called.
_EVERY_LINE: Final = 'service=~".+", environment=~"${environment:pipe}"'
_PLACEHOLDER: Final = re.compile(r"%24%7B(\w+)(?:%3A(\w+))?%7D")


def source(uid: str) -> model.DataSourceRef:
    """A reference to a provisioned data source, whose uid is its type."""
    return model.DataSourceRef(type_val=uid, uid=uid)


def _link(title: str, url: str) -> model.DashboardLink:
    return model.DashboardLink(title=title, type_val=model.DashboardLinkType.LINK, url=url)


def _explore(title: str, uid: str, query: dict[str, object]) -> model.DashboardLink:
    encoded = explore.path(uid, query, "${__from}", "${__to}")
    # Grafana replaces its own placeholders only where it can still read them.
    return _link(title, _PLACEHOLDER.sub(_readable, encoded))


def _readable(found: re.Match[str]) -> str:
    name, form = found.groups()
    return f"${{{name}:{form}}}" if form else f"${{{name}}}"


def lines(pipeline: str = "", *, labels: str = "") -> str:
    """LogQL for the chosen environments' lines, narrowed by more labels and by a pipeline."""
    return f"{{{_EVERY_LINE}{', ' + labels if labels else ''}}} {pipeline}".rstrip()


def logs(title: str, pipeline: str = "", *, labels: str = "") -> model.DashboardLink:
    """Loki in Explore, with `lines` of the same arguments."""
    return _explore(title, LOKI, {"expr": lines(pipeline, labels=labels), "queryType": "range"})


def error_logs(title: str = "Errors in the logs") -> model.DashboardLink:
    """Lines of level error and above."""
    return logs(title, labels='level=~"error|critical"')


def traces(title: str, query: str) -> model.DashboardLink:
    """Tempo in Explore, with a TraceQL query."""
    return _explore(title, TEMPO, {"query": query, "queryType": "traceql", "limit": 50})


def dashboard(title: str, uid: str) -> model.DashboardLink:
    """Another dashboard, for the same time and the same choices at the top of the page."""
    return _link(title, f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}")

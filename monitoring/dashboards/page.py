"""What every dashboard has in common: variables, annotations, links, time, and how it becomes a file."""

import json
from collections.abc import Sequence
from typing import Final, TypeAlias

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards.limits import BAD, NEUTRAL, OTHER
from monitoring.dashboards.links import PROMETHEUS, error_logs, source, traces
from monitoring.dashboards.queries import BACKEND
from monitoring.durations import seconds

# Empty means "as Grafana is set": GF_DATE_FORMATS_DEFAULT_TIMEZONE in the compose file, Europe/Rome unless
# TIMEZONE says otherwise, and a user's own preference above it. A name here would shut out both.
TIMEZONE: Final = ""
REFRESH: Final = "30s"
GRID_COLUMNS: Final = 24
TAG: Final = "specola"

# What the SDK writes although it says nothing that Grafana would not assume by itself.
_NOISE: Final[dict[str, object]] = {
    "allowCustomValue": True,
    "asDropdown": False,
    "auto": False,
    "auto_count": 30,
    "auto_min": "10s",
    "builtIn": 0,
    "displayMode": "list",
    "editable": True,
    "fill": "",
    "fiscalYearStartMonth": 0,
    "hide": False,
    "icon": "",
    "includeVars": False,
    "justifyMode": "auto",
    "keepTime": False,
    "minVizHeight": 75,
    "minVizWidth": 75,
    "orientation": "auto",
    "percentChangeColorMode": "standard",
    "placement": "bottom",
    "repeatDirection": "h",
    "showPercentChange": False,
    "showThresholdLabels": False,
    "showThresholdMarkers": True,
    "sizing": "auto",
    "skipUrlSync": False,
    "tags": [],
    "targetBlank": False,
    "textMode": "auto",
    "tooltip": "",
    "transparent": False,
    "wideLayout": True,
}

# Panels have numbers of their own, which links name; headings take theirs from here on.
_HEADINGS: Final = 1000

# A height and its panels with their widths; or the heading of the rows below it.
Row: TypeAlias = tuple[int, Sequence[tuple[int, model.Panel]]] | str


class _Annotation(model.AnnotationQuery):
    """Prometheus' annotations have a title and a text, which the SDK's type does not know."""

    def __init__(self, name: str, colour: str, expr: str, title: str, text: str, step: str) -> None:
        super().__init__(name=name, datasource=source(PROMETHEUS), icon_color=colour, expr=expr)
        self._texts = {"titleFormat": title, "textFormat": text} | ({} if step == "60s" else {"step": step})

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), **self._texts}


def chooser(name: str, label: str, query: str, description: str) -> model.VariableModel:
    """A list to choose from, several or all, filled from Prometheus for the shown time.

    "All" means the values in the list, not every value there is: choosing an environment has to narrow
    down the replicas also while all of them are shown.
    """
    return model.VariableModel(
        name=name,
        label=label,
        description=description,
        query=query,
        datasource=source(PROMETHEUS),
        multi=True,
        include_all=True,
        current=model.VariableOption(text=["All"], value=["$__all"]),
        refresh=model.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=model.VariableSort.ALPHABETICAL_ASC,
    )


def model_chooser() -> model.VariableModel:
    """The models that the chosen replicas have asked."""
    return chooser(
        "model",
        "Model",
        f"label_values(ai_requests_total{{{BACKEND}}}, model)",
        "Language and embedding models, as the AI provider calls them",
    )


def question(name: str, label: str, description: str) -> model.VariableModel:
    """A field to type or paste into."""
    return model.VariableModel(
        type_val=model.VariableType.TEXTBOX, name=name, label=label, description=description, query=""
    )


def environment_chooser() -> model.VariableModel:
    """The environments whose logs and traces are shown and linked to: all that a page of recorded series can choose."""
    return chooser(
        "environment",
        "Environment",
        'label_values(app_info{job="backend"}, environment)',
        "Where the backend runs, as its setting ENVIRONMENT says",
    )


def backend_choosers() -> list[model.VariableModel]:
    """Environment, and the replicas within it."""
    return [
        environment_chooser(),
        chooser(
            "instance",
            "Instance",
            'label_values(app_info{job="backend", environment=~"$environment"}, instance)',
            "The replicas of the backend in the chosen environments",
        ),
    ]


def render(
    *,
    uid: str,
    title: str,
    description: str,
    tags: Sequence[str],
    rows: Sequence[Row],
    variables: Sequence[model.VariableModel],
    since: str = "now-1h",
    points: int | None = None,
) -> str:
    """A dashboard as the text of its file.

    `points` is for a page that opens on a long time: the number of steps that it is divided into, however narrow a
    panel. Grafana asks for the end of the last whole step, so that with long steps the newest figures come late.
    """
    for _, panels in (row for row in rows if not isinstance(row, str)):
        for _, panel in panels:
            panel.max_data_points = points
    made = model.Dashboard(
        uid=uid,
        title=title,
        description=description,
        tags=[*tags, TAG],
        timezone=TIMEZONE,
        refresh=REFRESH,
        time=model.DashboardDashboardTime(from_val=since, to="now"),
        graph_tooltip=model.DashboardCursorSync.CROSSHAIR,
        templating=model.DashboardDashboardTemplating(list_val=list(variables)),
        annotations=model.AnnotationContainer(list_val=_annotations(since)),
        links=_links(),
        panels=_placed(rows),
    )
    # Grafana gives the number; a file that brings its own would overwrite another dashboard's.
    plain = {**json.loads(json.dumps(made, cls=JSONEncoder)), "id": None}
    return json.dumps(_without_noise(plain), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _annotations(since: str) -> list[model.AnnotationQuery]:
    # Grafana asks for about 100 points of each and joins those that are at most a step apart: a minute, unless told.
    step = f"{max(60.0, 1.5 * seconds(since.removeprefix('now-')) / 100):.0f}s"
    # Of every replica, whichever is chosen: a page is read to find out what else happened.
    versions = 'count by (version) (app_info{job="backend"})'
    versions_before = 'count by (version) (app_info{job="backend"} offset 5m)'
    return [
        _Annotation(
            "Alerts",
            BAD,
            'max by (alertname, severity) (ALERTS{alertstate="firing", severity=~"critical|warning"})',
            "{{alertname}}",
            "{{severity}}",
            step,
        ),
        _Annotation(
            "Deployments",
            NEUTRAL,
            f"{versions} unless {versions_before}",
            "Version {{version}}",
            "not running five minutes before",
            step,
        ),
        _Annotation(
            "Faults",
            OTHER,
            'max by (fault) (faults_active{job="backend"}) == 1',
            "Fault {{fault}}",
            "caused on purpose",
            step,
        ),
    ]


def _links() -> list[model.DashboardLink]:
    others = model.DashboardLink(
        title="Dashboards",
        type_val=model.DashboardLinkType.DASHBOARDS,
        tags=[TAG],
        as_dropdown=True,
        include_vars=True,
        keep_time=True,
    )
    alerts = model.DashboardLink(
        title="Alerts", type_val=model.DashboardLinkType.LINK, url="/alerting/list", icon="bolt"
    )
    logs, failed = error_logs("Logs"), traces("Traces", "{ status = error }")
    alerts.tooltip = "Every rule, firing or not"
    logs.tooltip = "Errors in the logs of the chosen environments and time"
    failed.tooltip = "Traces with an error in the shown time"
    return [others, alerts, logs, failed]


def _placed(rows: Sequence[Row]) -> list[model.Panel | model.RowPanel]:
    placed: list[model.Panel | model.RowPanel] = []
    top = 0
    for number, row in enumerate(rows):
        if isinstance(row, str):
            where = model.GridPos(h=1, w=GRID_COLUMNS, x=0, y=top)
            placed.append(model.RowPanel(title=row, grid_pos=where, id_val=_HEADINGS + number))
            top += 1
            continue
        height, panels = row
        left = 0
        for width, panel in panels:
            panel.grid_pos = model.GridPos(h=height, w=width, x=left, y=top)
            placed.append(panel)
            left += width
        if left > GRID_COLUMNS:
            titles = ", ".join(str(panel.title) for _, panel in panels)
            raise ValueError(f"the row with {titles} is {left} wide: the grid has {GRID_COLUMNS} columns")
        top += height
    return placed


def _without_noise(value: object) -> object:
    if isinstance(value, dict):
        return {k: _without_noise(v) for k, v in value.items() if k not in _NOISE or v != _NOISE[k]}
    if isinstance(value, list):
        return [_without_noise(item) for item in value]
    return value

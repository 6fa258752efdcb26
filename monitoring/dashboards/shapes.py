"""The panels that repeat: what each kind looks like stands here, what it shows in the dashboard's own file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models import (
    common,
    gauge,
    heatmap,
    logs,
    loki,
    prometheus,
    stat,
    tempo,
    timeseries,
)
from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards.limits import NONE, OTHER, Limits
from monitoring.dashboards.links import LOKI, PROMETHEUS, TEMPO, source

SECONDS: Final = "s"
SHARE: Final = "percentunit"
COUNT: Final = "short"
PLAIN: Final = "none"
DOLLARS: Final = "currencyUSD"
MESSAGES_PER_SECOND: Final = "suffix:msg/s"
TOKENS_PER_SECOND: Final = "suffix:tokens/s"
PER_SECOND: Final = "suffix:/s"
REQUESTS_PER_SECOND: Final = "reqps"
BYTES: Final = "bytes"
PERCENT: Final = "percent"  # 0 to 100, as some of the specification's metrics are
MOMENT: Final = "dateTimeAsIso"  # milliseconds since 1970

# As often as the page refreshes. A shorter step would also mean a shorter window for each point, in which a
# quiet service has too few requests for a quantile or a ratio to mean anything.
STEP: Final = "30s"
_REF_IDS: Final = "ABCDEFGHIJ"

_Query = prometheus.Dataquery | loki.Dataquery | tempo.TempoQuery
_SOURCES: Final[Mapping[type, str]] = {
    prometheus.Dataquery: PROMETHEUS,
    loki.Dataquery: LOKI,
    tempo.TempoQuery: TEMPO,
}


@dataclass(frozen=True)
class About:
    """What every panel says of itself. `empty` is what it shows when there is no data, and why there is none."""

    id: int
    title: str
    read: str
    comes_from: str
    normal: str
    unit: str
    empty: str
    onwards: Sequence[model.DashboardLink]
    limits: Limits = NONE
    decimals: int | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """One query of a panel over time, whether traces hang on it, and who answers it: LogQL is Loki's."""

    expr: str
    legend: str
    exemplars: bool = False
    source: str = PROMETHEUS


@dataclass(frozen=True)
class Column:
    """One column of numbers in a table."""

    expr: str
    name: str
    unit: str = COUNT
    decimals: int | None = None


@dataclass(frozen=True)
class Rows:
    """What a table has one row for: a label, the column's heading, and colours for known values."""

    label: str
    name: str
    colours: Mapping[str, str] = field(default_factory=dict)


def time_series(
    about: About,
    lines: Sequence[Line],
    *,
    colours: Mapping[str, str] | None = None,
    stacked: bool = False,
    bars: str = "",
) -> model.Panel:
    """Lines over time, with the limits as dashed lines; areas on top of each other when `stacked`.

    `colours` is for names that are known in advance; Grafana chooses for all others. `bars` is a duration, such as 1d:
    a bar for each, from its moment on, where the query looks ahead over just as long (`offset -1d`).
    """
    drawn = common.GraphFieldConfig(
        draw_style=common.GraphDrawStyle.BARS if bars else None,
        bar_alignment=common.BarAlignment.AFTER if bars and "offset -" in lines[0].expr else None,
        fill_opacity=70 if bars else 30 if stacked else 8,
        show_points=common.VisibilityMode.NEVER,
        stacking=common.StackingConfig(mode=common.StackingMode.NORMAL, group="A") if stacked else None,
        thresholds_style=(
            common.GraphThresholdsStyleConfig(mode=common.GraphThresholdsStyleMode.DASHED)
            if about.limits.steps
            else None
        ),
    )
    options = timeseries.Options(
        legend=common.VizLegendOptions(show_legend=True, calcs=["lastNotNull"] if stacked else ["lastNotNull", "max"]),
        tooltip=common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING),
    )
    overrides = [
        _override(name, color={"mode": "fixed", "fixedColor": colour}) for name, colour in (colours or {}).items()
    ]
    queries = [_over_time(line, bars or STEP) for line in lines]
    panel = _panel("timeseries", about, queries, options, custom=drawn, overrides=overrides)
    panel.interval = bars or STEP
    return panel


def log_lines(about: About, expr: str) -> model.Panel:
    """The newest lines that a LogQL query finds, opened by a click."""
    options = logs.Options(show_time=True, wrap_log_message=True, enable_log_details=True)
    return _panel("logs", about, [loki.Dataquery(expr=expr, query_type="range", max_lines=100)], options)


def trace_list(about: About, query: str) -> model.Panel:
    """The newest traces that a TraceQL query finds, each a link to itself."""
    search = tempo.TempoQuery(
        query=query, query_type=tempo.TempoQueryType.TRACEQL, limit=20, table_type=tempo.SearchTableType.TRACES
    )
    # Tempo leaves out what took less than a millisecond.
    return _panel("table", about, [search], None, overrides=[_override("Duration", noValue="< 1 ms")])


def number(
    about: About, expr: str, *, words: Mapping[str, str] | None = None, legend: str = "", by: str = PROMETHEUS
) -> model.Panel:
    """One number, as it is now, or with a `legend` one for each label; `words` replaces values, such as 0 by DOWN."""
    options = stat.Options(
        color_mode=common.BigValueColorMode.BACKGROUND if words else common.BigValueColorMode.VALUE,
        # A line of the past would need a range query, whose last value is shown long after it has ended.
        graph_mode=common.BigValueGraphMode.NONE,
        text_mode=common.BigValueTextMode.VALUE_AND_NAME if legend else None,
        # Loki's answer is one table, whose rows have the names.
        reduce_options=common.ReduceDataOptions(calcs=["lastNotNull"], values=True if by == LOKI else None),
    )
    query = loki.Dataquery(expr=expr, query_type="instant") if by == LOKI else _instant(expr)
    query.legend_format = legend or None
    panel = _panel("stat", about, [query], options)
    if words:
        replaced = {value: model.ValueMappingResult(text=word) for value, word in words.items()}
        _defaults(panel).mappings = [model.ValueMap(options=replaced)]
    return panel


def dial(about: About, expr: str) -> model.Panel:
    """One number between two ends, against its limits."""
    options = gauge.Options(reduce_options=common.ReduceDataOptions(calcs=["lastNotNull"]))
    return _panel("gauge", about, [_instant(expr)], options)


def rows(about: About, per: Rows, columns: Sequence[Column]) -> model.Panel:
    """A table with a row for each value of a label."""
    queries = [_instant(column.expr, as_table=True) for column in columns]
    values = ["Value"] if len(columns) == 1 else [f"Value #{_REF_IDS[i]}" for i in range(len(columns))]
    headings = {per.label: per.name, **dict(zip(values, [c.name for c in columns], strict=True))}
    overrides = [_override(c.name, unit=c.unit, decimals=c.decimals) for c in columns if c.unit != about.unit]
    if per.colours:
        overrides.insert(0, _coloured_words(per))
    panel = _panel("table", about, queries, None, overrides=overrides)
    panel.transformations = [
        *([model.DataTransformerConfig(id_val="merge", options={})] if len(columns) > 1 else []),
        model.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": {name: index for index, name in enumerate(headings)},
                "renameByName": headings,
            },
        ),
    ]
    return panel


def heat(about: About, expr: str) -> model.Panel:
    """A histogram over time: a column for each minute, a cell for each bucket."""
    query = prometheus.Dataquery(
        expr=expr,
        legend_format="{{le}}",
        range_val=True,
        exemplar=True,
        format_val=prometheus.PromQueryFormat.HEATMAP,
    )
    options = heatmap.Options(
        color=heatmap.HeatmapColorOptions(
            mode=heatmap.HeatmapColorMode.SCHEME,
            scheme="Viridis",
            exponent=0.5,
            steps=64,
            scale=heatmap.HeatmapColorScale.EXPONENTIAL,
        ),
        filter_values=heatmap.FilterValueRange(le=1e-9),
        exemplars=heatmap.ExemplarConfig(color=OTHER),
        tooltip=heatmap.HeatmapTooltip(mode=common.TooltipDisplayMode.SINGLE, y_histogram=True),
        y_axis=heatmap.YAxisConfig(unit=about.unit),
        cell_values=heatmap.CellValues(unit=COUNT, decimals=0),
    )
    panel = _panel("heatmap", about, [query], options)
    # Columns of a minute: long enough that neighbouring windows barely overlap and few cells are empty.
    panel.interval = "1m"
    return panel


def _panel(
    kind: str,
    about: About,
    queries: Sequence[_Query],
    options: object | None,
    *,
    custom: object = None,
    overrides: list[model.DashboardFieldConfigSourceOverrides] | None = None,
) -> model.Panel:
    for ref_id, query in zip(_REF_IDS, queries, strict=False):
        query.ref_id = ref_id
        query.datasource = source(_SOURCES[type(query)])
    steps = [model.Threshold(None, about.limits.base)]
    steps += [model.Threshold(value, colour) for value, colour in about.limits.steps]
    defaults = model.FieldConfig(
        unit=about.unit,
        decimals=about.decimals,
        min_val=about.low,
        max_val=about.high,
        no_value=about.empty,
        thresholds=model.ThresholdsConfig(mode=model.ThresholdsMode.ABSOLUTE, steps=steps),
        custom=custom,
    )
    return model.Panel(
        type_val=kind,
        id_val=about.id,
        title=about.title,
        description=f"{about.read}\n\n**From:** {about.comes_from}\n\n**Normal:** {about.normal}",
        datasource=queries[0].datasource,
        targets=list[variants.Dataquery](queries),
        options=options,
        links=list(about.onwards),
        field_config=model.FieldConfigSource(defaults=defaults, overrides=overrides or []),
    )


def _over_time(line: Line, step: str) -> _Query:
    if line.source == LOKI:
        return loki.Dataquery(expr=line.expr, legend_format=line.legend, query_type="range", step=step)
    exemplar = line.exemplars or None
    return prometheus.Dataquery(expr=line.expr, legend_format=line.legend, range_val=True, exemplar=exemplar)


def _instant(expr: str, *, as_table: bool = False) -> prometheus.Dataquery:
    layout = prometheus.PromQueryFormat.TABLE if as_table else None
    return prometheus.Dataquery(expr=expr, instant=True, format_val=layout)


def _defaults(panel: model.Panel) -> model.FieldConfig:
    assert panel.field_config is not None
    assert panel.field_config.defaults is not None
    return panel.field_config.defaults


def _override(name: str, **properties: object) -> model.DashboardFieldConfigSourceOverrides:
    return model.DashboardFieldConfigSourceOverrides(
        matcher=model.MatcherConfig(id_val="byName", options=name),
        properties=[
            model.DynamicConfigValue(id_val=key, value=value) for key, value in properties.items() if value is not None
        ],
    )


def _coloured_words(per: Rows) -> model.DashboardFieldConfigSourceOverrides:
    words = {word: {"color": colour, "index": i} for i, (word, colour) in enumerate(per.colours.items())}
    return _override(
        per.name,
        mappings=[{"type": "value", "options": words}],
        **{"custom.cellOptions": {"type": "color-text"}},
    )

"""Asks the stores what a panel's queries ask, over one window."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from monitoring import explore
from scripts.find.model import Line, SourceError
from scripts.report import board as boards
from scripts.report.board import Board, Json, Window, fill
from scripts.report.logfiles import Files
from scripts.report.stores import Exemplar, Loki, Prometheus, Series, Tempo, instant_table
from scripts.report.tables import Table

#: Lines of a log panel that does not say how many it shows.
LINES: Final = 50


@dataclass(frozen=True)
class Stores:
    """Whoever can be asked. `files` stand in for Loki's lines where it does not run; `scrape` in seconds.

    Grafana is only led to: `grafana` is its address, `version` its major one.
    """

    prometheus: Prometheus
    loki: Loki
    tempo: Tempo
    files: Files
    grafana: str
    scrape: float
    version: int = explore.TRACEQL_TAKES_IDS


@dataclass(frozen=True)
class Happening:
    """An alert, a deployment or a fault, from `start` to `end` (Unix seconds)."""

    title: str
    colour: str
    start: float
    end: float


@dataclass(frozen=True)
class Context:
    """One dashboard over one window: what its variables stand for, and what happened meanwhile."""

    board: Board
    window: Window
    values: Mapping[str, str]
    happenings: Sequence[Happening] = ()


@dataclass
class Answer:
    """What came back: of most panels only one of these."""

    step: float
    series: list[Series] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    exemplars: list[Exemplar] = field(default_factory=list)
    note: str = ""


def context(board: Board, window: Window, stores: Stores) -> Context:
    """Chooses the variables' values and finds what happened. Raises SourceError."""
    values = boards.choices(board, lambda query: stores.prometheus.label_values(query, window))
    step = boards.step({}, window, stores.scrape)
    found = [
        Happening(_legend(one["titleFormat"], series.labels), one["iconColor"], start, end)
        for one in board.annotations
        for series in stores.prometheus.range(fill(one["expr"], values), window, step)
        for start, end in spans(series.times, step)
    ]
    return Context(board, window, values, sorted(found, key=lambda one: one.start))


def spans(times: Sequence[float], step: float) -> list[tuple[float, float]]:
    """From when to when there was a point at every step."""
    found: list[tuple[float, float]] = []
    for moment in times:
        if found and moment - found[-1][1] < 1.5 * step:
            found[-1] = (found[-1][0], moment)
        else:
            found.append((moment, moment))
    return found


def ask(panel: Json, about: Context, stores: Stores) -> Answer:
    """Every query of a panel. Raises SourceError with the reason why there is no answer."""
    answer = Answer(boards.step(panel, about.window, stores.scrape))
    values = {**about.values, **boards.windows(panel, about.window, stores.scrape)}
    targets = [one for one in panel.get("targets", ()) if not one.get("hide")]
    for target in targets:
        source = (target.get("datasource") or panel.get("datasource") or {}).get("type")
        query = fill(target.get("expr") or target.get("query", ""), values)
        if source == "prometheus":
            _prometheus(panel, target, query, about.window, stores.prometheus, answer)
        elif source == "loki" and panel["type"] == "logs":
            _lines(target, query, about.window, stores, answer)
        elif source == "loki" and target.get("queryType") == "instant":
            answer.series += _named(stores.loki.instant(query, about.window.end), target)
        elif source == "loki":
            answer.series += _named(stores.loki.range(query, about.window, answer.step), target)
        elif source == "tempo":
            rows = stores.tempo.traces(query, about.window, int(target.get("limit") or 20))
            answer.tables.append(Table(rows, [trace_link(stores, row["Trace ID"], about.window) for row in rows]))
        else:
            raise SourceError(f"data of the kind {source!r} cannot be asked for here")
    return answer


def trace_link(stores: Stores, trace: str, window: Window) -> str:
    """A trace in Grafana's Explore."""
    query = explore.one_trace(trace, stores.version)
    return stores.grafana + explore.path("tempo", query, *explore.window(window.start, window.end))


def _prometheus(panel: Json, target: Json, query: str, window: Window, store: Prometheus, answer: Answer) -> None:
    instant = target.get("instant")
    found = store.instant(query, window.end) if instant else store.range(query, window, answer.step)
    if target.get("exemplar"):
        answer.exemplars += store.exemplars(query, window)
    if panel["type"] == "table":
        answer.tables.append(
            instant_table(found, "Value" if len(panel["targets"]) == 1 else f"Value #{target['refId']}")
        )
    answer.series += _named(found, target)


def _lines(target: Json, query: str, window: Window, stores: Stores, answer: Answer) -> None:
    limit = int(target.get("maxLines") or LINES)
    try:
        answer.lines += stores.loki.lines(query, window, limit)
    except SourceError as error:
        if not str(error).endswith("does not run"):
            raise
        answer.lines += stores.files.newest(query, window, limit)
        answer.note = "from the log files, since no Loki runs"


def _named(series: list[Series], target: Json) -> list[Series]:
    """With the names that the legend asks for, or all labels."""
    for one in series:
        labels = ", ".join(f'{name}="{value}"' for name, value in one.labels.items() if name != "__name__")
        whole = one.labels.get("__name__", "") + f"{{{labels}}}" if labels else one.labels.get("__name__", "Value")
        one.name = _legend(target["legendFormat"], one.labels) if target.get("legendFormat") else whole
    return series


def _legend(form: str, labels: Mapping[str, str]) -> str:
    """A text with its {{label}} replaced."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), form)

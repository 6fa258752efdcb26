"""Asks the stores what a panel's queries ask, over one window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from scripts.find.model import Line, SourceError
from scripts.report import board as boards
from scripts.report.board import Board, Json, Window, fill
from scripts.report.logfiles import Files
from scripts.report.stores import Exemplar, Loki, Prometheus, Series, Table, Tempo, instant_table

#: Lines of a log panel that does not say how many it shows.
LINES: Final = 50


@dataclass(frozen=True)
class Stores:
    """Whoever can be asked. `files` stand in for Loki's lines where it does not run."""

    prometheus: Prometheus
    loki: Loki
    tempo: Tempo
    files: Files
    grafana: str
    scrape: float


@dataclass(frozen=True)
class Context:
    """One dashboard over one window: what its variables stand for, and what happened meanwhile."""

    board: Board
    window: Window
    values: Mapping[str, str]
    happenings: Sequence["Happening"] = ()


@dataclass(frozen=True)
class Happening:
    """An alert, a deployment or a fault, from `start` to `end` (Unix seconds)."""

    kind: str
    title: str
    colour: str
    start: float
    end: float


@dataclass
class Answer:
    """What came back: of most panels only one of these."""

    series: list[Series] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    exemplars: list[Exemplar] = field(default_factory=list)
    step: float = 0.0
    note: str = ""


def context(board: Board, window: Window, stores: Stores) -> Context:
    """Chooses the variables' values and finds what happened. Raises SourceError."""
    values = boards.choices(board, lambda query: stores.prometheus.label_values(query, window))
    found: list[Happening] = []
    for annotation in board.annotations:
        if annotation.get("expr") and annotation.get("enable", True):
            found += _happenings(annotation, window, values, stores)
    return Context(board, window, values, sorted(found, key=lambda one: one.start))


def ask(panel: Json, about: Context, stores: Stores) -> Answer:
    """Every query of a panel. Raises SourceError with the reason why there is no answer."""
    answer = Answer(step=boards.step(panel, about.window, stores.scrape))
    values = {**about.values, **boards.windows(panel, about.window, stores.scrape)}
    targets = [one for one in panel.get("targets", ()) if not one.get("hide")]
    for target in targets:
        source = (target.get("datasource") or panel.get("datasource") or {}).get("type")
        if source == "prometheus":
            _prometheus(panel, target, values, about.window, stores.prometheus, answer, alone=len(targets) == 1)
        elif source == "loki":
            _loki(panel, target, values, about.window, stores, answer)
        elif source == "tempo":
            query = fill(target.get("query", ""), values)
            table = stores.tempo.traces(query, about.window, int(target.get("limit") or 20))
            table.links = [trace_link(stores.grafana, one) for one in table.columns.get("Trace ID", ())]
            answer.tables.append(table)
        else:
            raise SourceError(f"data of the kind {source!r} cannot be asked for here")
    return answer


def trace_link(grafana: str, trace: str) -> str:
    """A trace in Grafana's Explore."""
    state = f'{{"datasource":"tempo","queries":[{{"refId":"A","queryType":"traceql","query":"{trace}"}}]}}'
    return f"{grafana}/explore?left={state}".replace('"', "%22")


def _prometheus(
    panel: Json, target: Json, values: Mapping[str, str], window: Window, store: Prometheus, answer: Answer, alone: bool
) -> None:
    query = fill(target["expr"], values)
    if target.get("instant") and not target.get("range"):
        found = store.instant(query, window.end)
    else:
        found = store.range(query, window, answer.step)
        if target.get("exemplar"):
            answer.exemplars += store.exemplars(query, window)
    if panel["type"] == "table":
        answer.tables.append(instant_table(found, target.get("refId", "A"), alone))
    answer.series += _named(found, target)


def _loki(panel: Json, target: Json, values: Mapping[str, str], window: Window, stores: Stores, answer: Answer) -> None:
    query = fill(target["expr"], values)
    if panel["type"] == "logs":
        limit = int(target.get("maxLines") or LINES)
        try:
            answer.lines += stores.loki.lines(query, window, limit)
        except SourceError as error:
            if not str(error).endswith("does not run"):
                raise
            answer.lines += stores.files.newest(query, window, limit)
            answer.note = "from the log files, since no Loki runs"
        return
    found = stores.loki.range(query, window, answer.step)
    if target.get("queryType") == "instant":
        found = [Series(one.labels, one.times[-1:], one.values[-1:]) for one in found]
    answer.series += _named(found, target)


def _named(series: list[Series], target: Json) -> list[Series]:
    """With the names that the legend asks for."""
    form = target.get("legendFormat") or ""
    for one in series:
        one.ref = target.get("refId", "")
        own = {name: value for name, value in one.labels.items() if name != "__name__"}
        labels = ", ".join(f'{name}="{value}"' for name, value in own.items())
        one.name = f"{one.labels.get('__name__', '')}{{{labels}}}" if labels else one.labels.get("__name__", "Value")
        if form and form != "__auto":
            one.name = _legend(form, one.labels)
    return series


def _legend(form: str, labels: Mapping[str, str]) -> str:
    """A text with its {{label}} replaced."""
    parts: list[str] = []
    for number, piece in enumerate(form.replace("}}", "{{").split("{{")):
        parts.append(labels.get(piece.strip(), "") if number % 2 else piece)
    return "".join(parts)


def _happenings(annotation: Json, window: Window, values: Mapping[str, Any], stores: Stores) -> list[Happening]:
    """Points that follow each other become one span."""
    step = boards.step({"gridPos": {"w": boards.GRID // 2}}, window, stores.scrape)
    found = []
    for one in stores.prometheus.range(fill(annotation["expr"], values), window, step):
        title = _legend(annotation.get("titleFormat", ""), one.labels)
        for start, end in spans(one.times, step):
            found.append(Happening(annotation["name"], title, annotation.get("iconColor", "red"), start, end))
    return found


def spans(times: Sequence[float], step: float) -> list[tuple[float, float]]:
    """From when to when there was a point at every step."""
    found: list[tuple[float, float]] = []
    for moment in times:
        if found and moment - found[-1][1] < 1.5 * step:
            found[-1] = (found[-1][0], moment)
        else:
            found.append((moment, moment))
    return found

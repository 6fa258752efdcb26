"""From dashboards to a page of HTML."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

from scripts.addresses import PROJECT, address, setting
from scripts.find.links import major
from scripts.find.model import SourceError
from scripts.report import board as boards
from scripts.report.ask import Context, Stores, context
from scripts.report.board import Board, Json, Window, fill
from scripts.report.logfiles import Files
from scripts.report.panels import Drawn, draw
from scripts.report.stores import Loki, Prometheus, Tempo
from scripts.report.units import write

#: Panels asked for at once: more would keep Prometheus from its scraping.
AT_ONCE: Final = 4
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False})

Told = Callable[[str], None]


@dataclass(frozen=True)
class Section:
    """One dashboard as it is drawn."""

    board: Board
    window: Window
    about: Context | None
    panels: Sequence[tuple[Json, Drawn]]
    reason: str = ""

    @property
    def failed(self) -> list[str]:
        """The panels that could not be drawn."""
        return [panel.get("title", "") for panel, drawn in self.panels if drawn["kind"] == "failed"]


def stores() -> Stores:
    """Whoever answers on this machine."""
    folder = PROJECT / (setting("LOG_DIR") or "logs")
    found = Prometheus(address("prometheus")), Loki(address("loki")), Tempo(address("tempo")), Files(folder)
    grafana = address("grafana")
    try:
        version = major(grafana)
    except SourceError:
        version = Stores.version  # whichever runs when a link is followed: most likely a newer one
    return Stores(*found, grafana, boards.scrape_interval(), version)


def section(board: Board, window: Window, where: Stores, told: Told = lambda _: None) -> Section:
    """Asks for and draws every panel of a dashboard."""
    try:
        about, reason = context(board, window, where), ""
    except SourceError as error:
        # Logs and traces may be had all the same.
        about, reason = Context(board, window, boards.choices(board, lambda _: [".*"])), str(error)

    def one(panel: Json) -> tuple[Json, Drawn]:
        drawn = draw(panel, about, where)
        told(panel.get("title", ""))
        return panel, drawn

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Section(board, window, about, list(pool.map(one, board.panels)), reason)


def render(
    sections: Sequence[Section], week: Json | None, where: Stores, now: datetime, known: Sequence[Board] = ()
) -> str:
    """The page. With `known` dashboards it is the live view, which links to them and refreshes itself."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "markdown": lambda text: Markup(_MARKDOWN.render(text)),  # noqa: S704 (HTML is off in it)
        "time": lambda seconds, form="%a %d %b %Y, %H:%M": f"{datetime.fromtimestamp(seconds, now.tzinfo):{form}}",
        "unit": write,
    }
    shown = {one.board.uid for one in sections} | {one.uid for one in known}

    def links(panel: Json, one: Section) -> Iterator[tuple[str, str]]:
        for link in panel.get("links", ()):
            yield link["title"], _address(link["url"], one, where.grafana, shown, live=bool(known))

    template = environment.get_template("page.html.j2")
    return template.render(sections=sections, week=week, now=now, known=known, links=links).lstrip()


def _address(url: str, one: Section, grafana: str, shown: set[str], live: bool) -> str:
    """Where a link leads: within this page where it can, else to Grafana."""
    target = url.removeprefix("/d/").partition("?")[0]
    if url.startswith("/d/") and target in shown:
        return f"/{target}" if live else f"#{target}"
    values = {name: quote(value) for name, value in (one.about.values if one.about else {}).items()}
    start, end = (f"{moment * 1000:.0f}" for moment in (one.window.start, one.window.end))
    times = {"__from": start, "__to": end, "__url_time_range": f"from={start}&to={end}"}
    filled = fill(url, {**values, **times, "__all_variables": "&".join(f"var-{k}={v}" for k, v in values.items())})
    return filled if "://" in filled else grafana + filled

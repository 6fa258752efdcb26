"""What the runner says while it works: moving on a terminal, one line an event anywhere else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

#: A bar is drawn anew this often, by the one who advances it: no thread of its own.
_REDRAW_SECONDS = 0.1


class Advance(Protocol):
    """Told how many bytes of a download are there by now, and of how many (None: unknown)."""

    def __call__(self, done: int, total: int | None) -> None: ...


class Show(Protocol):
    """Told what is being waited for."""

    def __call__(self, text: str) -> None: ...


class Report:
    """Lines for people, on standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """One line, as it stands: brackets are no markup."""
        self.console.print(text, markup=False, emoji=False)

    @contextmanager
    def download(self, title: str) -> Iterator[Advance]:
        """A bar while the block runs; without a terminal, a line when it starts."""
        if not self.console.is_terminal:
            self.say(f"{title} …")
            yield lambda done, total: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        bar = Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True, auto_refresh=False)
        with bar as progress:
            task = progress.add_task(title, total=None)
            drawn = time.monotonic()

            def advance(done: int, total: int | None) -> None:
                nonlocal drawn
                due = time.monotonic() - drawn > _REDRAW_SECONDS
                progress.update(task, completed=done, total=total, refresh=due)
                drawn = time.monotonic() if due else drawn

            yield advance

    @contextmanager
    def waiting(self) -> Iterator[Show]:
        """A line that moves while the block runs; nothing without a terminal."""
        if not self.console.is_terminal:
            yield lambda text: None
            return
        with Live(console=self.console, transient=True, auto_refresh=False) as live:
            yield lambda text: live.update(Text(text), refresh=True)

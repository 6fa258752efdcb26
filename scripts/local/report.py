"""What the runner says while it works: moving on a terminal, one line an event anywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


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
        with Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True) as progress:
            task = progress.add_task(title, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    @contextmanager
    def waiting(self) -> Iterator[Show]:
        """A line that moves while the block runs; nothing without a terminal."""
        if not self.console.is_terminal:
            yield lambda text: None
            return
        with self.console.status("starting …") as status:
            yield lambda text: status.update(escape(text))

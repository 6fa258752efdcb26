"""Where progress goes: one live line on a terminal that has rich, plain lines every 10 s anywhere else."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TextIO

#: Seconds between two progress lines.
LIVE_EVERY = 1.0
PLAIN_EVERY = 10.0


class Display(Protocol):
    """Shows what a run does."""

    def progress(self, line: Callable[[], str]) -> None:
        """The state of things; asked for, and shown, only when it is time to."""
        ...

    def say(self, text: str) -> None:
        """Something to keep."""
        ...

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns: the first two are text, the rest are figures."""
        ...

    def close(self) -> None:
        """Ends the live line."""
        ...


class Due:
    """Says yes once in so many seconds, the first time at once."""

    def __init__(self, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._last = -math.inf

    def __call__(self) -> bool:
        """Whether it is time again."""
        if self._clock() - self._last < self._every:
            return False
        self._last = self._clock()
        return True


class Plain:
    """Lines for a log or a pipe."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._due = Due(PLAIN_EVERY, clock)

    def progress(self, line: Callable[[], str]) -> None:
        """Prints the line if the one before is old enough."""
        if self._due():
            self.say(line())

    def say(self, text: str) -> None:
        """Prints at once, also into a pipe."""
        print(text, file=self._stream, flush=True)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Aligned by spaces."""
        widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
        for row in (header, *rows):
            cells = [
                cell.ljust(width) if column < 2 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            self.say("  ".join(cells).rstrip())

    def close(self) -> None:
        """Nothing to end."""


class Live:
    """A line that renews itself, and a drawn table. Needs rich."""

    def __init__(self) -> None:
        from rich.console import Console

        self._due = Due(LIVE_EVERY)
        self._console = Console(highlight=False, markup=False)
        self._status = self._console.status("Starting")
        self._status.start()

    def progress(self, line: Callable[[], str]) -> None:
        """Renews the line."""
        from rich.text import Text

        if self._due():
            # Text, since a status reads strings as markup.
            self._status.update(Text(line()))

    def say(self, text: str) -> None:
        """Prints above the line."""
        self._console.print(text)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Drawn by rich."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=SIMPLE_HEAD)
        for column, name in enumerate(header):
            drawn.add_column(name, justify="left" if column < 2 else "right")
        for row in rows:
            drawn.add_row(*map(Text, row))
        self._console.print(drawn)

    def close(self) -> None:
        """Removes the line."""
        self._status.stop()


def display() -> Display:
    """The better of the two that this machine can show."""
    if sys.stdout.isatty():
        try:
            return Live()
        except ImportError:
            # The backend's image has no rich, also where it has a terminal.
            pass
    return Plain(sys.stdout)

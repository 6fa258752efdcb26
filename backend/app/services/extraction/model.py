"""What extraction takes, gives and refuses."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from app.services.extraction.cleaning import clean, one_line

Reason = Literal["empty", "encoding", "unreadable", "encrypted", "bomb", "too_long"]

#: A title is a label in lists and sources, not a text.
TITLE_CHARS = 200
#: A place in a file, in a message.
WHERE_CHARS = 80


class RejectedDocument(Exception):
    """The file cannot be indexed: `reason` is the kind, the message what is wrong, where, and what to do."""

    #: A place in a document can be a heading, and a heading is the document's text: no span repeats the message.
    quotes_content = True

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


class UnsupportedFormat(Exception):
    """Neither the file's name nor its content type is of a format that is read; the message names those."""


class ExtractionUnavailable(Exception):
    """This server could not read any file just now: nothing is wrong with the file, and a retry may succeed."""


class ReadersBusy(ExtractionUnavailable):
    """So many files wait to be read already that this one would have to wait for too long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. The defaults read a 500-page book and refuse what only wants to hurt."""

    #: Characters of extracted text.
    max_text_chars: int = 2_000_000
    max_pdf_pages: int = 500
    #: Objects and arrays inside each other.
    max_json_depth: int = 50
    #: Members and elements of all objects and arrays together.
    max_json_values: int = 500_000
    max_csv_columns: int = 1_000
    #: Wall time of reading one file.
    seconds: float = 20.0
    #: Memory on top of the bare reading process; where the platform can hold a process to it (Linux).
    memory_bytes: int = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of text under one heading ("" where there is none)."""

    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """A document as text: `title` ("" if the file names none), the whole `text`, and the same in `sections`."""

    title: str
    text: str
    sections: list[Section] = field(default_factory=list)

    @classmethod
    def of(cls, title: str, sections: Sequence[Section]) -> "Extracted":
        """Clean and assemble what a reader found, without the sections that hold nothing at all."""
        cleaned = [_cleaned(part) for part in sections]
        kept = [part for part in cleaned if part.heading or part.text]
        return cls.joined(one_line(title, TITLE_CHARS), kept)

    @classmethod
    def joined(cls, title: str, sections: list[Section]) -> "Extracted":
        """Put the whole text together from sections that are clean."""
        blocks = [block for part in sections for block in (part.heading, part.text) if block]
        return cls(title, "\n\n".join(blocks), sections)


def _cleaned(section: Section) -> Section:
    heading = one_line(section.heading, TITLE_CHARS)
    # A "heading" of a whole page is text with the wrong mark: it is cut as a heading and kept as text.
    cut_off = f"{section.heading}\n\n" if heading.endswith("…") else ""
    return Section(heading, clean(cut_off + section.text))


class Budget:
    """What is left of the limits while one file is read."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._chars = 0
        self._deadline = time.monotonic() + limits.seconds

    def spend(self, text: str, where: str) -> None:
        """Count `text`, found at `where` ("page 3"), towards the document's length."""
        self._chars += len(text)
        if self._chars > self._limits.max_text_chars:
            raise RejectedDocument(
                "too_long",
                f"The document holds more than {self._limits.max_text_chars:,} characters of text "
                f"(reached at {one_line(where, WHERE_CHARS)}); split it into smaller files.",
            )
        self.check_time(where)

    def check_time(self, where: str) -> None:
        """Refuse to go on when the time is used up."""
        if time.monotonic() > self._deadline:
            raise RejectedDocument("bomb", took_too_long(self._limits.seconds, where))


def took_too_long(seconds: float, where: str = "") -> str:
    """Say that reading was stopped after `seconds`, at `where` if that is known."""
    at = f" at {one_line(where, WHERE_CHARS)}" if where else ""
    return (
        f"Reading the file was stopped{at} after {seconds:g} s; "
        "simplify it, split it into smaller files or save it as plain text."
    )

"""The two steps of reading a file, whichever format it has, in the calling process."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from app.services.extraction import csv_file, html_file, json_file, text_file
from app.services.extraction.formats import Format
from app.services.extraction.model import Budget, Extracted, Limits, RejectedDocument, Section

Read = tuple[str, Sequence[Section]]
T = TypeVar("T")


class Reader(NamedTuple):
    """How a format is read: `check` is the quick part, `read` returns the title and the sections."""

    check: Callable[[bytes, Limits], None]
    read: Callable[[bytes, Limits, Budget], Read]


_READERS: dict[Format, Reader] = {
    "text": Reader(text_file.check, text_file.read_text),
    "markdown": Reader(text_file.check, text_file.read_markdown),
    "html": Reader(html_file.check, html_file.read),
    "csv": Reader(csv_file.check, csv_file.read),
    "json": Reader(json_file.check, json_file.read),
}


def validate(content: bytes, format: Format, limits: Limits) -> None:
    """Refuse what can be seen to be unreadable without reading it all; raises `RejectedDocument`.

    Empty files, wrong encodings, JSON that does not parse or is too deep, CSV without end to its columns,
    PDF without header, encrypted or with too many pages. What passes may still be refused by `extract`.
    """
    _guarded(content, lambda: _reader(format).check(content, limits), format)


def extract(content: bytes, format: Format, limits: Limits) -> Extracted:
    """Return the file's text; raises `RejectedDocument`."""

    def read() -> Extracted:
        title, sections = _reader(format).read(content, limits, Budget(limits))
        extracted = Extracted.of(title, sections)
        if not extracted.text:
            raise RejectedDocument("empty", _no_text(format))
        return extracted

    return _guarded(content, read, format)


def _reader(format: Format) -> Reader:
    if format == "pdf":
        # Imported where it is used: the service itself, which reads in another process, has no need of pypdf.
        from app.services.extraction import pdf_file

        return Reader(pdf_file.check, pdf_file.read)
    return _READERS[format]


def _guarded(content: bytes, work: Callable[[], T], format: Format) -> T:
    if not content:
        raise RejectedDocument("empty", "The file is empty (0 bytes); upload one with content.")
    try:
        return work()
    except RejectedDocument:
        raise
    except (MemoryError, RecursionError) as error:
        kind = "memory" if isinstance(error, MemoryError) else "nesting"
        raise RejectedDocument(
            "bomb", f"Reading the file as {format} takes more {kind} than is allowed; simplify or split it."
        ) from None
    except Exception as error:
        # The readers and their libraries promise no complete list of what a damaged file makes them raise,
        # and a file must never look like a fault of the server.
        raise RejectedDocument(
            "unreadable",
            f"The file cannot be read as {format} ({type(error).__name__}); "
            "open it in a program of its kind and save it again.",
        ) from error


def _no_text(format: Format) -> str:
    if format == "pdf":
        return "No page of the PDF holds text: it may be a scan; run text recognition (OCR) over it first."
    return f"The {format} file holds no text that could be indexed; upload one that does."

"""Which of the formats a file is, by its name first and its content type second."""

import mimetypes
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Literal, get_args

from app.services.extraction.model import UnsupportedFormat

Format = Literal["text", "markdown", "html", "csv", "json", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)

EXTENSIONS: dict[str, Format] = {
    ".txt": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".csv": "csv",
    ".json": "json",
    ".pdf": "pdf",
}
CONTENT_TYPES: dict[str, Format] = {
    "text/plain": "text",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/csv": "csv",
    "application/json": "json",
    "application/pdf": "pdf",
}
_EXTENSIONS, _TYPES = frozenset(mimetypes.types_map), frozenset(mimetypes.types_map.values())


def detect_format(filename: str | None, content_type: str | None) -> Format:
    """Return the file's format; raises `UnsupportedFormat`.

    The extension counts first, since browsers and scripts send all kinds of types for the same file; the
    declared type decides for a name without a known extension (`README`, `notes.rst` as text/plain).
    """
    suffix = _suffix(filename or "")
    declared = (content_type or "").partition(";")[0].strip().lower()
    found = EXTENSIONS.get(suffix) or CONTENT_TYPES.get(declared)
    if found is None:
        raise UnsupportedFormat(
            f"A file with {_named('extension', suffix, _EXTENSIONS)} and {_named('content type', declared, _TYPES)} "
            f"is not read here. Accepted are {', '.join(EXTENSIONS)} and, for other names, "
            f"{', '.join(CONTENT_TYPES)}."
        )
    return found


def _suffix(filename: str) -> str:
    # Not by `rpartition`: ".md" is a hidden file without extension, and "a.md/README" has none either.
    return PurePosixPath(filename.strip()).suffix.strip().lower()


def _named(what: str, value: str, known: Collection[str]) -> str:
    """The value itself only where it is one of those that everybody uses: any other may hold what is private."""
    if not value:
        return f"no {what}"
    return f'the {what} "{value}"' if value in known else f"an unknown {what}"

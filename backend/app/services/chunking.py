"""Cuts a document into the pieces that are embedded and found: by heading, paragraph, sentence, word."""

import re
from collections.abc import Iterator
from operator import itemgetter

from app.services.extraction.model import Extracted, RejectedDocument, Section
from app.stores.pieces import Piece

#: Of one document: what 2,000,000 characters give at the sizes below, doubled for texts of many headings.
MAX_PIECES = 6_000
#: From the coarsest cut to the finest, each with what joins its parts again.
_CUTS = (
    (re.compile(r"\n{2,}"), "\n\n"),
    (re.compile(r"\n"), "\n"),
    (re.compile(r"(?<=[.!?…。\uff01\uff1f])\s+"), " "),  # the last two are the wide ! and ?
    (re.compile(r"\s+"), " "),
)
_SENTENCE = _CUTS[2][0]


def chunk(extracted: Extracted, max_chars: int = 800, overlap: int = 100) -> list[Piece]:
    """Return the pieces in the document's order, each of `max_chars` characters at most.

    No piece spans two sections, and none begins or ends inside a word, unless the word alone is too long.
    Pieces of one section share up to `overlap` characters (whole words, where possible a whole sentence), so
    that what stands at a cut is found too. The same document always gives the same pieces. Raises
    `RejectedDocument` ("too_long") for more than `MAX_PIECES`, `ValueError` for an overlap of half or more.
    """
    if not 0 <= overlap * 2 < max_chars:
        raise ValueError(f"overlap must be from 0 to less than half of max_chars ({max_chars}), not {overlap}")
    sections = [part for part in extracted.sections if part.text]
    # A document of headings alone (a table of contents) is still worth finding.
    sections = sections or [Section("", extracted.text)]
    packed = ((part.heading, text.strip()) for part in sections for text in _pack(part.text, max_chars, overlap))
    pieces: list[Piece] = []
    for heading, text in filter(itemgetter(1), packed):
        if len(pieces) == MAX_PIECES:
            raise RejectedDocument(
                "too_long",
                f'The document makes more than {MAX_PIECES:,} pieces (reached under "{heading}"); '
                "split it into smaller files.",
            )
        pieces.append(Piece(text=text, heading=heading, index=len(pieces)))
    return pieces


def _pack(text: str, max_chars: int, overlap: int) -> Iterator[str]:
    """Fill pieces with as many parts as fit, each piece after the first beginning with the end of the last."""
    piece = ""
    for joint, part in _parts(text, max_chars, 0):
        if not piece:
            piece = part
        elif len(piece) + len(joint) + len(part) <= max_chars:
            piece += joint + part
        else:
            yield piece
            repeated = _end(piece, min(overlap, max_chars - len(joint) - len(part)))
            piece = repeated + joint + part if repeated else part
    if piece:
        yield piece


def _parts(text: str, max_chars: int, level: int) -> Iterator[tuple[str, str]]:
    """Yield parts of at most `max_chars`, cut as coarsely as possible, each with what joins it to the last."""
    if len(text) <= max_chars:
        if text:
            yield "", text
    elif level == len(_CUTS):
        for start in range(0, len(text), max_chars):
            yield "", text[start : start + max_chars]
    else:
        cut, joint = _CUTS[level]
        for number, part in enumerate(cut.split(text)):
            for inner, (finer, atom) in enumerate(_parts(part, max_chars, level + 1)):
                yield (joint if number and not inner else finer), atom


def _end(piece: str, limit: int) -> str:
    """Return the last sentences of `piece` that fit into `limit` characters, else the last words, else ""."""
    if limit <= 0:
        return ""
    # One character more, to see whether the first word is whole.
    window = piece[-limit - 1 :]
    sentence = _SENTENCE.search(window)
    if sentence and window[sentence.end() :]:
        return window[sentence.end() :]
    _, _, words = window.replace("\n", " ").partition(" ")
    return words.strip()

"""Plain text and Markdown."""

import re
from collections.abc import Iterator

from app.services.extraction.decoding import decode
from app.services.extraction.model import TITLE_CHARS, Budget, Limits, Section

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FRONT_MATTER_TITLE = re.compile(r"title[ \t]*:[ \t]*(.+)$", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(\*{1,3}|`+)(\S|\S.*?\S)\1")
#: A front matter is a page of settings at most; without its end in this many lines, "---" was a rule.
_FRONT_MATTER_LINES = 200


def check(content: bytes, limits: Limits) -> None:
    """Refuse other encodings and what is too long: here the characters of the file are those of the text."""
    Budget(limits).spend(decode(content), "the end of the file")


def read_text(content: bytes, limits: Limits, budget: Budget) -> tuple[str, list[Section]]:
    """Plain text is one section, and names no title."""
    text = decode(content)
    budget.spend(text, "the end of the file")
    return "", [Section("", text)]


def read_markdown(content: bytes, limits: Limits, budget: Budget) -> tuple[str, list[Section]]:
    """One section a heading; the title is the front matter's, else the first heading."""
    text = decode(content)
    budget.spend(text, "the end of the file")
    lines = text.splitlines()
    title, start = _front_matter(lines)
    sections = list(_sections(lines[start:]))
    headings = (section.heading for section in sections if section.heading)
    return title or next(headings, ""), sections


def _front_matter(lines: list[str]) -> tuple[str, int]:
    """Return the title and the number of lines of a front matter between two "---", or ("", 0)."""
    if not lines or lines[0].lstrip("\ufeff").rstrip() != "---":
        return "", 0
    title = ""
    for number, line in enumerate(lines[1:_FRONT_MATTER_LINES], start=1):
        if line.rstrip() in ("---", "..."):
            return title, number + 1
        found = _FRONT_MATTER_TITLE.match(line)
        if found and not title:
            title = found[1].strip().strip("\"'")
    return "", 0


def _sections(lines: list[str]) -> Iterator[Section]:
    heading = ""
    body: list[str] = []
    fence = ""
    for line in lines:
        marker = _FENCE.match(line)
        if fence:
            # A block of code is closed by a fence of its own kind that is at least as long.
            if marker and marker[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif marker:
            fence = marker[1]
        elif found := _HEADING.match(line):
            yield Section(heading, "\n".join(body))
            heading, body = _plain(found[2] or ""), []
            continue
        elif _UNDERLINE.match(line) and body and _can_be_heading(body):
            above = body.pop()
            yield Section(heading, "\n".join(body))
            heading, body = _plain(above), []
            continue
        body.append(line)
    yield Section(heading, "\n".join(body))


def _can_be_heading(body: list[str]) -> bool:
    """Whether the last line can be a heading by the line of "=" or "-" under it: a paragraph of one line."""
    above = body[-1].strip()
    alone = len(body) == 1 or not body[-2].strip()
    return bool(above) and alone and above[0] not in "-*+>|#`~<="


def _plain(heading: str) -> str:
    """Drop the closing "#" and the marks of emphasis, code and links."""
    text = heading.strip()
    if text.endswith("#") and text.rstrip("#").endswith((" ", "\t")):
        text = text.rstrip("#").rstrip()
    if len(text) > TITLE_CHARS:
        return text
    return _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", text))

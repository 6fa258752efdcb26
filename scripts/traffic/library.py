"""The repository's Markdown, found, cut into sections, and converted into every format of the backend's."""

import csv
import io
import json
import os
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from scripts.pdf import pdf

#: Folders that hold no document of the repository's own; hidden ones are left out as well.
#: Nor are the runbooks asked about: sixty pages that resemble each other in their words hide the one that answers.
SKIPPED_FOLDERS = frozenset({"node_modules", "site-packages", "tests", "logs", "reports", "runbooks", "secrets"})
#: Below this many characters a section is a heading with little under it, not worth a file of its own.
SECTION_MINIMUM = 200
#: Sections converted into each format at the start of a run.
SECTIONS_A_FORMAT = 2


@dataclass(frozen=True, slots=True)
class Document:
    """A Markdown file: its path from the root, with slashes, and its text."""

    path: str
    text: str

    @property
    def key(self) -> str:
        """The document's name in file names: unique in the repository and without a dot."""
        return key_of(self.path)

    @property
    def title(self) -> str:
        """The first heading, or the key where there is none."""
        match = re.search(r"^#\s+(.+)$", self.text, re.MULTILINE)
        return match[1].strip() if match else self.key


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document under one heading of the second or third level."""

    document: Document
    heading: str
    text: str

    @property
    def title(self) -> str:
        """Title and heading together: a section alone must still say what it is about."""
        return f"{self.document.title}: {self.heading}"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to upload. `format` is the backend's name for its kind."""

    filename: str
    format: str
    media_type: str
    content: bytes


def key_of(path: str) -> str:
    """`docs/capacity.md` becomes `docs-capacity`."""
    return re.sub(r"[/.]", "-", path.removesuffix(".md"))


def key_of_filename(filename: str) -> str:
    """The key of the document that an uploaded file was made from, whichever its format and section."""
    return filename.partition(".")[0]


def documents(root: Path) -> list[Document]:
    """Every Markdown file under a folder, sorted by path. Files that are empty or not UTF-8 are left out."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in SKIPPED_FOLDERS)
        for name in files:
            if not name.endswith(".md"):
                continue
            path = Path(folder, name)
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            if text.strip():
                found.append(Document(path.relative_to(root).as_posix(), text))
    return sorted(found, key=lambda document: document.path)


def sections(document: Document) -> list[Section]:
    """The document's sections that are long enough to stand alone. Headings in code blocks do not count."""
    found: list[tuple[str, list[str]]] = []
    fenced = False
    for line in document.text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        match = None if fenced else re.match(r"#{2,3}\s+(.+?)\s*#*$", line)
        if match:
            found.append((match[1], []))
        elif found:
            found[-1][1].append(line)
    texts = [Section(document, heading, "\n".join(lines).strip()) for heading, lines in found]
    return [section for section in texts if len(section.text) >= SECTION_MINIMUM]


def plain(markdown: str) -> str:
    """Markdown without its marks: links by their words, table cells by commas, no backticks or stars."""
    text = re.sub(r"^```.*$", "", markdown, flags=re.MULTILINE)
    text = re.sub(r"^[ |:-]*-{3,}[ |:-]*\n?", "", text, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^#+\s*", "", text, flags=re.MULTILINE)
    text = re.sub(r"^ *\| *(.*?) *\| *$", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r" *\| *", ", ", text)
    text = re.sub(r"[`*]+", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _paragraphs(section: Section) -> list[str]:
    return [part.strip() for part in plain(section.text).split("\n\n") if part.strip()]


def _as_text(section: Section) -> bytes:
    return f"{section.title}\n\n{plain(section.text)}\n".encode()


def _as_html(section: Section) -> bytes:
    title = escape(section.title)
    body = "\n".join(f"<p>{escape(part)}</p>" for part in _paragraphs(section))
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    ).encode()


def _as_csv(section: Section) -> bytes:
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["document", "section", "paragraph", "text"])
    for number, part in enumerate(_paragraphs(section), start=1):
        rows.writerow([section.document.title, section.heading, number, part.replace("\n", " ")])
    return table.getvalue().encode()


def _as_json(section: Section) -> bytes:
    content = {
        "title": section.title,
        "document": section.document.path,
        "paragraphs": _paragraphs(section),
    }
    return json.dumps(content, ensure_ascii=False, indent=1).encode()


def _as_pdf(section: Section) -> bytes:
    return pdf(f"{section.title}\n\n{plain(section.text)}", section.title)


#: Format: extension, media type, how a section becomes one.
CONVERSIONS: dict[str, tuple[str, str, Callable[[Section], bytes]]] = {
    "text": ("txt", "text/plain", _as_text),
    "html": ("html", "text/html", _as_html),
    "csv": ("csv", "text/csv", _as_csv),
    "json": ("json", "application/json", _as_json),
    "pdf": ("pdf", "application/pdf", _as_pdf),
}


def whole(document: Document) -> Upload:
    """The document as it is."""
    return Upload(f"{document.key}.md", "markdown", "text/markdown", document.text.encode())


def converted(section: Section, kind: str) -> Upload:
    """The section as a file of this format (a key of `CONVERSIONS`)."""
    extension, media_type, convert = CONVERSIONS[kind]
    slug = re.sub(r"[^a-z0-9]+", "-", section.heading.lower()).strip("-")[:40] or "section"
    return Upload(f"{section.document.key}.{slug}.{extension}", kind, media_type, convert(section))


def uploads(found: Iterable[Document], seed: int) -> list[Upload]:
    """Each document as Markdown, and a few sections in every other format. The seed chooses which."""
    found = list(found)
    parts = [section for document in found for section in sections(document)]
    return [whole(document) for document in found] + _spread(parts, seed)


def _spread(parts: Sequence[Section], seed: int) -> list[Upload]:
    if not parts:
        return []
    wanted = [kind for kind in CONVERSIONS for _ in range(SECTIONS_A_FORMAT)]
    order = random.Random(f"{seed}:sections").sample(parts, len(parts))  # noqa: S311 - traffic, no secret
    return [converted(order[number % len(order)], kind) for number, kind in enumerate(wanted)]

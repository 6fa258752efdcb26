"""A minimal PDF writer: text in, a valid file out, with nothing but the standard library."""

import textwrap
from collections.abc import Iterable, Sequence

#: Characters a line and lines a page that fit A4 in 11 point Helvetica.
LINE_CHARS = 90
PAGE_LINES = 52


def pdf(text: str, title: str = "") -> bytes:
    """Set `text` on as many A4 pages as it needs and return the file.

    Characters outside Windows-1252, the widest encoding that a PDF's built-in fonts know, become "?".
    """
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, LINE_CHARS) or [""]]
    pages = [lines[at : at + PAGE_LINES] for at in range(0, len(lines), PAGE_LINES)] or [[]]
    kids = b" ".join(b"%d 0 R" % (5 + 2 * page) for page in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Title %s >>" % _string(title),
    ]
    for number, page in enumerate(pages):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (6 + 2 * number)
        )
        objects.append(stream(_show(page)))
    return assemble(objects, trailer=b"/Info 4 0 R")


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """Return a stream object of `data`, with `entries` (a filter, say) in its dictionary."""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def assemble(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Number `objects` from 1, the catalog first, and add the header, the table of offsets and the trailer."""
    file = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    start = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n%strailer\n" % (size, table)
    file += b"<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
    return bytes(file)


def _show(lines: Iterable[str]) -> bytes:
    shown = b" T*\n".join(b"%s Tj" % _string(line) for line in lines)
    return b"BT /F1 11 Tf 14 TL 50 790 Td\n%s ET" % shown


def _string(text: str) -> bytes:
    encoded = text.encode("cp1252", "replace")
    for character in (b"\\", b"(", b")"):
        encoded = encoded.replace(character, b"\\" + character)
    return b"(%s)" % encoded.replace(b"\r", b" ").replace(b"\n", b" ")

"""From bytes to characters: UTF-8, or UTF-16 that says so by its byte order mark."""

import codecs

from app.services.extraction.model import RejectedDocument

_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_REMEDY = "save the file as UTF-8"


def decode(content: bytes) -> str:
    """Return the file's characters; raises `RejectedDocument` ("empty", "encoding", "unreadable").

    No other encoding is guessed: a wrong guess puts wrong words into the index, where nobody sees them.
    """
    if content.startswith(_UTF_32):
        raise RejectedDocument("encoding", f"The file is UTF-32 by its byte order mark; {_REMEDY}.")
    if content.startswith(b"%PDF-"):
        raise RejectedDocument("unreadable", "The file is a PDF under another name; name it .pdf.")
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RejectedDocument(
            "encoding",
            f"The byte 0x{content[error.start]:02x} at offset {error.start} (line {line}) is not valid "
            f"{'UTF-16' if encoding == 'utf-16' else 'UTF-8'}: the file is binary, cut off or of another "
            f"encoding; {_REMEDY}.",
        ) from None
    null = text.find("\0")
    if null >= 0:
        raise RejectedDocument(
            "encoding",
            f"There is a NUL at character {null} (line {text.count(chr(10), 0, null) + 1}): the file is "
            f"binary, or UTF-16 without a byte order mark; {_REMEDY}.",
        )
    if not text.strip("\ufeff \t\r\n\v\f"):
        raise RejectedDocument("empty", "The file holds no text; upload one that does.")
    return text

"""Text that any store, log and terminal can take."""

import re

#: Control characters, which carry nothing here and end up in terminals, and halves of surrogate pairs,
#: which no UTF-8 can hold (JSON's "\ud800" makes one).
_REMOVED = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_LINE_ENDS = re.compile(r"\r\n|[\r\v\f\x85\u2028\u2029]")
_GAPS = re.compile(r"\n{3,}")
_SPACES = re.compile(r"\s+")


def clean(text: str) -> str:
    """Keep letters, spaces, tabs and line ends (as "\n"), at most one empty line in a row, no outer space."""
    text = _REMOVED.sub("", _LINE_ENDS.sub("\n", text))
    text = _SURROGATES.sub("\ufffd", text)
    # By line and not by a pattern for trailing space, which takes quadratic time on a long run of spaces.
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return _GAPS.sub("\n\n", lines).strip()


def one_line(text: str, limit: int) -> str:
    """Return `text` cleaned, in one line, of at most `limit` characters."""
    line = _SPACES.sub(" ", clean(text[: limit * 4])).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"

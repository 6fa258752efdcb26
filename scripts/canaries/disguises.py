"""Looks for canaries in a text, in whatever disguise: URL-encoded, JSON-escaped, base64, in groups, in pieces."""

import base64
import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from scripts.canaries.kinds import Canary

_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(["\\/bfnrt\']))')
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[ .\-/()]+(?=\d)")
#: Encoded by the client, by each proxy on the way, and by the store.
_ROUNDS = 4


@dataclass(frozen=True)
class Found:
    """A canary in a text: which, in which disguise, and the line that holds it."""

    kind: str
    disguise: str
    line: str


def search(text: str, canaries: Sequence[Canary]) -> Iterator[Found]:
    """Every canary in a text, once for each line and disguise."""
    whole = _Views(text)
    lines: list[tuple[str, _Views]] = []
    for canary in canaries:
        for needle in _needles(canary):
            if needle in whole:
                lines = lines or [(line, _Views(line)) for line in text.splitlines()]
                yield from (Found(canary.kind, needle.disguise, line) for line, views in lines if needle in views)


@dataclass(frozen=True)
class _Needle:
    disguise: str
    view: str
    text: str

    def __post_init__(self) -> None:
        assert len(self.text) >= 8, f"{self.text} would be found by chance"


class _Views:
    """A text as it stands, as it was before it was encoded, and with its numbers in one piece."""

    def __init__(self, text: str) -> None:
        decoded = text
        for _ in range(_ROUNDS):
            further = _unescape(unquote(html.unescape(decoded), errors="replace"))
            if further == decoded:
                break
            decoded = further
        plain = f"{text}\n{decoded}".casefold()
        self._views = {
            "plain": plain + "\n" + plain.replace("+", " "),
            "numbers": _BETWEEN_DIGITS.sub("", plain),
            "base64": f"{text}\n{decoded}".replace("-", "+").replace("_", "/"),
        }

    def __contains__(self, needle: _Needle) -> bool:
        return needle.text in self._views[needle.view]


def _unescape(text: str) -> str:
    def replaced(found: re.Match[str]) -> str:
        code = found[1] or found[2]
        return chr(int(code, 16)) if code else _LETTERS.get(found[3], found[3])

    return _ESCAPE.sub(replaced, text) if "\\" in text else text


def _needles(canary: Canary) -> Iterator[_Needle]:
    view = "numbers" if canary.digits else "plain"
    yield _Needle("whole", view, _flat(canary.bare, view))
    for part in canary.parts:
        yield _Needle("in part", view, _flat(part, view))
    for piece in (canary.bare, *canary.parts):
        for encoded in _base64(piece):
            yield _Needle("base64", "base64", encoded)


def _flat(text: str, view: str) -> str:
    return text.lstrip("+") if view == "numbers" else text.casefold()


def _base64(text: str) -> Iterator[str]:
    """What is the same of its base64 wherever it stands in what was encoded: one for each of three alignments."""
    data = text.encode()
    for before in range(3):
        first = -(-before * 8 // 6)  # characters that hold bits of what stands before
        last = (before + len(data)) * 8 // 6  # characters that hold nothing of what follows
        yield base64.b64encode(b"\0" * before + data).decode()[first:last]

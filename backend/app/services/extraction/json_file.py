"""JSON, one line of "path: value" a value, so that a value that is found alone still says what it means."""

import json
import re
from collections.abc import Iterator

from app.services.extraction.cleaning import one_line
from app.services.extraction.decoding import decode
from app.services.extraction.model import Budget, Limits, RejectedDocument, Section

#: A number that a program means has fewer digits (a 1024-bit key has 309); Python's own limit is 4,300.
_NUMBER_CHARS = 400
#: A key stands in the path of every value below it, so a long one would multiply the text.
_KEY_CHARS = 80
#: The closing quote is optional, so that the first try always matches: no backtracking, whatever comes.
_STRINGS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_TITLE_KEYS = ("title", "name")


class _Number(str):
    """A number as it is written, told apart from a string of the same characters."""

    __slots__ = ()


def check(content: bytes, limits: Limits) -> None:
    """Parse it and measure its depth, which for JSON is quick, and keep nothing."""
    budget = Budget(limits)
    for path, value in _outermost(_parse(decode(content), limits)):
        for below, _ in _values(path, value, limits):
            budget.check_time(below)


def read(content: bytes, limits: Limits, budget: Budget) -> tuple[str, list[Section]]:
    """One section, with a paragraph each member or element of the outermost value."""
    document = _parse(decode(content), limits)
    paragraphs: list[str] = []
    for path, value in _outermost(document):
        lines: list[str] = []
        for below, text in _values(path, value, limits):
            line = f"{below}: {text}" if below else text
            budget.spend(line, below or "the value")
            lines.append(line)
        paragraphs.append("\n".join(lines))
    return _title(document), [Section("", "\n\n".join(filter(None, paragraphs)))]


def _parse(text: str, limits: Limits) -> object:
    _check_size(text, limits)
    try:
        # Numbers stay as they are written, which keeps them exact and costs nothing however large they are.
        return json.loads(text.lstrip("\ufeff"), parse_int=_number, parse_float=_number, parse_constant=_number)
    except json.JSONDecodeError as error:
        raise RejectedDocument(
            "unreadable",
            f"The file is not valid JSON: {one_line(error.msg, 80)} at line {error.lineno}, column {error.colno}; "
            "correct it there.",
        ) from None
    except RecursionError:
        raise _too_deep(limits) from None


def _check_size(text: str, limits: Limits) -> None:
    """Refuse too many values before they become objects: "[[],[],…" takes twenty times its size in memory."""
    if _separators(text) > limits.max_json_values and _separators(_STRINGS.sub("", text)) > limits.max_json_values:
        raise RejectedDocument(
            "bomb", f"The file holds more than {limits.max_json_values:,} values; split it into smaller files."
        )


def _separators(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")


def _number(digits: str) -> _Number:
    if len(digits) > _NUMBER_CHARS:
        raise RejectedDocument(
            "bomb",
            f"The file holds a number of {len(digits):,} digits (it begins {digits[:20]}), and {_NUMBER_CHARS} are "
            "read at most; write it as a string.",
        )
    return _Number(digits)


def _too_deep(limits: Limits) -> RejectedDocument:
    return RejectedDocument(
        "bomb",
        f"Objects and arrays are nested more than {limits.max_json_depth} deep; flatten the file.",
    )


def _outermost(document: object) -> Iterator[tuple[str, object]]:
    return _children("", document) if isinstance(document, dict | list) else iter([("", document)])


def _values(path: str, value: object, limits: Limits) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each value at or below `path` that has any, in order, without recursion."""
    pending = [iter([(path, value)])]
    while pending:
        for below, member in pending[-1]:
            if isinstance(member, dict | list):
                if len(pending) >= limits.max_json_depth:
                    raise _too_deep(limits)
                pending.append(_children(below, member))
                break
            yield from _leaf(below, member)
        else:
            pending.pop()


def _children(path: str, container: dict[str, object] | list[object]) -> Iterator[tuple[str, object]]:
    if isinstance(container, dict):
        for key, value in container.items():
            name = one_line(key, _KEY_CHARS)
            yield f"{path}.{name}" if path else name, value
    else:
        for index, value in enumerate(container):
            yield f"{path}[{index}]", value


def _leaf(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Null and blank strings say nothing that a search could find."""
    if isinstance(value, bool):
        yield path, "true" if value else "false"
    elif isinstance(value, str) and value.strip():
        yield path, value


def _title(document: object) -> str:
    if isinstance(document, dict):
        for key in _TITLE_KEYS:
            value = document.get(key)
            if isinstance(value, str) and not isinstance(value, _Number) and value.strip():
                return value
    return ""

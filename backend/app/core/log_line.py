"""One line: its fields as JSON, without secrets, not too long, and harmless in a terminal."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from app.core import redaction

#: Of a line, its newline included (bytes). Loki's own default would take 256 KiB; nobody reads so much.
MAX_LINE_BYTES = 16 * 1024
#: What a field that was cut keeps at least, if it can (its characters, and about as many bytes).
KEPT_CHARS = 200
#: What is taken off the end of a text that was cut before it was redacted (characters).
CUT_CHARS = 100
#: Frames that an exception keeps when its line is too long: the innermost.
KEPT_FRAMES = 5
#: Ours where they look like it, so that nobody else's text is in them; a span id may look like a card number.
_IDENTIFIERS = ("timestamp", "trace_id", "span_id")
_identifier = re.compile(r"[0-9a-f]{32}|[0-9a-f]{16}|[0-9]{4}-[0-9T:.-]{15,22}Z")
#: Short, and what a line is found by.
_KEPT = ("timestamp", "level", "service", "environment", "trace_id", "span_id", "truncated", "truncated_fields")
#: What goes last where too much is left although it was shortened: the rest says little without it.
_LAST = ("exception", "logger", "event")
#: How many names of cut fields a line gives, how much of each, and what all of it takes (bytes, in JSON).
MAX_NAMES, NAME_BYTES = 20, 102
NAMES_BYTES = MAX_NAMES * (NAME_BYTES + 1) + 50

#: What JSON leaves as it is, and what a terminal obeys or a reader takes for a line's end: DEL, C1 (as UTF-8), the line
#: and paragraph separators, and the marks that reverse the direction of writing.
_unsafe = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]")


def serialise(line: Mapping[str, Any]) -> bytes:
    """The line as JSON with its newline. Never raises: what JSON cannot say is said as text."""
    try:
        return orjson.dumps(line, default=_text, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, ValueError, RecursionError):
        return orjson.dumps(_plain(line, 0), option=orjson.OPT_APPEND_NEWLINE)


def _text(value: Any) -> str:
    try:
        return str(value).encode("utf-8", "replace").decode()
    except Exception as failure:
        return f"({type(value).__name__} cannot be read: {type(failure).__name__})"


def _plain(value: Any, depth: int) -> Any:
    """A copy that JSON can say, whatever it was: keys as text, no half characters, integers of 64 bits, no cycles."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)[:100]
    if depth > redaction.MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {_text(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return _text(value)


def finished(data: bytes) -> bytes:
    """A serialised line as it may be stored: redacted, cut to `MAX_LINE_BYTES`, safe in a terminal."""
    data = _safe(data)
    if len(data) > MAX_LINE_BYTES or (redaction.is_on() and redaction.suspicious(data)):
        try:
            return _fitting(_redacted(orjson.loads(data)))
        except Exception as failure:  # a line that cannot be checked is not written
            event = f"a line was withheld: {type(failure).__name__} in its redaction"
            return serialise({**_head(data), "event": event})
    return data


def _safe(data: bytes) -> bytes:
    return data if data.isascii() and b"\x7f" not in data else _unsafe.sub(_escape, data)


def _size(name: str, value: Any) -> int:
    """What a field adds to its line (bytes): one comma instead of two braces and a newline."""
    return len(_safe(serialise({name: value}))) - 2


def _escape(match: re.Match[bytes]) -> bytes:
    return f"\\u{ord(match[0].decode()):04x}".encode()


def _head(data: bytes) -> dict[str, Any]:
    line = orjson.loads(data)
    names = ("timestamp", "level", "logger", "service")
    return {name: _first_bytes(str(line[name]), KEPT_CHARS) for name in names if name in line}


def _redacted(line: dict[str, Any]) -> dict[str, Any]:
    """Much more than fits a line is cut or left out first: looking through all of it would keep other lines waiting."""
    cut: list[str] = []
    for name, value in list(line.items()):
        if isinstance(value, str) and len(value) > MAX_LINE_BYTES:
            line[name] = value[:MAX_LINE_BYTES]
            cut.append(name)
    gone = [name for name, value in line.items() if not isinstance(value, str) and _is_vast(value)]
    kept = {name: line[name] for name in _IDENTIFIERS if _identifier.fullmatch(str(line.get(name)))}
    redacted: dict[str, Any] = redaction.redact({name: value for name, value in line.items() if name not in gone})
    for name in cut:  # the end may be half of a secret, which looks like none
        redacted[name] = str(redacted.get(name, ""))[:-CUT_CHARS]
    return _marked({**redacted, **kept}, cut + gone)


def _is_vast(value: Any) -> bool:
    return isinstance(value, dict | list) and _size("", value) > 4 * MAX_LINE_BYTES


def _marked(line: dict[str, Any], cut: list[str]) -> dict[str, Any]:
    if cut:
        before = line.get("truncated_fields")
        names = [_text(name) for name in (*(before if isinstance(before, list) else ()), *cut)]
        names = list(dict.fromkeys(_first_bytes(name, NAME_BYTES) for name in names[: 2 * MAX_NAMES]))
        line |= {"truncated": True, "truncated_fields": names[:MAX_NAMES]}
    return line


def _fitting(line: dict[str, Any]) -> bytes:
    """The line with its largest fields shortened, or taken out, until it fits; which ones, it says itself."""
    data = _safe(serialise(line))
    if len(data) <= MAX_LINE_BYTES:
        return data
    sizes = {name: _size(name, value) for name, value in line.items()}
    sizes = {name: size for name, size in sizes.items() if name not in _KEPT or size > NAMES_BYTES}
    room = MAX_LINE_BYTES - NAMES_BYTES
    total, cut = len(data), []
    for name in sorted(sizes, key=lambda name: sizes[name], reverse=True):
        if total <= room or sizes[name] <= KEPT_CHARS:
            break
        value = _shortened(name, line[name], max(KEPT_CHARS, sizes[name] - (total - room)))
        total -= sizes[name]
        sizes[name] = 0 if value is None else _size(name, value)
        total += sizes[name]
        line[name] = value
        cut.append(name)
    last = [name for name in _LAST if name in sizes]
    for name in (*reversed([name for name in sizes if name not in last]), *last):
        if total > room:
            total -= sizes[name]
            sizes[name] = 0
            cut.append(name)
    line = {name: value for name, value in line.items() if sizes.get(name) != 0}
    return _safe(serialise(_marked(line, cut)))


def _shortened(name: str, value: Any, size: int) -> Any:
    """A value with which the field takes about `size` bytes at most; None when there is none, and it has to go."""
    if len(name) > KEPT_CHARS:
        return None
    if isinstance(value, str):
        return _first_bytes(value, size - _size(name, "") + 2)
    if name == "exception" and isinstance(value, list):
        for one in value:
            if isinstance(one, dict):
                one["frames"] = list(one.get("frames", ()))[-KEPT_FRAMES:]
                one["exc_value"] = str(one.get("exc_value", ""))[:KEPT_CHARS]
                one.pop("exceptions", None)
                one.pop("exc_notes", None)
        return value if _size(name, value) <= size else value[:1]
    return None


def _first_bytes(text: str, size: int) -> str:
    """The longest beginning that takes no more than `size` bytes in JSON, whole characters only."""
    low, high = 0, min(len(text), max(size, 0))
    while low < high:
        middle = (low + high + 1) // 2
        if len(_safe(orjson.dumps(text[:middle]))) <= size:
            low = middle
        else:
            high = middle - 1
    return text[:low]

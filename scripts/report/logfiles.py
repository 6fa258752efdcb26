"""The part of LogQL that the dashboards use, on the log files, where no Loki runs."""

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from scripts.find.model import Line, SourceError, parse_line
from scripts.find.sources.files import LogFiles
from scripts.report.board import Window

_STRING: Final = r'"(?:[^"\\]|\\.)*"|`[^`]*`'
_SELECTOR: Final = re.compile(rf'\s*\{{((?:[^"`}}]|{_STRING})*)\}}')
_MATCHER: Final = re.compile(rf"(\w+)\s*(=~|!~|!=|=)\s*({_STRING})")
_LINE_FILTER: Final = re.compile(rf"\s*(\|=|\|~|!=|!~)\s*({_STRING})")
_LABEL_FILTER: Final = re.compile(rf"\s*\|\s*((?:\w+\s*(?:=~|!~|!=|==?)\s*(?:{_STRING})\s*(?:or|and|,)?\s*)+)")
_PARSER: Final = re.compile(r"\s*\|\s*(?:json|drop\s+[\w\s,]+|keep\s+[\w\s,]+)")

Test = Callable[[Mapping[str, Any], str], bool]


class Files(LogFiles):
    """Log files that answer what log panels ask of Loki."""

    def newest(self, query: str, window: Window, limit: int) -> list[Line]:
        """The newest lines, newest first. Raises SourceError for a query that is not understood."""
        tests = _tests(query)
        found: deque[Line] = deque(maxlen=limit)
        for raw in self._matching(lambda raw: raw.startswith(b"{"), window.start):
            line = parse_line(raw)
            if line is not None and window.start <= line.time <= window.end:
                text = raw.decode(errors="replace")
                if all(test(line.values, text) for test in tests):
                    found.append(line)
        return sorted(found, key=lambda line: -line.time)


def _tests(query: str) -> list[Test]:
    selector = _SELECTOR.match(query)
    if not selector:
        raise SourceError(f"no Loki runs, and the log files cannot be asked for numbers: {query}")
    tests = [_label(*found) for found in _MATCHER.findall(selector[1])]
    rest = query[selector.end() :].rstrip()
    while rest:
        if found := _LINE_FILTER.match(rest):
            tests.append(_text(found[1], _unquoted(found[2])))
        elif found := _LABEL_FILTER.match(rest):
            either = [_label(*one) for one in re.findall(rf"(\w+)\s*(=~|!~|!=|==?)\s*({_STRING})", found[1])]
            tests += [_any(either)] if re.search(rf"(?:{_STRING})\s*or\b", found[1]) else either
        elif not (found := _PARSER.match(rest)):
            raise SourceError(f"no Loki runs, and this part is not understood for the log files: {rest}")
        rest = rest[found.end() :]
    return tests


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] == "`" else str(json.loads(text))


def _any(tests: list[Test]) -> Test:
    return lambda values, text: any(test(values, text) for test in tests)


def _label(name: str, operator: str, text: str) -> Test:
    wanted = _unquoted(text)
    if "~" in operator:
        pattern = re.compile(wanted)
        return lambda values, _: (operator == "=~") == bool(pattern.fullmatch(str(values.get(name, ""))))
    return lambda values, _: (operator != "!=") == (str(values.get(name, "")) == wanted)


def _text(operator: str, wanted: str) -> Test:
    if "~" in operator:
        pattern = re.compile(wanted)
        return lambda _, text: (operator == "|~") == bool(pattern.search(text))
    return lambda _, text: (operator == "|=") == (wanted in text)

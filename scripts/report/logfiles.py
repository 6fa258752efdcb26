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
#: A line filter, label filters, or a parser, which finds nothing new in lines that are read as what they are.
_LABELS: Final = rf"\w+\s*(?:=~|!~|!=|=)\s*(?:{_STRING})"
_STAGE: Final = re.compile(
    rf"\s*(?:(\|=|\|~|!=|!~)\s*({_STRING})|\|\s*({_LABELS}(?:\s+or\s+{_LABELS})*)|\|\s*json\b)(?=\s|$)"
)

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
    place = selector.end()
    while query[place:].strip():
        stage = _STAGE.match(query, place)
        if not stage:
            raise SourceError(f"no Loki runs, and this is not understood for the log files: {query[place:]}")
        if stage[1]:
            tests.append(_text(stage[1], stage[2]))
        elif stage[3]:
            tests.append(_any([_label(*found) for found in _MATCHER.findall(stage[3])]))
        place = stage.end()
    return tests


def _any(tests: list[Test]) -> Test:
    return lambda values, line: any(test(values, line) for test in tests)


def _label(name: str, operator: str, text: str) -> Test:
    matches = _matcher("~" in operator, text, re.Pattern.fullmatch)
    return lambda values, _: matches(str(values.get(name, ""))) == (operator[0] == "=")


def _text(operator: str, text: str) -> Test:
    matches = _matcher("~" in operator, text, re.Pattern.search)
    return lambda _, line: matches(line) == (operator[0] == "|")


def _matcher(regular: bool, text: str, how: Callable[..., Any]) -> Callable[[str], bool]:
    wanted = text[1:-1] if text[0] == "`" else str(json.loads(text))
    pattern = re.compile(wanted if regular else re.escape(wanted))
    return lambda value: how(pattern, value) is not None

"""Lines and spans from the files that the services write, where no Loki or Tempo runs.

Files may be large: they are read line by line, and a line is parsed only when it holds what is looked for.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path

from scripts.find.model import FAILED_PATTERN, Line, Span, parse_line, parse_spans, unique
from scripts.find.sources import MAX_LINES, Reach

#: Longer ones (bytes) are read in pieces, which do not parse: nothing that writes here writes such lines.
MAX_LINE_BYTES = 32_000_000
#: As much of a file's beginning and end is looked at to tell the times that it covers (bytes).
_EDGE_BYTES = 256_000

Wanted = Callable[[bytes], object]


class _Files:
    """The files of one kind below a folder, those of replicas' folders included."""

    def __init__(self, folder: Path, patterns: Collection[str], kind: str) -> None:
        self._folder, self._patterns = folder, patterns
        self.name = f"the {kind} below {folder}/"
        self._broken = 0
        self._unreadable: list[str] = []

    def _paths(self, since: float = 0) -> list[Path]:
        """Files that were written to since then, the oldest first. Links name files that are found by themselves."""
        found = {path for pattern in self._patterns for path in self._folder.rglob(pattern)}
        dated = sorted((path.stat().st_mtime, path) for path in found if path.is_file() and not path.is_symlink())
        return [path for changed, path in dated if changed >= since]

    def _matching(self, wanted: Wanted, since: float) -> Iterator[bytes]:
        """The lines that hold what is wanted."""
        for path in self._paths(since):
            try:
                with path.open("rb") as file:
                    while line := file.readline(MAX_LINE_BYTES):
                        if wanted(line):
                            yield line
            except OSError as error:
                self._unreadable.append(f"{path} cannot be read: {error.strerror}")

    def remarks(self) -> list[str]:
        """What was skipped."""
        skipped = [f"{self._broken} broken or half-written lines were skipped"] if self._broken else []
        return skipped + sorted(set(self._unreadable))

    def _edges(self) -> Iterator[bytes]:
        """The beginning and the end of every file."""
        for path in self._paths():
            try:
                with path.open("rb") as file:
                    yield file.read(_EDGE_BYTES)
                    file.seek(max(0, path.stat().st_size - _EDGE_BYTES))
                    yield file.read(_EDGE_BYTES)
            except OSError as error:
                self._unreadable.append(f"{path} cannot be read: {error.strerror}")


class LogFiles(_Files):
    """logs/: one JSON object a line."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ["*.log", "*.log.*"], "log files")
        self._cut = False

    def lines(self, identities: Collection[str], since: float) -> list[Line]:
        """By the fields `request_id` and `trace_id`."""
        return [
            line
            for line in self._parsed(_any_of(identities), since)
            if line.request_id in identities or line.trace_id in identities
        ]

    def failures(self, since: float) -> list[Line]:
        """By level and status."""
        return [line for line in self._parsed(re.compile(FAILED_PATTERN.encode()).search, since) if line.failed]

    def _parsed(self, wanted: Wanted, since: float) -> Iterator[Line]:
        given = 0
        for raw in self._matching(wanted, since):
            line = parse_line(raw)
            if line is None:
                self._broken += 1
            elif line.time >= since:
                given += 1
                if given > MAX_LINES:
                    self._cut = True
                    return
                yield line

    def remarks(self) -> list[str]:
        """What was skipped, and whether lines are missing."""
        return super().remarks() + ([f"there are more than {MAX_LINES} lines"] if self._cut else [])

    def reach(self) -> Reach:
        """By the times of the first and the last lines."""
        found = [time for edge in self._edges() for time in re.findall(rb'"timestamp": ?"([^"]{10,40})"', edge)]
        times = [at for at in map(_time, found) if at is not None]
        return Reach(min(times, default=None), max(times, default=None))


def _time(text: bytes) -> float | None:
    try:
        return datetime.fromisoformat(text.decode()).timestamp()
    except ValueError:
        return None


class TraceFiles(_Files):
    """logs/traces.*.jsonl: one OTLP-JSON export request a line."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ["*traces*.jsonl", "*traces*.jsonl.*"], "trace files")

    def spans(self, requests: Collection[str], traces: Collection[str], since: float) -> list[Span]:
        """A first pass for the ids, then one for each further trace that they lead to."""
        wanted, read = set(traces), set[str]()
        spans = self._read(_any_of([*requests, *traces]), since)
        for _ in range(3):  # request -> its trace -> the job that links to it
            found = {span.trace_id for span in spans if span.request_id in requests}
            found |= {span.trace_id for span in spans if wanted & set(span.links)}
            found |= {link for span in spans if span.trace_id in wanted for link in span.links}
            new = (wanted | found) - read
            if not new:
                break
            wanted |= found
            read |= new
            spans += self._read(_any_of(new), since)
        return unique(span for span in spans if span.trace_id in wanted)

    def _read(self, wanted: Wanted, since: float) -> list[Span]:
        spans: list[Span] = []
        for raw in self._matching(wanted, since):
            try:
                spans += parse_spans(json.loads(raw))
            except (ValueError, TypeError, KeyError, AttributeError):
                self._broken += 1
        return spans

    def reach(self) -> Reach:
        """By the starts of the first and the last spans."""
        found = [int(time) for edge in self._edges() for time in re.findall(rb'"startTimeUnixNano": ?"?(\d{19})', edge)]
        return Reach(min(found, default=0) / 1e9 or None, max(found, default=0) / 1e9 or None)


def _any_of(identities: Collection[str]) -> Wanted:
    needles = [one.encode() for one in identities]
    if len(needles) == 1:  # the common case, and several times as fast
        (needle,) = needles
        return lambda line: needle in line
    return lambda line: any(needle in line for needle in needles)

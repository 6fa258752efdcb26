"""From one id to everything that is known of its request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from scripts.find.model import Exemplar, Line, SourceError, Span, is_trace_id
from scripts.find.sources import LogSource, TraceSource
from scripts.find.sources.prometheus import Prometheus

#: Beside the request's own time (seconds): clocks differ a little.
EXEMPLAR_MARGIN = 60.0


class _Named(Protocol):
    name: str

    def remarks(self) -> list[str]: ...


Source = TypeVar("Source", bound=_Named)
Found = TypeVar("Found")


@dataclass
class Story:
    """What was found, and where. `requests` are the ids of the requests that it is about."""

    identity: str
    requests: set[str] = field(default_factory=set)
    lines: list[Line] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    exemplars: list[Exemplar] = field(default_factory=list)
    lines_from: str = ""
    spans_from: str = ""
    #: Stores that did not answer, lines that were skipped, and the like.
    remarks: list[str] = field(default_factory=list)

    @property
    def traces(self) -> dict[str, list[Span]]:
        """The spans of each trace, in the order in which the traces began."""
        found: dict[str, list[Span]] = {}
        for span in self.spans:
            found.setdefault(span.trace_id, []).append(span)
        return found

    @property
    def start(self) -> float:
        """The beginning of it all (Unix seconds): the first span's, else what the access line says."""
        times = [span.start for span in self.spans] or [line.time - _duration(line) for line in self.lines]
        return min(times + [line.time for line in self.lines])

    @property
    def end(self) -> float:
        """The end of it all (Unix seconds)."""
        return max([line.time for line in self.lines] + [span.end for span in self.spans])

    @property
    def access(self) -> Line | None:
        """The line that sums the request up."""
        return next((line for line in self.lines if line.is_access), None)

    @property
    def root(self) -> Span | None:
        """The span of the request itself."""
        return next((span for span in self.spans if span.kind == "server" and span.request_id), None)


def _duration(line: Line) -> float:
    seconds = line.values.get("duration_seconds")
    return float(seconds) if line.is_access and isinstance(seconds, int | float) else 0.0


def first(
    sources: Sequence[Source], ask: Callable[[Source], list[Found]], remarks: list[str]
) -> tuple[list[Found], Source | None]:
    """The answer of the first source that has one. What the others said is added to the remarks."""
    for source in sources:
        try:
            found = ask(source)
        except SourceError as error:
            remarks.append(str(error))
            continue
        if found:
            return found, source
        remarks.append(f"there is nothing in {source.name}")
    return [], None


def search(identity: str, logs: Sequence[LogSource], traces: Sequence[TraceSource], since: float) -> Story | None:
    """The story of a request id or a trace id, not older than `since` (Unix seconds); None when it is unknown."""
    story = Story(identity)
    wanted = {identity, identity.lower()} if is_trace_id(identity) else {identity}
    lines, log_source = first(logs, lambda source: source.lines(wanted, since), story.remarks)
    own = [line for line in lines if line.request_id == identity]
    story.requests = {line.request_id for line in own or lines} - {""}
    known = {line.trace_id for line in own or lines} - {""}
    known |= {one for one in wanted if is_trace_id(one) and one == one.lower()}
    asked = story.requests or {identity}
    spans, trace_source = first(traces, lambda source: source.spans(asked, known, since), story.remarks)
    if trace_source and not own:  # a trace leads to its requests, and they lead to what follows from them
        story.requests |= {span.request_id for span in spans} - {""}
        if story.requests - asked:
            spans = trace_source.spans(story.requests, known, since)
    further = story.requests | {span.trace_id for span in spans}
    if further - wanted:
        lines, log_source = first([log_source] if log_source else logs, lambda source: source.lines(further, since), [])
    if not lines and not spans:
        return None
    of_others = set() if not own else {line.request_id for line in lines} - story.requests - {""}
    story.lines = sorted((line for line in lines if line.request_id not in of_others), key=lambda line: line.time)
    story.spans = spans
    story.lines_from = log_source.name if log_source else ""
    story.spans_from = trace_source.name if trace_source else ""
    story.remarks += [remark for source in (log_source, trace_source) if source for remark in source.remarks()]
    return story


def add_exemplars(story: Story, prometheus: Prometheus) -> None:
    """Adds the measurements that name the story's traces."""
    traces = {line.trace_id for line in story.lines} | set(story.traces)
    try:
        story.exemplars = prometheus.exemplars(
            traces - {""}, story.start - EXEMPLAR_MARGIN, story.end + EXEMPLAR_MARGIN
        )
    except SourceError as error:
        story.remarks.append(f"{error}: no exemplars")


@dataclass(frozen=True)
class Failure:
    """A request that failed: its access line if there is one, and the last error line."""

    request_id: str
    time: float
    access: Line | None
    error: Line | None


def failures(lines: Sequence[Line]) -> list[Failure]:
    """The requests that these lines tell of, the newest first."""
    by_request: dict[str, list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.time):
        if line.request_id:
            by_request.setdefault(line.request_id, []).append(line)
    found = []
    for request, own in by_request.items():
        access = next((line for line in own if line.is_access), None)
        error = next((line for line in own if not line.is_access), None)
        found.append(Failure(request, own[-1].time, access, error))
    return sorted(found, key=lambda failure: -failure.time)

"""One request's story on a terminal: head, lines, spans, exemplars, links."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts.find.model import Line
from scripts.find.search import Failure, Story
from scripts.find.text import clean, duration, offset, value, when
from scripts.find.tree import tree

_LEVELS = {"debug": "dim", "info": "cyan", "warning": "yellow", "error": "bold red", "critical": "bold white on red"}
#: Frames of one exception that are shown, the innermost.
MAX_FRAMES = 8
#: Failed requests that are listed.
MAX_FAILURES = 50


def show(story: Story, links: tuple[list[tuple[str, str]], str], console: Console) -> None:
    """Prints the story; `links` are titles and addresses, or the reason why there are none."""
    _head(story, console)
    _lines(story, console)
    for spans in story.traces.values():
        _title(console, f"Trace {spans[0].trace_id}", f"{_count(len(spans), 'span')} from {story.spans_from}")
        for row in tree(spans, story.start, console.width):
            console.print(row, soft_wrap=True)
    if not story.spans:
        _title(console, "Trace", "no span is known of it (it was not sampled, or is not stored yet)")
    _exemplars(story, console)
    addresses, reason = links
    _title(console, "In Grafana", reason)
    for title, address in addresses:
        console.print(Text(f"  {title}"))
        console.print(Text(f"    {address}", style="blue"), soft_wrap=True)
    for remark in story.remarks:
        console.print(Text(clean(remark), style="dim"), soft_wrap=True)


def _title(console: Console, title: str, more: str = "") -> None:
    console.print()
    console.print(Text.assemble((title, "bold"), (f"  {clean(more)}" if more else "", "dim")), soft_wrap=True)


def _head(story: Story, console: Console) -> None:
    access = story.access.values if story.access else {}
    span = story.root.attributes if story.root else {}
    status = access.get("status", span.get("http.response.status_code"))
    seconds = access.get("duration_seconds") or (story.root.end - story.root.start if story.root else None)
    what = [access.get("method") or span.get("http.request.method"), access.get("endpoint") or span.get("http.route")]
    failed = isinstance(status, int) and status >= 500
    head = Text(" ".join(value(part) for part in what if part) or "No access line and no server span is known of it")
    if status is not None:
        head.append(f"  {value(status)}", style="red" if failed else "green")
    if isinstance(seconds, int | float):
        head.append(f"  in {duration(seconds)}")
    head.stylize("bold")
    console.print(head, soft_wrap=True)
    users = sorted({str(line.values["user_id"]) for line in story.lines if line.values.get("user_id")})
    services = sorted({line.service for line in story.lines} | {one.service for one in story.spans})
    rows = {
        "request": ", ".join(sorted(story.requests)) or "unknown",
        "trace": ", ".join(story.traces) or ", ".join(sorted({line.trace_id for line in story.lines} - {""})),
        "when": when(story.start),
        "user": ", ".join(users),
        "service": ", ".join(filter(None, services)),
        "access line": _pairs(story.access.fields) if story.access else "",
    }
    for name, text in rows.items():
        if text:
            console.print(Text.assemble((f"  {name:<12}", "dim"), clean(text)), soft_wrap=True)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _pairs(fields: dict[str, Any]) -> str:
    return "  ".join(f"{name}={value(thing)}" for name, thing in fields.items())


def _lines(story: Story, console: Console) -> None:
    if not story.lines:
        _title(console, "Lines", "none is known of it")
        return
    _title(console, "Lines", f"{len(story.lines)} from {story.lines_from}")
    width = max(len(offset(line.time - story.start)) for line in story.lines)
    logger = max(len(line.logger) for line in story.lines)
    for line in story.lines:
        text = Text(f"  {offset(line.time - story.start):>{width}}  ", style="dim")
        text.append(f"{line.level:<8} ", style=_LEVELS.get(line.level, "magenta"))
        text.append(f"{clean(line.logger):<{logger}}  ", style="dim")
        text.append(clean(line.event), style="bold")
        text.append(f"  {_pairs(line.fields)}" if line.fields else "", style="default")
        console.print(text, soft_wrap=True)
        _exceptions(line, console, " " * (width + 4))


def _exceptions(line: Line, console: Console, indent: str) -> None:
    """An exception, then what caused it, each with its innermost frames."""
    for number, one in enumerate(line.exceptions):
        told = f"{one.get('exc_type', 'exception')}: {one.get('exc_value', '')}".rstrip(": ")
        console.print(Text(f"{indent}{'caused by ' if number else ''}{clean(told)}", style="red"), soft_wrap=True)
        frames = [frame for frame in one.get("frames") or () if isinstance(frame, dict)]
        if len(frames) > MAX_FRAMES:
            console.print(Text(f"{indent}  … {len(frames) - MAX_FRAMES} outer frames", style="dim"))
        for frame in frames[-MAX_FRAMES:]:
            place = f"{_short(str(frame.get('filename', '?')))}:{frame.get('lineno', '?')} in {frame.get('name', '?')}"
            console.print(Text(f"{indent}  {clean(place)}", style="dim"), soft_wrap=True)


def _short(filename: str) -> str:
    """A file's path from where it becomes telling: the package, or the project's own folder."""
    for mark in ("/site-packages/", "/backend/"):
        if mark in filename:
            return filename.rpartition(mark)[2]
    return filename


def _exemplars(story: Story, console: Console) -> None:
    if not story.exemplars:
        return
    _title(console, "Exemplars", f"{_count(len(story.exemplars), 'measurement')} in Prometheus with its trace id")
    for one in story.exemplars:
        labels = {k: v for k, v in one.labels.items() if k not in ("__name__", "le", "instance", "job")}
        told = ", ".join(f'{name}="{clean(text)}"' for name, text in labels.items())
        row = Text.assemble((f"  {offset(one.time - story.start):>11}", "dim"), f"  {duration(one.value):>7}  ")
        console.print(row.append(f"{one.metric}{{{told}}}"), soft_wrap=True)


def show_failures(found: Sequence[Failure], source: str, seconds: float, console: Console) -> None:
    """Prints a table of failed requests, the newest first."""
    since = when(seconds)
    if not found:
        console.print(Text(f"No request has failed since {since}, says {source}."), soft_wrap=True)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("when", "status", "request", "took", "why"):
        table.add_column(name, overflow="fold")
    table.add_column("ID", no_wrap=True)  # to be copied
    for failure in found[:MAX_FAILURES]:
        fields = failure.access.fields if failure.access else {}
        seconds_taken = fields.get("duration_seconds")
        what = " ".join(str(fields[name]) for name in ("method", "endpoint") if name in fields)
        table.add_row(
            Text(when(failure.time)),
            Text(value(fields.get("status", "-")), style="red"),
            Text(clean(what) or "-"),
            Text(duration(seconds_taken) if isinstance(seconds_taken, int | float) else "-"),
            Text(_why(failure)),
            Text(failure.request_id, style="bold"),
        )
    console.print(table)
    more = f"; the newest {MAX_FAILURES} are shown" if len(found) > MAX_FAILURES else ""
    console.print(
        Text(f"{_count(len(found), 'failed request')} since {since} in {source}{more}. make find ID=…"), soft_wrap=True
    )


def _why(failure: Failure) -> str:
    """The error's own words: its exception's, else its reason's, else the event's."""
    if failure.error is None:
        return ""
    for one in failure.error.exceptions[:1]:
        return clean(f"{one.get('exc_type', '')}: {one.get('exc_value', '')}"[:200])
    reason = failure.error.fields.get("reason")
    return clean(f"{failure.error.event}{f': {reason}' if reason else ''}"[:200])

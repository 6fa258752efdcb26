"""A trace as a tree, with a bar for each span on one time scale."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from scripts.find.model import Span
from scripts.find.text import clean, duration, offset

#: Spans that are drawn; a trace with more is for Tempo's own page.
MAX_SPANS = 200


def tree(spans: Sequence[Span], origin: float, width: int) -> list[Text]:
    """The spans of one trace, a row each. Offsets count from `origin` (Unix seconds); `width` is the terminal's."""
    start, end = min(span.start for span in spans), max(span.end for span in spans)
    bar_width = max(10, min(40, width // 4))
    rows = _ordered(spans)[:MAX_SPANS]
    name_width = max(len(branch) + len(clean(span.name)) for branch, span in rows)
    offset_width = max(len(offset(span.start - origin)) for _, span in rows)
    drawn = []
    for branch, span in rows:
        name = clean(span.name)
        row = Text.assemble("  ", (branch, "dim"), (name, "bold red" if span.error else ""))
        row.append(" " * (name_width - len(branch) - len(name) + 2))
        row.append(_bar(span, start, end, bar_width), style="red" if span.error else "cyan")
        row.append(f"  {offset(span.start - origin):>{offset_width}}", style="dim")
        row.append(f"  {duration(span.end - span.start):>7}")
        row.append(f"  ✗ {clean(span.error)}" if span.error else "", style="red")
        drawn.append(row)
    if len(spans) > MAX_SPANS:
        drawn.append(Text(f"  … {len(spans) - MAX_SPANS} more spans", style="dim"))
    return drawn


def _bar(span: Span, start: float, end: float, width: int) -> str:
    whole = (end - start) or 1e-9
    left = min(width - 1, int((span.start - start) / whole * width))
    length = max(1, round((span.end - span.start) / whole * width))
    return f"{' ' * left}{'█' * min(length, width - left)}".ljust(width)


def _ordered(spans: Sequence[Span]) -> list[tuple[str, Span]]:
    """Each span below its parent, by start, with the branches to draw before it. A span whose parent is not here is
    a root: it may be another service's, or lost."""
    by_parent: dict[str, list[Span]] = {}
    here = {span.span_id for span in spans}
    for span in sorted(spans, key=lambda span: span.start):
        parent = span.parent_id if span.parent_id in here and span.parent_id != span.span_id else ""
        by_parent.setdefault(parent, []).append(span)
    seen: set[str] = set()

    def below(parent: str, indent: str) -> Iterator[tuple[str, Span]]:
        children = [span for span in by_parent.get(parent, ()) if span.span_id not in seen]
        for number, span in enumerate(children):
            seen.add(span.span_id)
            last = number == len(children) - 1
            branch = "" if not parent else indent + ("└─ " if last else "├─ ")
            yield branch, span
            yield from below(span.span_id, "" if not parent else indent + ("   " if last else "│  "))

    return list(below("", ""))

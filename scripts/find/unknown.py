"""What is said of an id that no store knows: where it was looked for, and how far the data there reaches."""

from collections.abc import Sequence

from rich.console import Console

from scripts.find.model import SourceError
from scripts.find.sources import LogSource, Reach, TraceSource
from scripts.find.text import when


def show_unknown(identity: str, since: float, sources: Sequence[LogSource | TraceSource], console: Console) -> None:
    """Names each place with the times that its data covers."""
    later = f" since {when(since)}" if since else ""
    console.print(f"Nothing is known of {identity}{later}. It was looked for in", markup=False)
    for source in sources:
        try:
            console.print(f"  {source.name}: {_reach(source.reach())}", markup=False, soft_wrap=True)
            for remark in source.remarks():
                console.print(f"    {remark}", markup=False, soft_wrap=True)
        except SourceError as error:
            console.print(f"  {error}", markup=False, soft_wrap=True)
    console.print(
        "A request id is in each answer's X-Request-ID header and in each error's body; lines reach Loki within "
        "seconds of their request, and Tempo can be asked by trace id at once.",
        style="dim",
        soft_wrap=True,
    )


def _reach(reach: Reach) -> str:
    if reach.newest is None:
        return "no data at all"
    since = f"from {when(reach.oldest)} " if reach.oldest else ""
    return f"data reaches {since}until {when(reach.newest)}"

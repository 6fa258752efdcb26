"""`python -m scripts.canaries`: exit status 1 when a canary is found that must not be, or not found where it must."""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts.canaries.run import Result, run
from scripts.canaries.stores import StoreError
from scripts.local.apart import NotHere

#: Columns where no terminal says how many it has.
WIDTH = 160
#: Hits that are shown in full.
SHOWN = 40
#: The stores that hold lines.
LINES = ("stdout", "log files", "Loki")


def table(result: Result, title: str) -> Table:
    """How often each kind was found in each store."""
    drawn = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    drawn.add_column("kind")
    for store in result.found:
        drawn.add_column(store, justify="right")
    counts = {store: Counter(one.kind for one in found) for store, found in result.found.items()}
    for canary in result.canaries:
        row = [counts[store][canary.kind] for store in result.found]
        drawn.add_row(canary.kind, *(Text(str(count), style="bold" if count else "dim") for count in row))
    return drawn


def leaks(result: Result, content: bool = False) -> list[str]:
    """Each hit in words. With `content` in the lines, what has no form of its own may stand there."""
    formless = {canary.kind for canary in result.canaries if canary.formless} if content else set()
    return [
        f"{one.kind} in {store}, {one.disguise}: {one.line[:600]}"
        for store, found in result.found.items()
        for one in found
        if one.kind not in formless or store not in LINES
    ]


def unseen(result: Result) -> list[str]:
    """What the run without protection has to find and did not: each kind in each store that holds lines."""
    return [
        f"{canary.kind} in {store}"
        for canary in result.canaries
        for store in LINES
        if store in result.found and canary.kind not in {one.kind for one in result.found[store]}
    ]


def main() -> int:
    """Runs as it is delivered, with content in the lines, and with everything that protects switched off."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    try:
        with tempfile.TemporaryDirectory(prefix="canaries-") as temporary:
            folder = Path(temporary)
            delivered = run(folder / "delivered", redaction=True, content=False)
            console.print(table(delivered, f"As delivered, {delivered.planted} requests: none may be found"))
            talkative = run(folder / "talkative", redaction=True, content=True, stores=())
            console.print(table(talkative, "LOG_CONTENT=true: in lines, only what has no form of its own"))
            bare = run(folder / "bare", redaction=False, content=True)
            console.print(table(bare, "LOG_CONTENT=true and LOG_REDACTION=false: each must be found in lines"))
    except (NotHere, StoreError) as error:
        console.print(Text(f"canaries: {error}"), soft_wrap=True)
        return 1
    for service, why in delivered.missing.items():
        console.print(Text(f"{service} was not searched: {why}", style="dim"), soft_wrap=True)
    found = leaks(delivered) + leaks(talkative, content=True)
    for leak in found[:SHOWN]:
        console.print(Text(f"LEAK: {leak}", style="red"), soft_wrap=True)
    hidden = unseen(bare)
    for one in hidden:
        console.print(Text(f"NOT FOUND, though nothing protects it: {one}", style="red"), soft_wrap=True)
    searched = sum(delivered.sizes.values())
    console.print(f"{len(found)} leaks of {len(delivered.canaries)} kinds in {searched:,} characters.")
    return 1 if found or hidden else 0


if __name__ == "__main__":
    sys.exit(main())

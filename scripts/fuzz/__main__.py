"""`make fuzz COUNT=100000`: malformed requests, made from the backend's own OpenAPI document, and broken uploads.

None may end in a 5xx (503 with Retry-After, which sheds load, aside), in a label value that was not there before, or
in a memory that grows. The backend is started for it, with its files in a temporary folder.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "backend"))

from scripts.fuzz.run import fuzz


def main() -> int:
    """Runs it; 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=int(os.environ.get("COUNT", "100000")), help="requests to send")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "1")), help="of what is sent")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, so that the backend ends too
    console = Console()
    try:
        wrong = fuzz(options.count, options.seed, console)
    except KeyboardInterrupt:
        console.print("ended before it was done")
        return 130
    for line in wrong:
        console.print(f"[red]wrong[/red] {line}", highlight=False)
    console.print("nothing was wrong" if not wrong else "the backend's lines under a request id tell more")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

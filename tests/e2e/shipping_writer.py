"""Writes numbered lines through the project's own logging, as fast as it is told: a backend that is nothing but busy.

python -m tests.e2e.shipping_writer FOLDER LINES_PER_SECOND SECONDS
"""

import sys
import time
from pathlib import Path

from app.core.config import Settings
from app.core.logging_config import RequestContext, close_logging, configure_logging, emit

#: Small files, so that they are rotated every few hundred milliseconds; none is removed while the test runs.
MAX_BYTES, FILES = 400_000, 1_000


def main(folder: str, rate: str, seconds: str) -> None:
    """Writes, and prints nothing else than the lines."""
    configure_logging(
        Settings(
            _env_file=None,
            log_dir=Path(folder),
            log_per_host=False,
            log_max_bytes=MAX_BYTES,
            log_files=FILES,
            service_name="shipping",
        )
    )
    beginning, number = time.monotonic(), 0
    while (elapsed := time.monotonic() - beginning) < float(seconds):
        while number < elapsed * float(rate):
            with RequestContext(f"request-{number}"):
                emit("info", f"shipping.{number % 3}", "line", {"number": number})
            number += 1
        time.sleep(0.01)
    close_logging()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What Specola costs, measured: `make bench`. See docs/bench/README.md for how each figure is taken."""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
#: Where results are written, for the README and for whoever compares two dates.
RESULTS = PROJECT / "docs" / "bench"

# The backend is a program, not an installed package: its folder has to be named.
if str(PROJECT / "backend") not in sys.path:
    sys.path.insert(0, str(PROJECT / "backend"))


class Skipped(Exception):
    """A part that this machine cannot measure, and why."""

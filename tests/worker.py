"""Which of pytest-xdist's workers this is: each looks for free ports in a place of its own, one of eight."""

import os

PLACES = 8
NUMBER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PLACES

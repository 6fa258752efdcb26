"""Backups of every store, as one archive each, and the way back."""

import sys

from scripts.addresses import PROJECT

if str(PROJECT / "backend") not in sys.path:  # the settings and drivers are the backend's own
    sys.path.insert(0, str(PROJECT / "backend"))

"""Backups of every store, as one archive each, and the way back."""

import sys
from pathlib import Path

from scripts.addresses import PROJECT, setting

if str(PROJECT / "backend") not in sys.path:  # the settings and drivers are the backend's own
    sys.path.insert(0, str(PROJECT / "backend"))


def folder() -> Path:
    """Where this machine's archives are."""
    return PROJECT / Path(setting("BACKUP_DIR") or "backups").expanduser()


def archives(within: Path) -> list[Path]:
    """Every archive of a folder, the newest last."""
    return sorted(within.glob("specola-*.tar*"))

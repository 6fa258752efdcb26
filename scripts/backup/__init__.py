"""Backups of every store, as one archive each, and the way back."""

import re
import sys
from pathlib import Path

from scripts.addresses import PROJECT, setting

if str(PROJECT / "backend") not in sys.path:  # the settings and drivers are the backend's own
    sys.path.insert(0, str(PROJECT / "backend"))


#: What an archive is called; copies under other names are nobody's but yours.
NAME = re.compile(r"specola-\d{8}T\d{6}Z\.tar(\.age)?")


def folder() -> Path:
    """Where this machine's archives are."""
    return PROJECT / Path(setting("BACKUP_DIR") or "backups").expanduser()


def archives(within: Path) -> list[Path]:
    """Every archive of a folder, the newest last; of what is called otherwise, nothing."""
    return sorted(path for path in within.glob("specola-*") if NAME.fullmatch(path.name))

"""Where a program is that nobody has to fetch: what tests and the commands that judge files run."""

import os
import shutil
from pathlib import Path

from scripts.addresses import PROJECT, setting

TOOLS = PROJECT / ".tools"


def look(name: str, tools: Path = TOOLS) -> str | None:
    """The program's path: on PATH, in TOOLS_PATH's folders, or below `tools`."""
    given = [Path(entry).expanduser() for entry in setting("TOOLS_PATH").split(os.pathsep) if entry]
    own = sorted(tools.glob("*")) if tools.is_dir() else []
    places = [folder / part for folder in (*given, tools, *own) for part in (".", "bin", "usr/bin")]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, places)))

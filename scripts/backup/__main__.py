"""`make backup`, `make restore FROM=…`, and what the services `backup` and `restore` run in their containers.

On this machine: backup, restore ARCHIVE [KEYS], or only ARCHIVE STORE… (for `make upgrade`, when it goes back). In a
container: now, nightly, occupied, check ARCHIVE or put-back ARCHIVE [STORE…].
"""

import os
import sys
from pathlib import Path

from scripts.backup.archive import BackupError


def main(arguments: list[str]) -> int:
    """Runs one command; 1 when it could not be done, 2 for one that there is not."""
    name, paths = (arguments or [""])[0], [Path(argument) for argument in arguments[1:]]
    try:
        if name in ("backup", "restore", "only"):
            from scripts.backup import command  # what it needs is not in the container

            try:
                if name == "only":
                    return command.put_back(paths[0], arguments[2:])
                return command.backup() if name == "backup" else command.restore(*paths)
            except command.CANNOT as error:
                raise BackupError(str(error)) from None
        return _inside(name, arguments[1:])
    except (BackupError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _inside(name: str, rest: list[str]) -> int:
    from scripts.backup.nightly import serve
    from scripts.backup.run import Place, back_up, check, occupied, put_back

    place = Place.of(os.environ)
    if name == "now":
        back_up(place, say)
    elif name == "nightly":
        serve(place, say)
    elif name == "occupied":
        say("\n".join(occupied(place)))
    elif name == "check":
        say(f"{Path(rest[0]).name} of {check(place, Path(rest[0])).made} is whole")
    elif name == "put-back":
        put_back(place, Path(rest[0]), say, rest[1:])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


def say(line: str) -> None:
    """A line of progress."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

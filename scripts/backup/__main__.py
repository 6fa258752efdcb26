"""`make backup` and `make restore`, and what the service `backup` runs."""

import argparse
import os
import sys
from pathlib import Path

from scripts.backup.archive import BackupError


def main() -> int:
    """Runs one command; 1 when it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m scripts.backup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("backup", help="an archive of the stack that runs, in BACKUP_DIR")
    restore = commands.add_parser("restore", help="replaces the stack's data by an archive's, after asking (YES=1)")
    restore.add_argument("archive", type=Path, nargs="?")
    restore.add_argument("--keys", type=Path, help="file with the secret key; secrets/backup/key by default")
    for name, what in (
        ("now", "an archive"),
        ("nightly", "one a day, until ended"),
        ("occupied", "what a restore replaces"),
    ):
        commands.add_parser(name, help=f"in the service's container: {what}")
    for name in ("check", "put-back"):
        commands.add_parser(name, help="in the service's container").add_argument("archive", type=Path)
    options = parser.parse_args()
    try:
        return _run(options)
    except BackupError as error:
        print(error, file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    if options.command in ("backup", "restore"):
        from scripts.backup import command  # what chooses between containers and processes is not in the container

        return command.backup() if options.command == "backup" else command.restore(options.archive, options.keys)
    from scripts.backup.nightly import serve
    from scripts.backup.run import Place, back_up, check, occupied, put_back

    place = Place.of(os.environ)
    if options.command == "now":
        back_up(place, say)
    elif options.command == "nightly":
        serve(place, say)
    elif options.command == "occupied":
        print("\n".join(occupied(place)))
    elif options.command == "check":
        manifest = check(place, options.archive)
        say(f"{options.archive.name} of {manifest.made} is whole: {', '.join(manifest.parts)}")
    else:
        put_back(place, options.archive, say)
    return 0


def say(line: str) -> None:
    """A line of progress."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

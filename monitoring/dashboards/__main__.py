"""`python -m monitoring.dashboards` writes the dashboards' files; with `--check` it only compares them."""

import argparse
import sys
from pathlib import Path

from monitoring.dashboards import catalogue


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 when all is well, 1 when `--check` found a file that is not current."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    parser.add_argument("--folder", type=Path, default=catalogue.FOLDER, help="where the files are")
    options = parser.parse_args(arguments)
    if not options.check:
        for line in catalogue.write(options.folder) or ["nothing to write: all files are current"]:
            print(line)
        return 0
    lines = catalogue.differences(options.folder)
    for line in lines:
        print(line, file=sys.stderr)
    if lines:
        print("Write them anew: python -m monitoring.dashboards", file=sys.stderr)
        return 1
    print(f"{len(catalogue.BUILDERS)} dashboards are current")
    return 0


if __name__ == "__main__":
    sys.exit(main())

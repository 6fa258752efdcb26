"""`python -m monitoring.slo` writes the rules of the objectives; with `--check` it only compares them."""

import argparse
import difflib
import sys
from pathlib import Path
from typing import Final

from monitoring import rules
from monitoring.slo import FILE, SloError, load
from monitoring.slo.rules import render

RULES: Final = rules.FOLDER / "objectives.yml"


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 when the objectives cannot be used or, with `--check`, the rules are not current; else 0."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.slo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file differs")
    parser.add_argument("--objectives", type=Path, default=FILE, help="what is read")
    parser.add_argument("--rules", type=Path, default=RULES, help="what is written")
    options = parser.parse_args(arguments)
    try:
        text = render(load(options.objectives))
    except SloError as error:
        print(error, file=sys.stderr)
        return 1
    if not options.check:
        options.rules.write_text(text, encoding="utf-8")
        return 0
    current = options.rules.read_text(encoding="utf-8") if options.rules.is_file() else ""
    lines = list(
        difflib.unified_diff(current.splitlines(), text.splitlines(), "in the file", "wanted", n=0, lineterm="")
    )
    if lines:
        print(*lines, "Write it anew: python -m monitoring.slo", sep="\n", file=sys.stderr)
        return 1
    print(f"{options.rules.name} is current")
    return 0


if __name__ == "__main__":
    sys.exit(main())

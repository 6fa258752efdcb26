"""promtool's verdict on a rule file, with the line that it means, which it does not always say."""

import re
from pathlib import Path

from tests.programs import accepted


def check_rules(file: Path) -> None:
    """Raises AssertionError with `file:line: reason` when promtool does not accept the file."""
    try:
        accepted("promtool", "check", "rules", str(file))
    except AssertionError as error:
        raise AssertionError(f"{file}:{_line(str(error), file)}: {error}") from None


def _line(message: str, file: Path) -> int:
    """The line of an objection: as promtool says, else where the rule or the value that it quotes stands."""
    said = re.search(r"(?:\.yml: |line )(\d+)\b", message)
    if said:
        return int(said[1])
    quoted = re.search(r'rule \d+, "(\w+)"', message) or re.search(r'"([^"]+)"', message)
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if quoted and quoted[1] in line), 1)

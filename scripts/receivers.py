"""Switches on the ways by which alerts reach people: those whose secret is in secrets/alertmanager/.

Alertmanager expands no variables, and a `*_file` that is not there fails at each notification. So alertmanager.yml
carries each way as lines that begin with `# [name]`, and they are uncommented here, in a copy, when
secrets/alertmanager/<name> is there. Uses the standard library alone: `make up` runs it before anything is installed.
"""

import os
import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CONFIG = PROJECT / "monitoring" / "alertmanager" / "alertmanager.yml"
#: The copy that Alertmanager reads instead, in the same folder; chosen by the variable ALERTMANAGER_CONFIG.
SWITCHED_ON = "with-receivers.yml"
SECRETS = PROJECT / "secrets" / "alertmanager"
MARK = re.compile(r"^( *)# \[(?!tls\])(\w+)\] ", re.MULTILINE)  # `tls` is docker-compose.tls.yml's


class ReceiverError(ValueError):
    """A file among the secrets that cannot be used; the message says which, and what to do."""


def ways(text: str) -> list[str]:
    """The names of the ways that a configuration can switch on, each once."""
    return list(dict.fromkeys(name for _, name in MARK.findall(text)))


def present(text: str, secrets: Path = SECRETS) -> list[str]:
    """The ways whose secret is there. Raises ReceiverError for a file that switches on nothing, or is empty."""
    known = ways(text)
    files = {path.name: path for path in secrets.iterdir()} if secrets.is_dir() else {}
    for name in sorted(set(files) - {"README.md", *known}):
        raise ReceiverError(f"{files[name]} switches on nothing: its name has to be one of {', '.join(known)}")
    for name in known:
        if name in files and not files[name].read_text(encoding="utf-8").strip():
            raise ReceiverError(f"{files[name]} is empty: write the secret into it, or remove it")
    return [name for name in known if name in files]


def switched_on(text: str, names: list[str]) -> str:
    """The configuration with these ways on."""
    return MARK.sub(lambda mark: mark[1] if mark[2] in names else mark[0], text)


def apply(secrets: Path = SECRETS, config: Path = CONFIG) -> str:
    """Writes the copy, has ALERTMANAGER_CONFIG name it, and says in a line which ways are on. Raises ReceiverError."""
    text = config.read_text(encoding="utf-8")
    names = present(text, secrets)
    copy = f"# Made from {config.name} by scripts/receivers.py.\n{switched_on(text, names)}"
    config.with_name(SWITCHED_ON).write_text(copy, encoding="utf-8")
    os.environ["ALERTMANAGER_CONFIG"] = SWITCHED_ON
    if names:
        return f"Alerts go to alert-inbox, and by {', '.join(names)}."
    return "Alerts go to alert-inbox alone: no other way is switched on (secrets/alertmanager/README.md)."


if __name__ == "__main__":
    try:
        print(apply())
    except ReceiverError as problem:
        sys.exit(str(problem))

"""What docker-compose.staging.yml needs before it can start: secrets, certificates, and a look at the machine."""

import os
from pathlib import Path

from scripts.addresses import PROJECT

#: One file a secret, mode 0600, not in the repository.
FOLDER = PROJECT / "secrets" / "staging"
#: The command that the advice of both programs begins with; and with TLS between the parts.
COMPOSE = "docker compose -f docker-compose.yml -f docker-compose.staging.yml"
COMPOSE_TLS = f"{COMPOSE} -f docker-compose.tls.yml"


def write(folder: Path, name: str, text: str) -> None:
    """Writes a file that only its owner may read, at no moment anybody else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = folder / f".{name}"
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
    new.replace(folder / name)

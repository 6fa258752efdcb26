"""The certificates of docker-compose.tls.yml: an own authority, and a certificate for each part that others reach.

A file a part, with its certificate and its key, so that the two are never of different ages. Made by openssl, which
`make staging-check` needs as well.
"""

import secrets
import subprocess
import tempfile
from pathlib import Path

from scripts.staging import write

#: Every service of docker-compose.yml that serves others within: each is asked by its name.
PARTS = (
    "backend", "alert-inbox", "mongodb", "mongodb-exporter", "qdrant", "prometheus", "alertmanager", "loki", "promtail",
    "tempo", "grafana", "node-exporter", "cadvisor", "backup",
)  # fmt: skip
#: What all parts know the others by, and its key, which no container is given.
AUTHORITY, AUTHORITY_KEY = "tls_authority.pem", "tls_authority_key.pem"
#: ROTATE: each part's certificate anew, by the same authority; and the authority with all of them.
ALL, WITH_AUTHORITY = "tls", "tls_authority"
#: How long each holds, and from when on `make staging-check` asks for a new one.
DAYS, AUTHORITY_DAYS, SOON_DAYS = 365, 3650, 30

_AUTHORITY_EXTENSIONS = """basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
#: By its name for others, and by the two of loopback for its own health check.
_EXTENSIONS = """basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:{name}, DNS:localhost, IP:127.0.0.1
"""


def file_of(part: str) -> str:
    """The file with a part's certificate and key."""
    return f"tls_{part}.pem"


def names() -> dict[str, str]:
    """What ROTATE may name, with the services to start anew when it has changed; empty: all that run."""
    return {ALL: "", WITH_AUTHORITY: "", **{f"tls_{part}": part for part in PARTS}}


def files() -> list[str]:
    """Every file that is made."""
    return [AUTHORITY, AUTHORITY_KEY, *map(file_of, PARTS)]


def look() -> None:
    """Raises OSError where there is no openssl: better said before the first secret is made than after the last."""
    _openssl("version")


def make(folder: Path, rotate: str = "") -> list[str]:
    """Makes what is missing, and `rotate` anew; returns the files made. Raises OSError where openssl fails."""
    made = []
    if rotate == WITH_AUTHORITY or not all((folder / name).is_file() for name in (AUTHORITY, AUTHORITY_KEY)):
        rotate = ALL  # what another authority signed is worth nothing now
        key, certificate = _signed("Specola's parts", AUTHORITY_DAYS, _AUTHORITY_EXTENSIONS)
        write(folder, AUTHORITY_KEY, key)
        write(folder, AUTHORITY, certificate)
        made += [AUTHORITY, AUTHORITY_KEY]
    for part in PARTS:
        name = file_of(part)
        if rotate in (ALL, f"tls_{part}") or not (folder / name).is_file():
            key, certificate = _signed(part, DAYS, _EXTENSIONS.format(name=part), folder)
            write(folder, name, key + certificate)  # in this order, for Qdrant, which takes the first for the key
            made.append(name)
    return made


def _signed(name: str, days: int, extensions: str, authority: Path | None = None) -> tuple[str, str]:
    """A new key and its certificate, signed by the authority in that folder, or by itself."""
    with tempfile.TemporaryDirectory() as folder:  # for its owner alone
        key, request, settings = (Path(folder) / file for file in ("key", "request", "settings"))
        key.write_text(_openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
        settings.write_text("[req]\ndistinguished_name = name\n[name]\n")  # the machine's own may ask for anything
        request.write_text(_openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-config", settings))
        settings.write_text(extensions)
        by = ["-CA", authority / AUTHORITY, "-CAkey", authority / AUTHORITY_KEY] if authority else ["-signkey", key]
        serial = f"0x{secrets.token_hex(16)}"
        sign = ["-req", "-in", request, *by, "-set_serial", serial, "-days", days, "-sha256", "-extfile", settings]
        return key.read_text(), _openssl("x509", *sign)


def _openssl(*arguments: object) -> str:
    """What it prints. Raises OSError with its own words where it does not do as asked."""
    command = ["openssl", *map(str, arguments)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        raise OSError("openssl is not here, which makes certificates: install it (apt install openssl)") from None
    if answer.returncode:
        raise OSError(f"openssl {arguments[0]} failed: {answer.stderr.strip()[-300:]}")
    return answer.stdout

"""`make staging-check`: what the staging overlay lacks on this machine, and what to do; 1 when it lacks something.

Uses nothing of the stack: it can be run before the first start as well as while it runs.
"""

import ctypes
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from scripts.addresses import PROJECT, setting
from scripts.staging import COMPOSE, COMPOSE_TLS, FOLDER, certificates
from scripts.staging.secrets import names

#: Retention by size and time, for a small team: Prometheus' 4 GB, 7 days of lines and traces, two weeks of backups.
DISK_BYTES = 20 * 2**30
#: A certificate that ends sooner wants to be renewed now.
CERTIFICATE_DAYS = 21
#: `!reset` and `!override` are understood from here on.
COMPOSE_VERSION = (2, 24, 4)
#: Where Docker takes networks from unless daemon.json says otherwise (libnetwork's ipamutils): 31.
DEFAULT_POOLS: tuple[dict[str, Any], ...] = (
    *({"Base": f"172.{second}.0.0/16", "Size": 16} for second in range(17, 32)),
    {"Base": "192.168.0.0/16", "Size": 20},
)
#: The kernel's word for a clock that nothing keeps in time (adjtimex(2)).
TIME_ERROR = 5


@dataclass(frozen=True)
class Finding:
    """One line of the answer. `fatal`: the overlay must not be used like this."""

    what: str
    fatal: bool = False
    advice: str = ""


def host_and_port() -> tuple[str, int]:
    """Of STAGING_URL. Raises ValueError for an address that is none."""
    url = urlsplit(setting("STAGING_URL") or "https://localhost")
    if url.scheme != "https" or not url.hostname or url.path.strip("/"):
        raise ValueError(f"STAGING_URL={url.geturl()} is not https:// and a name, with nothing behind it")
    return url.hostname, url.port or 443


def variables() -> Iterator[Finding]:
    """Those that must be set, and those that must not."""
    if not setting("STAGING_URL"):
        yield Finding("STAGING_URL is not set", True, "set it in .env to the address that users type: https://name")
    if setting("PORT_HTTPS") not in ("", str(host_and_port()[1])):
        advice = "give STAGING_URL the port that is published, or none for 443"
        yield Finding(f"STAGING_URL and PORT_HTTPS={setting('PORT_HTTPS')} name two ports", True, advice)
    if setting("OIDC_ENABLED") == "true":
        for name in ("OIDC_CLIENT_ID", "OIDC_AUTH_URL", "OIDC_TOKEN_URL", "OIDC_USERINFO_URL"):
            if not setting(name):
                yield Finding(f"{name} is not set", True, "the provider's console shows it; or OIDC_ENABLED=false")
        if not (FOLDER / "oidc_client_secret").is_file():
            advice = f"write the client's secret into {FOLDER / 'oidc_client_secret'}, mode 0600"
            yield Finding("there is no secret for OpenID Connect", True, advice)
    for name in ("AZURE_OPENAI_KEY", "OPENAI_API_KEY", "MONGODB_URL", "QDRANT_API_KEY", "USER_HASH_KEY"):
        if setting(name):
            advice = f"remove it there; its place is the file secrets/staging/{name.lower()}"
            yield Finding(f"{name} stands in .env or the shell", True, advice)


def secret_files() -> Iterator[Finding]:
    """Every secret is there, and its owner's alone."""
    yield from _missing(names(), "secrets")
    for path in sorted(FOLDER.glob("*")):
        if path.stat().st_mode & 0o077:
            yield Finding(f"{path} can be read by others", True, f"chmod 600 {path}")
    if not any(path.name != "README.md" for path in (PROJECT / "secrets" / "alertmanager").glob("*")):
        advice = "secrets/alertmanager/README.md says how they reach a person"
        yield Finding("alerts go to the inbox alone, where nobody is called", advice=advice)


def engine() -> Iterator[Finding]:
    """Docker's compose is there, and new enough."""
    said = _said("docker", "compose", "version", "--short")
    version = tuple(int(number) for number in re.findall(r"\d+", said)[:3])
    if version < COMPOSE_VERSION:
        needed = ".".join(map(str, COMPOSE_VERSION))
        yield Finding(f"docker compose {said or 'is not here'}", True, f"install {needed} or newer")


def networks() -> Iterator[Finding]:
    """Room for the overlay's networks beside those that the engine has already."""
    config = _said(*COMPOSE.split(), "config", "--format", "json")
    pools = _said("docker", "info", "--format", "{{json .DefaultAddressPools}}")
    if not config or not pools:
        return  # engine() says so
    project = json.loads(config)
    listed = _said("docker", "network", "ls", "-f", "driver=bridge", "--format", "{{.Name}}").split()
    others = sum(not name.startswith(f"{project['name']}_") for name in listed)
    subnets = [(ip_network(pool["Base"]), int(pool["Size"])) for pool in json.loads(pools) or DEFAULT_POOLS]
    room = sum(2 ** (size - base.prefixlen) for base, size in subnets if base.version == 4)
    wanted = len(project["networks"])
    lacking = others + wanted > room
    advice = "docker network prune, or give /etc/docker/daemon.json more default-address-pools" if lacking else ""
    yield Finding(f"Docker has {room - others} networks left, {wanted} are wanted", lacking, advice)


def port() -> Iterator[Finding]:
    """The one port that is published: free, or the stack's own."""
    host, number = host_and_port()
    with socket.socket() as probe:
        probe.settimeout(2)
        used = probe.connect_ex(("127.0.0.1", number)) == 0
    if not used:
        yield Finding(f"port {number} is free; no other is published")
    elif _said(*COMPOSE.split(), "ps", "-q", "gateway"):
        yield Finding(f"port {number} is the running gateway's; no other is published")
    else:
        advice = f"end what listens there (ss -ltnp 'sport = :{number}'), or choose another by PORT_HTTPS"
        yield Finding(f"port {number} is in use", True, advice)
    try:
        socket.getaddrinfo(host, number)
    except OSError:
        yield Finding(f"the name {host} is not known here", True, "enter it at your DNS provider, or in /etc/hosts")


def certificate() -> Iterator[Finding]:
    """Until when it holds: of the files, else of what answers."""
    files = [setting(name) for name in ("TLS_CERTIFICATE", "TLS_KEY") if setting(name) not in ("", "/dev/null")]
    if len(files) == 1:
        yield Finding("only one of TLS_CERTIFICATE and TLS_KEY is set", True, "set both, or none")
    elif files:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*files)
        except OSError as error:
            yield Finding(f"{' and '.join(files)} are no pair: {error}", True, "two PEM files, of the same key")
            return
        yield from _until(Path(files[0]).read_text(encoding="ascii"), files[0])
    else:
        try:
            yield from _until(ssl.get_server_certificate(host_and_port(), timeout=5), "the gateway's certificate")
        except OSError:
            source = "a public authority, by ACME" if setting("TLS_ACME_EMAIL") else "an authority of its own"
            yield Finding(f"the gateway does not answer yet; its certificate will come from {source}")


def between() -> Iterator[Finding]:
    """Until when the certificates of docker-compose.tls.yml hold, and what speaks no TLS even then."""
    days = {}
    files = (certificates.AUTHORITY, *map(certificates.file_of, certificates.PARTS))
    yield from _missing(files, "certificates for TLS between the parts")
    for name in filter(lambda name: (FOLDER / name).is_file(), files):
        if until := _end((FOLDER / name).read_text(encoding="ascii")):
            days[name.removesuffix(".pem")] = (until[0] - time.time()) / 86_400
        else:
            yield Finding(f"{FOLDER / name} cannot be read", True, f"make secrets ROTATE={name.removesuffix('.pem')}")
    for name, left in days.items():
        if left < certificates.SOON_DAYS:
            yield Finding(f"the certificate {name} ends in {left:.1f} days", True, f"make secrets ROTATE={name}")
    if days:
        soonest = min(days, key=days.__getitem__)
        yield Finding(
            f"TLS between the parts ({COMPOSE_TLS}): of {len(days)} certificates {soonest} ends first, "
            f"in {days[soonest]:.0f} days"
        )
    for name, reason in without_tls().items():
        yield Finding(f"without TLS even then: {name}: {reason}")


def _missing(wanted: Iterable[str], what: str) -> Iterator[Finding]:
    missing = [name for name in wanted if not (FOLDER / name).is_file()]
    if missing:
        yield Finding(f"{len(missing)} {what} are missing ({missing[0]} …)", True, "make secrets")


def without_tls() -> dict[str, str]:
    """What docker-compose.tls.yml leaves as it is, and why."""
    overlay = yaml.safe_load((PROJECT / "docker-compose.tls.yml").read_text(encoding="utf-8"))
    exceptions: dict[str, str] = overlay["x-without-tls"]
    return exceptions


def _end(pem: str) -> tuple[float, str] | None:
    """When a certificate ends: a Unix time, and openssl's words for it. None where it cannot be read."""
    said = _said("openssl", "x509", "-noout", "-enddate", given=pem).removeprefix("notAfter=")
    return (ssl.cert_time_to_seconds(said), said) if said else None


def _until(pem: str, name: str) -> Iterator[Finding]:
    end = _end(pem)
    if end is None:
        yield Finding(f"{name} cannot be read", advice="install openssl, and check that it is a certificate in PEM")
        return
    days, said = (end[0] - time.time()) / 86_400, end[1]
    own = days > 0 and not setting("TLS_CERTIFICATE")  # the gateway renews those that it got itself, hours ahead
    fatal = days < CERTIFICATE_DAYS and not own
    advice = "renew it, then start the services secrets and gateway anew" if fatal else ""
    yield Finding(f"{name} ends in {days:.1f} days, {said}{'; the gateway renews it' if own else ''}", fatal, advice)


def disk() -> Iterator[Finding]:
    """Room for what is kept."""
    folder = _said("docker", "info", "--format", "{{.DockerRootDir}}") or str(PROJECT)
    if not Path(folder).is_dir():
        folder = "/"
    free = shutil.disk_usage(folder).free
    advice = f"free some, or move {folder} to a larger disk" if free < DISK_BYTES else ""
    yield Finding(
        f"{free / 2**30:.0f} GiB free below {folder}, {DISK_BYTES / 2**30:.0f} are wanted", bool(advice), advice
    )


def clock() -> Iterator[Finding]:
    """Kept in time by something: lines, traces and certificates depend on it."""
    kernel = ctypes.CDLL(None, use_errno=True)
    if not hasattr(kernel, "ntp_gettime"):
        yield Finding("whether the clock is kept in time cannot be asked of this system")
    elif kernel.ntp_gettime(ctypes.create_string_buffer(256)) == TIME_ERROR:
        advice = "start a time service: timedatectl set-ntp true, or chrony"
        yield Finding(f"nothing keeps the clock in time ({time.strftime('%Y-%m-%d %H:%M:%S %Z')})", advice=advice)
    else:
        yield Finding("the clock is kept in time")


def _said(*command: str, given: str = "") -> str:
    """What a program prints; empty where it is not here or fails."""
    try:
        answer = subprocess.run(
            command, cwd=PROJECT, input=given, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    variables, secret_files, engine, networks, port, certificate, between, disk, clock,
)  # fmt: skip


def main() -> int:
    """Prints what was found."""
    try:
        found = [finding for check in CHECKS for finding in check()]
    except ValueError as error:
        found = [Finding(str(error), True, "set it in .env, such as STAGING_URL=https://specola.example.org")]
    for finding in found:
        mark = "!!" if finding.fatal else "- " if finding.advice else "ok"
        print(f"{mark} {finding.what}{f' -> {finding.advice}' if finding.advice else ''}")
    wrong = sum(finding.fatal for finding in found)
    print(f"{wrong} to be mended" if wrong else f"Ready: {COMPOSE} up -d --build --wait")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Run in the network of a container, by the test of the staging overlay: what listens here, and what answers elsewhere.

Standard input: a JSON object of addresses (a port each), requests (method, URL, headers), handshakes (name, port) and
the authority for these. Standard output: what came of each.
"""

import json
import socket
import ssl
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path


def listening() -> list[int]:
    """Every TCP port that is open to others."""
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, _, state = line.split()[1:4]
            loopback = address.startswith(("0000000000000000FFFF00000100007F", "00000000000000000000000001000000"))
            if state == "0A" and not loopback and not address.split(":")[0].endswith("7F"):
                ports.add(int(address.split(":")[1], 16))
    return sorted(ports)


def connects(address: tuple[str, int]) -> bool:
    """Whether somebody takes a connection there."""
    try:
        socket.create_connection(address, 2).close()
    except OSError:
        return False
    return True


def asked(method: str, url: str, headers: dict[str, str]) -> list[object]:
    """The status and the beginning of the body; 0 where nobody answers."""
    try:
        request = urllib.request.Request(url, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return [answer.status, answer.read(2000).decode(errors="replace")]
    except urllib.error.HTTPError as error:
        return [error.code, error.read(2000).decode(errors="replace")]
    except (OSError, HTTPException) as error:  # the second: what speaks TLS says so in TLS
        return [0, str(error)]


def secured(name: str, port: int, authority: str) -> str:
    """The version of TLS that is spoken there, with a certificate of this authority for this name; else why not."""
    trusting = ssl.create_default_context(cadata=authority)
    try:
        with (
            socket.create_connection((name, port), 5) as plain,
            trusting.wrap_socket(plain, server_hostname=name) as it,
        ):
            return it.version() or ""
    except OSError as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    given = json.load(sys.stdin)
    with ThreadPoolExecutor(64) as pool:
        reached = pool.map(connects, [tuple(address) for address in given["addresses"]])
        answers = pool.map(lambda request: asked(*request), given["requests"])
        spoken = pool.map(lambda there: secured(*there, given["authority"]), given["handshakes"])
        result = {
            "listening": listening(),
            "reached": list(reached),
            "answers": list(answers),
            "spoken": list(spoken),
        }
    print(json.dumps(result))

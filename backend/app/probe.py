"""A health check for images without wget or curl: exits 0 when the address answers with 2xx.

It asks through a bare socket: importing a client would cost more than all the rest of an idle stack's checks.
"""

import socket
import sys


def answers(url: str, timeout: float = 3.0) -> bool:
    """Whether a GET of this http:// address is answered with 2xx within `timeout` seconds."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    try:
        with socket.create_connection((name, int(port or 80)), timeout) as connection:
            connection.sendall(f"GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            status = connection.recv(64).split(b" ", 2)[1:2]
    except OSError:
        return False
    return bool(status) and status[0].startswith(b"2")


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1]) else 1)

"""A health check for images without wget or curl: exits 0 when the address answers with 2xx.

It asks through a bare socket: importing a client would cost more than all the rest of an idle stack's checks.
"""

import os
import socket
import sys


def answers(url: str, timeout: float = 3.0, authority_file: str = "") -> bool:
    """Whether a GET of this http:// or https:// address is answered with 2xx within `timeout` seconds.

    `authority_file`: what has to have signed the certificate of https://.
    """
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    name, _, port = host.partition(":")
    try:
        with _connected(scheme, name, int(port or 80), timeout, authority_file) as connection:
            connection.sendall(f"GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            status = connection.recv(64).split(b" ", 2)[1:2]
    except OSError:
        return False
    return bool(status) and status[0].startswith(b"2")


def _connected(scheme: str, name: str, port: int, timeout: float, authority_file: str) -> socket.socket:
    connection = socket.create_connection((name, port), timeout)
    if scheme == "http":
        return connection
    import ssl  # it takes as long as all the rest, and is not always asked for

    return ssl.create_default_context(cafile=authority_file).wrap_socket(connection, server_hostname=name)


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1], authority_file=os.environ.get("AUTHORITY_FILE", "")) else 1)

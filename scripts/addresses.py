"""Where the services answer on this machine. Standard library alone: `make up` uses it before anything is installed."""

import os
import re
import ssl
import sys
import urllib.request
from collections.abc import Callable
from functools import cache
from http.client import HTTPResponse
from pathlib import Path

from scripts.local.interpolation import InterpolationError, read_env_file

PROJECT = Path(__file__).resolve().parent.parent


class SettingError(ValueError):
    """A setting that cannot be used: which, and why. Never its value where that may be a secret."""


def told(main: Callable[[], int]) -> int:
    """A command's exit status; 2, and the reason in a sentence, for a setting that it cannot use."""
    try:
        return main()
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2


def setting(variable: str) -> str:
    """A variable of the environment, or else of .env, as Compose reads it; empty if it is in neither.

    Raises SettingError for a .env that cannot be read.
    """
    if variable in os.environ:
        return os.environ[variable]
    dotenv = PROJECT / ".env"
    try:
        return read_env_file(dotenv.read_text(encoding="utf-8"), os.environ).get(variable, "")
    except FileNotFoundError:
        return ""
    except InterpolationError as error:
        raise SettingError(f"{dotenv}: {error}") from None


@cache
def _default_ports() -> dict[str, int]:
    text = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")
    return {name: int(number) for name, number in re.findall(r"\$\{(PORT_[A-Z_]+):-(\d+)\}", text)}


def port(variable: str) -> int:
    """The published port that a PORT_… variable stands for. Raises KeyError for one that the compose file lacks."""
    value = setting(variable)
    if value and not (value.isdecimal() and 0 < int(value) < 65_536):
        raise SettingError(f"{variable}={value} is not a port: give a number from 1 to 65535")
    return int(value or _default_ports()[variable])


def address(service: str) -> str:
    """A service's address, such as http://127.0.0.1:9090 for `prometheus`; `backend` is the gateway in front of it."""
    return f"http://127.0.0.1:{port('PORT_' + service.upper().replace('-', '_'))}"


def open_here(request: urllib.request.Request, trust: ssl.SSLContext | None = None) -> HTTPResponse:
    """Asks what answers on this machine, and no proxy of the environment for it. Raises OSError."""
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    answer: HTTPResponse = urllib.request.build_opener(*handlers).open(request, timeout=10)
    return answer

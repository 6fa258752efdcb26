"""What a run is asked to do: command line first, then environment, then defaults."""

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from scripts.addresses import address, setting

#: The folder that holds `scripts/`: the repository, or what a container mounts of it.
ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = Path(__file__).with_name("questions.json")


@dataclass(frozen=True, slots=True)
class Options:
    """One run. `rate` in requests a second, all times in seconds; `seconds` 0 means until interrupted."""

    rate: float = 5.0
    seconds: float = 60.0
    url: str = "http://127.0.0.1:8000"
    seed: int = 1
    root: Path = ROOT
    questions: Path = QUESTIONS
    #: How long the backend may take to answer at all before the run gives up.
    wait: float = 30.0
    #: How long indexing may take before the questions begin all the same.
    prepare: float = 120.0
    #: Requests under way at once: more would test the machine that sends, not the one that answers.
    max_in_flight: int = 50
    #: Where the backend asks for one; its scopes are chat and documents.
    key: str = field(default="", repr=False)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or value < 0:
        raise ValueError(text)
    return value


def _rate(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 1000:
        raise ValueError(text)
    return value


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(text)
    return text.rstrip("/")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


# argparse names these in its messages: "invalid URL (http://host:port) value: 'x'".
_number.__name__ = "number of seconds (0 or more)"
_rate.__name__ = "rate (above 0, at most 1000 requests/s)"
_url.__name__ = "URL (http://host:port)"
_positive.__name__ = "whole number (1 or more)"


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Options of a command line; RATE, SECONDS, BACKEND_URL and SEED are the defaults where they are set.

    Without an address: the gateway's, wherever PORT_BACKEND has moved it. API_KEY, there or in .env, is the key:
    whatever stands on a command line can be read by everybody on the machine.

    Ends the program with argparse's message and status 2 when one makes no sense.
    """
    default = Options()
    given = {name: value for name, value in environment.items() if value != ""}
    parser = argparse.ArgumentParser(prog="python -m scripts.traffic", description="Realistic users.")
    add = parser.add_argument
    # Strings as defaults: argparse converts and checks them as it does arguments.
    add("--rate", type=_rate, default=given.get("RATE", str(default.rate)), help="requests/s (RATE)")
    add(
        "--seconds",
        type=_number,
        default=given.get("SECONDS", str(default.seconds)),
        help="how long; 0: until interrupted (SECONDS)",
    )
    add("--url", type=_url, default=given.get("BACKEND_URL") or address("backend"), help="the backend (BACKEND_URL)")
    add("--seed", type=int, default=given.get("SEED", str(default.seed)), help="same seed, same users (SEED)")
    add("--root", type=Path, default=default.root, help="where the Markdown files are")
    add("--questions", type=Path, default=default.questions, help="JSON: [{question, source}, ...]")
    add("--wait", type=_number, default=default.wait, help="seconds for the backend to answer at all")
    add("--prepare", type=_number, default=default.prepare, help="seconds at most for the first indexing")
    add("--max-in-flight", type=_positive, default=default.max_in_flight, help="requests at once, at most")
    return Options(**vars(parser.parse_args(arguments)), key=given.get("API_KEY") or setting("API_KEY"))

"""Requests that a backend must refuse, each with the status that it should answer."""

import random
import uuid
from dataclasses import dataclass
from typing import Any

from scripts.traffic.client import Client
from scripts.traffic.visitor import API

#: The share of all requests that are bad.
SHARE = 0.03


@dataclass(frozen=True, slots=True)
class Mistake:
    """A bad request. `content` is httpx's: files, json."""

    name: str
    method: str
    path: str
    expect: int
    content: dict[str, Any]


def some(dice: random.Random) -> list[Mistake]:
    """One of each kind, with ids that the dice make up."""
    unknown = uuid.UUID(int=dice.getrandbits(128), version=4)
    question = {"content": "Is anyone there?", "stream": False}
    archive = ("backup.zip", b"PK\x03\x04 not a document", "application/zip")
    return [
        Mistake("unknown session", "POST", f"{API}/chat/sessions/{unknown}/messages", 404, {"json": question}),
        Mistake("unknown job", "GET", f"{API}/indexing/jobs/{unknown}", 404, {}),
        Mistake("malformed id", "GET", f"{API}/indexing/jobs/{unknown.hex[:7]}-no-id", 422, {}),
        Mistake("unknown path", "GET", f"{API}/chat/no/such/page/{unknown.hex[:8]}", 404, {}),
        Mistake("wrong method", "PATCH", f"{API}/chat/sessions", 405, {}),
        Mistake("unsupported file", "POST", f"{API}/documents", 415, {"files": {"file": archive}}),
    ]


async def make(client: Client, dice: random.Random) -> None:
    """Sends one of them."""
    mistake = dice.choice(some(dice))
    await client.call("bad request", mistake.method, mistake.path, expect=mistake.expect, **mistake.content)

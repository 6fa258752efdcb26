"""What is sent: requests made from the OpenAPI document, requests that no document describes, and broken uploads."""

import contextlib
import math
import string
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from scripts.broken_files import BrokenFile

#: No client can put these on a wire: a header of half a surrogate pair, a path of control characters.
UNSENDABLE = (UnicodeError, ValueError, httpx.InvalidURL, httpx.LocalProtocolError)
UPLOADS = "/api/v1/documents"
#: It takes as long as it is asked to.
LEFT_OUT = "/internal/profile"


@dataclass
class Outcome:
    """What came of it; `on_answer` is called for each answer."""

    on_answer: Callable[[], None] = lambda: None
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def take(self, answer: Any, what: str) -> None:
        """Counts an answer, and keeps it when it is a failure."""
        self.statuses[answer.status_code] += 1
        headers = {name.lower(): value for name, value in answer.headers.items()}
        shed = answer.status_code == 503 and "retry-after" in headers
        if answer.status_code >= 500 and not shed:
            identity = headers.get("x-request-id")
            identity = identity[0] if isinstance(identity, list) else identity  # schemathesis' way
            self.failures.append(f"{answer.status_code} for {what} (request id {identity})")
        self.on_answer()

    @property
    def count(self) -> int:
        """How many requests were answered."""
        return self.statuses.total()


class Malformed:
    """Requests to every operation of the OpenAPI document, in keeping with it or against it."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        schema = schemathesis.openapi.from_url(str(client.base_url.join("/openapi.json")))
        operations: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
        self._operations = [operation for operation in operations if operation.path != LEFT_OUT]

    def send(self, wanted: int, start: int, outcome: Outcome) -> None:
        """Has `wanted` requests answered. Another `start`, other requests.

        An operation without input has few requests that differ, so the others are asked again for what is missing.
        """
        target = outcome.count + wanted
        for turn in count(start * 1_000):
            missing = target - outcome.count
            if missing <= 0:
                return
            each = math.ceil(missing / (2 * len(self._operations)))
            for operation in self._operations:
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    with contextlib.suppress(Unsatisfiable):  # nothing can be wrong with no input
                        self._send_cases(operation, mode, each, turn, target, outcome)

    def _send_cases(
        self, operation: Any, mode: GenerationMode, examples: int, turn: int, target: int, outcome: Outcome
    ) -> None:
        name = f"{operation.method.upper()} {operation.path}, {mode.value}"
        # Every other request is about a session that there is, so that it gets further than to a 404.
        session = self._client.post("/api/v1/chat/sessions").json()["session_id"]
        number = count()

        @seed(turn)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(mode))
        def send(case: Any) -> None:
            if outcome.count >= target:
                return
            if next(number) % 2 and "session_id" in (case.path_parameters or {}):
                case.path_parameters["session_id"] = session
            with contextlib.suppress(*UNSENDABLE):
                outcome.take(case.call(base_url=str(self._client.base_url), timeout=30), name)

        send()


def send_strange(client: httpx.Client, wanted: int, start: int, outcome: Outcome) -> None:
    """Has `wanted` requests answered whose methods, paths and headers no document describes."""
    random = Random(start)  # noqa: S311
    target = outcome.count + wanted
    while outcome.count < target:
        method = random.choice(
            ["GET", "POST", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH", _text(random, string.ascii_letters)]
        )
        path = "/" + random.choice(
            [
                _text(random, string.ascii_letters + "/."),
                _text(random, string.printable),
                f"api/v1/chat/sessions/{_text(random, string.hexdigits)}/messages",
                f"api/v1/documents/{_text(random, string.ascii_letters)}",
                f"internal/{_text(random, string.ascii_letters)}",
                "static/" + "../" * random.randrange(9) + "etc/passwd",
                "%00" * random.randrange(1, 9),
                "metrics",
                "health",
            ]
        )
        names = ["X-Request-ID", "X-User-ID", "Accept", "traceparent", "Content-Type", "Range", "Cookie"]
        headers = {
            random.choice(names).encode(): _text(random, string.printable.strip() + " é🙂", 300).encode()
            for _ in range(random.randrange(4))
        }
        content = random.randbytes(random.randrange(300)) if random.random() < 0.5 else None
        with contextlib.suppress(*UNSENDABLE):
            outcome.take(client.request(method, path, headers=headers, content=content), f"{method} {path!r}")


def _text(random: Random, characters: str, most: int = 20) -> str:
    return "".join(random.choices(characters, k=random.randrange(1, most)))


def send_broken(client: httpx.Client, files: Iterable[BrokenFile], outcome: Outcome) -> None:
    """Uploads each file; one that finds the queue full is sent again."""
    for file in files:
        part = (file.name, file.content, file.content_type) if file.content_type else (file.name, file.content)
        with contextlib.suppress(*UNSENDABLE):
            while (answer := client.post(UPLOADS, files={"file": part})).status_code == 429:
                outcome.take(answer, "a full queue")
                time.sleep(1)
            outcome.take(answer, f"an upload: {file.why}")

"""Every store there is, as text to be searched."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

#: What is asked of Loki and Tempo at once.
PAGE = 5000
#: Questions to Tempo under way at once.
AT_ONCE = 8
#: Seconds that lines and spans may take to arrive.
PATIENCE = 60.0


class StoreError(Exception):
    """A store cannot be searched, or what must be in it is not: then finding nothing in it would mean nothing."""


class Reader:
    """Reads the stores of one run that began at `since` (Unix seconds)."""

    def __init__(self, addresses: dict[str, str], since: float) -> None:
        self._addresses, self._since = addresses, since
        # Nothing but this machine is asked: no proxy, and no certificates, which take long to load.
        self._client = httpx.Client(timeout=30, trust_env=False, verify=False)  # noqa: S501

    def get(self, service: str, path: str, **parameters: str | int) -> Any:
        """The JSON of an answer."""
        answer = self._client.get(self._addresses[service] + path, params=parameters)
        if not answer.is_success:
            raise StoreError(f"{service} answers {answer.status_code} to {path}: {answer.text[:200]}")
        return answer.json()

    def loki(self) -> str:
        """Every line, with its labels and its structured metadata; and the values of all labels."""
        lines = [json.dumps(one) for one in self._streams('{service=~".+"}')]
        names = self.get("loki", "/loki/api/v1/labels", start=self._nanoseconds(), end=self._nanoseconds(3600))["data"]
        lines += [
            json.dumps(self.get("loki", f"/loki/api/v1/label/{name}/values", start=self._nanoseconds()))
            for name in names
        ]
        return "\n".join(lines)

    def _streams(self, query: str) -> Iterator[list[Any]]:
        start = self._nanoseconds()
        seen: set[tuple[str, str]] = set()
        while True:
            answer = self.get(
                "loki", "/loki/api/v1/query_range", query=query, start=start, end=self._nanoseconds(3600),
                limit=PAGE, direction="forward",
            )  # fmt: skip
            found = [(one["stream"], *value) for one in answer["data"]["result"] for value in one["values"]]
            yield from ([*one] for one in found if (one[1], one[2]) not in seen)
            seen |= {(one[1], one[2]) for one in found}
            if len(found) < PAGE:
                return
            start = max(int(one[1]) for one in found)

    def lines_in_loki(self) -> int:
        """How many lines have arrived."""
        return sum(1 for _ in self._streams('{service=~".+"}'))

    def tempo(self, traces: set[str]) -> str:
        """Every one of these traces, with all attributes and events; and the values of all attributes."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = [json.dumps(trace) for trace in pool.map(self.trace, sorted(traces))]
        for scope in self.get("tempo", "/api/v2/search/tags")["scopes"]:
            for tag in scope["tags"] if scope["name"] != "intrinsic" else ():  # names and the like: in the traces
                path = f"/api/v2/search/tag/{scope['name']}.{tag}/values"
                found.append(json.dumps(self.get("tempo", path)))
        return "\n".join(found)

    def trace(self, trace: str) -> Any:
        """One trace; empty when Tempo does not know it."""
        return self.get("tempo", f"/api/v2/traces/{trace}").get("trace")

    def found_traces(self) -> set[str]:
        """The traces that Tempo's search knows: those of jobs and of alerts among them."""
        start = int(self._since) - 3600  # its search leaves the last half minute out, and refuses an empty range
        found = self.get("tempo", "/api/search", q="{}", limit=PAGE, start=start, end=int(time.time()))
        return {trace["traceID"].zfill(32) for trace in found.get("traces") or ()}

    def prometheus(self) -> str:
        """Every value of every label, of series and of exemplars."""
        names = self.get("prometheus", "/api/v1/labels")["data"]
        values = [json.dumps(self.get("prometheus", f"/api/v1/label/{name}/values")) for name in names]
        exemplars = self.get(
            "prometheus", "/api/v1/query_exemplars", query='{__name__=~".+"}', start=int(self._since),
            end=int(time.time()) + 60,
        )  # fmt: skip
        return "\n".join([*values, *(json.dumps(one) for one in exemplars["data"])])

    def exposition(self, service: str) -> str:
        """/metrics as it stands, with exemplars."""
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        return self._client.get(f"{self._addresses[service]}/metrics", headers=accept).text

    def _nanoseconds(self, ahead: int = 0) -> int:
        return int((time.time() + ahead if ahead else self._since) * 1e9)


def files(folder: Path, pattern: str) -> str:
    """The text of every file below a folder that matches."""
    paths = [path for path in sorted(folder.rglob(pattern)) if path.is_file() and not path.is_symlink()]
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in paths)


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Waits for a condition. Raises StoreError when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StoreError(f"did not happen within {seconds:g} s: {what}")
        time.sleep(0.5)

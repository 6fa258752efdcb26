"""What the stack had acknowledged, and what of that is still there at the end."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

#: What Loki returns at most to one query.
_PAGE = 5000


@dataclass
class Book:
    """Only what was answered with success stands here: of the rest nobody was promised anything.

    `last`: when (Unix seconds) the last acknowledged request of each kind was begun; `traces`: the same by trace id.
    """

    uploads: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    feedback: dict[str, str] = field(default_factory=dict)
    traces: dict[str, float] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    last: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One comparison: so many there ought to be, and examples of those that are not there or there too often.

    `only_counted`: nobody promised more than to tell how many were lost.
    """

    what: str
    owed: int
    lost: tuple[str, ...] = ()
    doubled: int = 0
    only_counted: bool = False

    @property
    def holds(self) -> bool:
        """Whether nothing that was promised is missing."""
        return self.only_counted or not (self.lost or self.doubled)


def compare_records(what: str, owed: Mapping[str, str], there: Mapping[str, str]) -> Finding:
    """Records by their id, with what of their content was acknowledged."""
    lost = tuple(
        f"{key}: {there.get(key, 'not there')!r} instead of {value!r}"
        for key, value in owed.items()
        if there.get(key) != value
    )
    return Finding(what, len(owed), lost)


def compare_lines(owed: Counter[str], there: Counter[str], counted: int) -> Finding:
    """Lines of the files against those of Loki; `counted`: as many as Loki counts, where one sent again may show."""
    doubled = max((there - owed).total(), counted - owed.total(), 0)
    return Finding("log lines that reached a file", owed.total(), tuple((owed - there).elements()), doubled)


def in_files(folder: Path) -> Counter[str]:
    """Every whole line of the log files. A half one, of a process that was killed in the middle, reached nobody."""
    return Counter(
        line.removesuffix("\n")
        for path in folder.rglob("*.*.log")
        for line in path.open(encoding="utf-8", errors="replace", newline="\n")
        if line.endswith("\n")
    )


def in_loki(client: httpx.Client, start: int, end: int, selector: str) -> Counter[str]:
    """Every line that Loki has between two times (ns). The same line twice, by a client's repetition, counts twice."""
    found: Counter[str] = Counter()
    seen: set[tuple[str, str, str]] = set()
    while True:
        query: dict[str, str | int] = {"query": selector, "start": start, "end": end, "limit": _PAGE}
        answer = client.get("/loki/api/v1/query_range", params=query | {"direction": "forward"})
        answer.raise_for_status()
        page = [
            (str(sorted(stream["stream"].items())), at, text)
            for stream in answer.json()["data"]["result"]
            for at, text in stream["values"]
        ]
        fresh = set(page) - seen  # pages overlap in their last nanosecond
        found.update(text for _, _, text in fresh)
        seen |= fresh
        if len(page) < _PAGE or not fresh:
            return found
        start = max(int(at) for _, at, _ in page)


def counted_by_loki(client: httpx.Client, seconds: int, end: float, selector: str) -> int:
    """As many lines as a metric query counts."""
    query = {"query": f"sum(count_over_time({selector}[{seconds}s]))", "time": str(end)}
    answer = client.get("/loki/api/v1/query", params=query)
    answer.raise_for_status()
    result = answer.json()["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def traces_lost(client: httpx.Client, traces: Mapping[str, float]) -> Finding:
    """Traces of acknowledged requests (by id, with their Unix times) that Tempo does not know. What waits in a killed
    process is lost by design.
    """
    # A search lists those of a minute at once; only what it leaves out is worth looking for in every block.
    left = set(traces)
    for minute in sorted({int(begun) // 60 * 60 for begun in traces.values()}):
        window: dict[str, str | int] = {"q": "{}", "start": minute - 1, "end": minute + 61, "limit": 10_000, "spss": 1}
        with contextlib.suppress(httpx.HTTPError):
            answer = client.get("/api/search", params=window)
            listed = answer.json().get("traces") or () if answer.is_success else ()
            left -= {one["traceID"].zfill(32) for one in listed}
    ids = sorted(left)

    def known(trace: str) -> bool:
        with contextlib.suppress(httpx.HTTPError):  # what cannot be shown counts as lost
            return client.get(f"/api/traces/{trace}").is_success
        return False

    with ThreadPoolExecutor(4) as pool:
        lost = tuple(one for one, there in zip(ids, pool.map(known, ids), strict=True) if not there)
    return Finding("traces of acknowledged requests", len(traces), lost, only_counted=True)


async def records(store: Any, collection: str, ids: Iterable[str], key: str) -> dict[str, str]:
    """The field `key` of these records, as the document store has them now."""
    found = {one: await store.get(collection, one) for one in ids}
    return {one: str(record[key]) for one, record in found.items() if record is not None}

"""Whether a variant does its job. What is not seen to do it is not timed."""

import json
from dataclasses import dataclass
from typing import Protocol

from prometheus_client.parser import text_string_to_metric_families

from scripts.bench.subject import SPAN_PATH, TEMPLATE, Place
from scripts.bench.variants import Variant

#: Requests of a check: enough for a share of one in ten to show, at five standard deviations.
REQUESTS = 1000
NO_TRACE = "0" * 32


class NotDone(Exception):
    """A variant does not do what it claims, so that its time would mean nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    status: int
    body: bytes


class Asker(Protocol):
    """What can be asked of a variant."""

    async def ask(self, path: str) -> Answer: ...
    def flush(self) -> None: ...
    def settle(self) -> None: ...


async def check(variant: Variant, asker: Asker, place: Place) -> int:
    """Sends requests and looks for what they should have left. Returns how many there were, for their spans to be
    counted by whoever receives them. Raises NotDone."""
    before = await _metrics(asker) if variant.metrics else {}
    for number in range(REQUESTS):
        answer = await asker.ask(f"/items/{number}")
        if answer.status != 200 or json.loads(answer.body) != {"item_id": number}:
            raise NotDone(f"{variant.title} answered {answer.status} {answer.body[:100]!r}")
    asker.flush()
    asker.settle()
    if variant.metrics:
        check_metrics(variant, before, await _metrics(asker))
    if variant.lines:
        check_lines(variant, place)
    if variant.sampled is not None:
        trace_id = json.loads((await asker.ask(SPAN_PATH)).body)["trace_id"]
        if trace_id == NO_TRACE:
            raise NotDone(f"{variant.title}: no span surrounds the request's handler")
        asker.flush()
    return REQUESTS


async def _metrics(asker: Asker) -> dict[tuple[str, str], float]:
    """Every counter and histogram count that names the route, by its kind and its own name and labels."""
    answer = await asker.ask("/metrics")
    if answer.status != 200:
        raise NotDone(f"/metrics answered {answer.status}")
    return {
        (family.type, f"{sample.name} {sorted(sample.labels.items())}"): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if TEMPLATE in sample.labels.values() and sample.name.endswith(("_total", "_count"))
    }


def check_metrics(variant: Variant, before: dict[tuple[str, str], float], after: dict[tuple[str, str], float]) -> None:
    """A counter and a histogram of the route have to count every request. Raises NotDone."""
    for kind in ("counter", "histogram"):
        grown = [value - before.get(key, 0) for key, value in after.items() if key[0] == kind]
        if REQUESTS not in grown:
            raise NotDone(f"{variant.title}: no {kind} of {TEMPLATE} grew by {REQUESTS}, but by {grown}")


def check_lines(variant: Variant, place: Place) -> None:
    """A JSON line a request, each with an id of its own. Raises NotDone."""
    if not place.log_file.exists():
        raise NotDone(f"{variant.title}: there are no lines")
    lines = [json.loads(line) for line in place.log_file.read_text().splitlines()]
    requests = [line for line in lines if line.get("status") == 200]
    ids = {line.get("request_id") for line in requests} - {None}
    # One more, or a few, for what the check itself asked.
    if not REQUESTS <= len(ids) <= REQUESTS + 5 or len(requests) != len(ids):
        raise NotDone(f"{variant.title}: {len(requests)} lines with {len(ids)} ids for {REQUESTS} requests")


def check_spans(variant: Variant, requests: int, names: list[str]) -> None:
    """A server span for each request that is sampled, named for the route, has to have arrived. Raises NotDone."""
    arrived = sum(TEMPLATE in name for name in names)
    share = variant.sampled or 0.0
    slack = 5 * (requests * share * (1 - share)) ** 0.5
    if abs(arrived - requests * share) > slack:
        raise NotDone(f"{variant.title}: {arrived} spans of {requests} requests, {requests * share:.0f} were due")

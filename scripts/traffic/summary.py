"""A run in words: the line while it runs, and what is left of it at the end."""

import math
from collections.abc import Sequence
from typing import get_args

from scripts.traffic.display import Display
from scripts.traffic.tally import Kind, Tally, quantile

HEADER = ("Requests", "Answers", "Sent", "p50", "p95")


def duration(seconds: float) -> str:
    """Readable at any size: `12 ms`, `1.2 s`, `-` for none."""
    if math.isnan(seconds):
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def share(part: int, whole: int) -> str:
    """In percent, `-` of nothing."""
    return f"{100 * part / whole:.0f} %" if whole else "-"


class Progress:
    """The progress line; its rate and latencies are those since the line before."""

    def __init__(self, tally: Tally, now: float) -> None:
        self._tally = tally
        self._start = now
        self._last = (now, tally.sent)

    def line(self, now: float, in_flight: int) -> str:
        """How it goes, and a new interval begins."""
        tally, (since, sent) = self._tally, self._last
        rate = (tally.sent - sent) / (now - since) if now > since else 0.0
        times = list(tally.recent)
        tally.recent.clear()
        self._last = (now, tally.sent)
        skipped = f", skipped {tally.skipped}" if tally.skipped else ""
        return (
            f"{now - self._start:.0f} s: {tally.sent} requests, {rate:.1f}/s, errors {tally.errors}{skipped},"
            f" under way {in_flight}, p50 {duration(quantile(times, 0.5))},"
            f" p95 {duration(quantile(times, 0.95))}"
        )


def rows(tally: Tally) -> list[tuple[str, ...]]:
    """One a kind of request, in a fixed order."""
    found: list[tuple[str, ...]] = []
    for kind in get_args(Kind):
        labels = tally.labels.get(kind)
        if labels:
            answers = ", ".join(f"{label}: {count}" for label, count in sorted(labels.items()))
            times = tally.times[kind]
            figures = (duration(quantile(times, 0.5)), duration(quantile(times, 0.95)))
            found.append((kind, answers, str(sum(labels.values())), *figures))
    return found


def _counts(items: Sequence[tuple[object, int]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in items) or "none"


def sentences(tally: Tally) -> list[str]:
    """What the table does not say."""
    answers = sum(tally.answers.values())
    right, among, wrong = (tally.answers[judgement] for judgement in ("right", "among", "wrong"))
    scores = sum(tally.scores.values())
    mean = sum(score * count for score, count in tally.scores.items()) / scores if scores else math.nan
    uploads = sum(tally.uploads.values())
    pending = uploads - tally.indexed - tally.indexing_failed
    lines = [
        f"Right source first: {share(right, answers)} of {answers} answers"
        f" (among the sources: {share(among, answers)}, wrong: {share(wrong, answers)})",
        f"First token of a stream: p50 {duration(quantile(tally.first_tokens, 0.5))},"
        f" p95 {duration(quantile(tally.first_tokens, 0.95))}",
        f"Sessions: {tally.sessions_opened} opened, {tally.sessions_closed} closed,"
        f" {tally.sessions_opened - tally.sessions_closed} left open",
        f"Feedback: {_counts(sorted(tally.scores.items()))}" + (f" (mean {mean:.1f} of 5)" if scores else " given"),
        f"Uploads: {uploads} accepted ({_counts(sorted(tally.uploads.items()))}); {tally.indexed} indexed,"
        f" {tally.indexing_failed} failed, {pending} not seen to the end",
        f"Streams abandoned on purpose: {tally.abandoned}",
        f"Told to wait (429 or 503 with Retry-After): {tally.told_to_wait}",
    ]
    if tally.skipped:
        lines.append(
            f"Skipped: {tally.skipped} requests ({tally.skipped_busy} because too many were under way,"
            f" {tally.skipped_late} because this machine was late); lower the rate to skip none"
        )
    lines.append(f"Errors: {tally.errors} of {tally.sent} requests ({share(tally.errors, tally.sent)})")
    return lines


def show(tally: Tally, display: Display) -> None:
    """The whole summary, with the last failures and how to look closer."""
    display.table(HEADER, rows(tally))
    for line in sentences(tally):
        display.say(line)
    if tally.failures:
        display.say("The last failures (look closer: make find ID=...):")
    for failure in tally.failures:
        display.say(f"  ID={failure.request_id}  {failure.kind}: {failure.problem}")

"""Counts and quantiles, in bounded memory."""

import math

import pytest

from scripts.traffic.tally import FAILURES_KEPT, TIMES_KEPT, Outcome, Tally, quantile


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.95, 95), (1.0, 100)])
def test_quantiles_are_values_that_occurred(share: float, expected: int) -> None:
    assert quantile(range(100, 0, -1), share) == expected


def test_of_nothing_there_is_no_quantile() -> None:
    assert math.isnan(quantile([], 0.5))


def test_an_outcome_with_a_problem_is_an_error_and_the_last_ones_are_kept() -> None:
    tally = Tally()
    tally.add(Outcome("question", "200", 0.1, "id-0"))
    for number in range(1, FAILURES_KEPT + 3):
        tally.add(Outcome("question", str(500 + number), 0.1, f"id-{number}", "the model is down"))
    assert (tally.sent, tally.errors) == (FAILURES_KEPT + 3, FAILURES_KEPT + 2)
    assert [failure.request_id for failure in tally.failures] == [f"id-{number}" for number in range(3, 8)]


def test_of_failures_alike_only_the_last_is_kept() -> None:
    tally = Tally()
    for number, status in enumerate(("503", "500", "503", "503")):
        tally.add(Outcome("question", status, 0.1, f"id-{number}", "broken"))
    assert [failure.request_id for failure in tally.failures] == ["id-1", "id-3"]


def test_memory_is_bounded() -> None:
    tally = Tally()
    for _ in range(TIMES_KEPT + 100):
        tally.add(Outcome("question", "200", 0.1, "id"))
    assert len(tally.times["question"]) == TIMES_KEPT
    assert len(tally.recent) == TIMES_KEPT
    assert tally.labels["question"]["200"] == TIMES_KEPT + 100

"""What alert-inbox is asked for."""

from typing import Any

import pytest

from scripts.drill import watch
from scripts.drill.stacks import InUse


def told(fingerprint: str, status: str, first: float, last: float) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint, "startsAt": "1", "status": status, "received_at": first, "last_received_at": last,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        ([], None),
        ([told("a", "firing", 1, 1)], (1, True)),
        ([told("a", "resolved", 5, 5), told("a", "firing", 1, 3)], (5, False)),
        # Of the same name, told in the same messages: one that is over does not speak for the other.
        ([told("b", "resolved", 5, 5), told("a", "firing", 1, 5), told("b", "firing", 1, 1)], (5, True)),
    ],
)
def test_an_end_that_is_yet_to_be_told_is_known(
    alerts: list[dict[str, Any]], expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_get", lambda *_, **__: alerts)
    assert watch.last_told(InUse(), "FailureAftermath") == expected

"""A shorter bad day: every kind of fault once, through two real Alertmanagers, told at most once a cause."""

import random
import re
import subprocess
from pathlib import Path

import pytest

from monitoring.rules import Rule
from scripts.bad_day.__main__ import named as named_by_pages
from scripts.bad_day.faults import DAY, KINDS, MINUTE, Fault, Follower, Kind, day, is_urgent, rules, seconds, spans
from scripts.bad_day.simulate import Told, configuration, routes, run
from tests.e2e.alerting import alertmanager_program, start_folder

pytestmark = pytest.mark.timeout(240)
#: So many times its speed: a minute is 0.3 s.
FACTOR = 200


def one_each() -> list[Fault]:
    """Every kind of fault, 10 minutes long, one after the other, with time to be forgotten."""
    return [Fault(kind, n * 22 * MINUTE, (n * 22 + 10) * MINUTE) for n, kind in enumerate(KINDS)]


def named(spans_: list[tuple[str, float, float]]) -> dict[str, tuple[float, float]]:
    return {name: (start, end) for name, start, end in spans_}


def test_every_alert_that_a_fault_sets_off_is_a_rule() -> None:
    found = {dict(span.labels)["alertname"] for span in spans(one_each(), rules())}
    assert {"AIServiceDown", "HighErrorRate", "ServiceSilent", "FailureAftermath", "BudgetAftermath"} <= found
    with pytest.raises(ValueError, match="no rule is called Gone"):
        spans([Fault(Kind("a rule that left", (Follower("Gone"),)), 0, 100)], rules())


def test_alerts_begin_after_their_hold_and_end_after_their_keep() -> None:
    known = [
        Rule("f", "g", "A", "up", hold="1m", keep="2m", labels={"severity": "critical", "service": "backend"}),
        Rule("f", "g", "U", 'ALERTS{severity="critical"}', hold="15m", labels={"severity": "escalation"}),
    ]
    short, long_ = (Fault(Kind("x", (Follower("A", 5, 7),)), 0, end) for end in (40.0, 1200.0))
    assert spans([short], known) == [], "over before it has held long enough"
    assert named([(dict(s.labels)["alertname"], s.start, s.end) for s in spans([long_], known)]) == {
        "A": (65, 1327),
        "U": (965, 1327),
    }
    overlapping = [long_, Fault(long_.kind, 600, 1800)]
    assert len([s for s in spans(overlapping, known) if dict(s.labels)["alertname"] == "A"]) == 1, "one alert"
    assert seconds("1h30m") == 5400
    assert seconds("") == 0


def test_a_day_has_every_kind_in_turn_and_is_the_same_for_the_same_seed() -> None:
    faults = day(40, random.Random(1))
    assert faults == day(40, random.Random(1))
    assert {fault.kind.what for fault in faults} == {kind.what for kind in KINDS}
    assert all(0 <= fault.start < DAY for fault in faults)
    assert all(3 * MINUTE <= fault.end - fault.start <= 40 * MINUTE for fault in faults)


def test_the_plain_routing_gathers_and_holds_back_nothing() -> None:
    plain = configuration(True, "http://127.0.0.1:1/", FACTOR)
    assert "inhibit_rules" not in plain
    assert {tuple(route["group_by"]) for route in routes(plain["route"])} == {("...",)}
    assert "inhibit_rules" in configuration(False, "http://127.0.0.1:1/", FACTOR)


def test_a_fault_counts_as_named_when_its_own_alert_was_paged_in_its_time() -> None:
    first, second = one_each()[:2]
    pages = [("page", "firing", frozenset({"AIServiceDown"}), first.start + 90)]
    assert named_by_pages(Told(0, FACTOR, pages), [first, second]) == 1
    assert named_by_pages(Told(0, FACTOR, [("chat", *pages[0][1:])]), [first]) == 0, "only pages count"


def test_a_cause_is_one_page(tmp_path: Path) -> None:
    faults, known = one_each(), rules()
    urgent = [fault for fault in faults if is_urgent(fault.kind, known)]
    program = Path(alertmanager_program())
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if re.search(r"version 0\.(1\d|2[0-5])\.", told.stdout + told.stderr):
        pytest.skip(
            "Alertmanager before 0.26 tells HighErrorRateAbsolute without waiting for HighErrorRate: one page more"
        )
    configured, plain = run(spans(faults, known), FACTOR, program, start_folder(program), tmp_path)
    assert configured.count("page") == len(urgent) == 7
    paged = {name for to, state, names, _ in configured.messages if (to, state) == ("page", "firing") for name in names}
    assert paged == {fault.kind.followers[0].name for fault in urgent}, "each by the alert that is about it"
    assert plain.count("page") >= 2 * len(urgent)
    assert configured.count("chat") < plain.count("chat")

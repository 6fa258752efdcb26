"""The book finds what was lost and what is there twice, and nothing where all is there."""

import json
from collections import Counter
from pathlib import Path

from scripts.chaos.__main__ import as_json
from scripts.chaos.alerts import Owed
from scripts.chaos.book import compare_lines, compare_records, in_files
from scripts.chaos.run import Event, Result

LINES = Counter({"one": 1, "two": 1, "three": 1})
ALERT = {"alertname": "LokiDown", "service": "loki"}


def delivery(at: float, status: str = "firing") -> dict[str, object]:
    return {"labels": ALERT, "status": status, "received_at": at, "last_received_at": at}


def test_records_that_are_all_there_hold() -> None:
    finding = compare_records("feedback", {"a": "5", "b": "1"}, {"a": "5", "b": "1", "of somebody else": "2"})
    assert (finding.owed, finding.lost, finding.holds) == (2, (), True)


def test_a_record_that_is_gone_and_one_that_is_another_are_lost() -> None:
    finding = compare_records("feedback", {"a": "5", "b": "1", "c": "3"}, {"a": "4", "c": "3"})
    assert finding.lost == ("a: '4' instead of '5'", "b: 'not there' instead of '1'")
    assert not finding.holds


def test_lines_that_are_there_once_each_hold() -> None:
    assert compare_lines(LINES, LINES, 3).holds


def test_a_planted_loss_is_found() -> None:
    finding = compare_lines(LINES, LINES - Counter(["two"]), 2)
    assert (finding.lost, finding.doubled, finding.holds) == (("two",), 0, False)


def test_a_planted_double_is_found_in_lines_and_in_counts() -> None:
    assert compare_lines(LINES, LINES + Counter(["two"]), 3).doubled == 1
    assert compare_lines(LINES, LINES, 4).doubled == 1
    assert not compare_lines(LINES, LINES, 4).holds


def test_a_half_line_reached_nobody(tmp_path: Path) -> None:
    (tmp_path / "application.1.log").write_text('{"n": 1}\n{"n": 2}\n{"n"')
    (tmp_path / "application.log").symlink_to("application.1.log")
    assert in_files(tmp_path) == Counter({'{"n": 1}': 1, '{"n": 2}': 1})


def owed_since(start: float, end: float) -> Owed:
    owed = Owed(lambda _: 10.0)
    for now in range(int(start), int(end)):
        owed.look(now, [ALERT], set())
    return owed


def test_an_alert_that_fired_long_enough_and_was_told_holds() -> None:
    assert owed_since(100, 120).compare([delivery(104)]).holds


def test_an_alert_that_fired_long_enough_and_was_not_told_is_lost() -> None:
    finding = owed_since(100, 120).compare([])
    assert finding.lost == ("alertname=LokiDown, service=loki",)


def test_an_alert_that_was_told_to_be_over_before_is_owed_anew() -> None:
    assert owed_since(100, 120).compare([delivery(50), delivery(60, "resolved")]).lost
    assert owed_since(100, 120).compare([delivery(60)]).holds, "nobody was told that it is over"


def test_an_alert_that_fires_twice_is_owed_twice() -> None:
    owed = owed_since(100, 120)
    owed.look(130, [], set())
    for now in range(200, 221):
        owed.look(now, [ALERT], set())
    assert owed.compare([delivery(104), delivery(125, "resolved"), delivery(204)]).holds
    finding = owed.compare([delivery(104), delivery(125, "resolved")])
    assert (finding.owed, len(finding.lost)) == (2, 1)


def test_an_alert_that_ended_before_it_could_be_told_is_not_owed() -> None:
    assert owed_since(100, 108).compare([]).owed == 0


def test_an_alert_that_is_held_back_on_purpose_is_not_owed() -> None:
    owed = Owed(lambda _: 10.0)
    for now in range(100, 120):
        owed.look(now, [ALERT], {frozenset(ALERT.items())})
    assert owed.compare([]).owed == 0


def test_the_watchdog_is_no_news() -> None:
    owed = Owed(lambda _: 10.0)
    for now in range(100, 120):
        owed.look(now, [{"alertname": "Watchdog"}], set())
    assert owed.compare([]).owed == 0


def test_a_result_is_written_with_counts_and_fails_where_something_is_lost_or_never_came_back() -> None:
    lost, back = compare_records("feedback", {"a": "5"}, {}), Event("kill -9", "loki", 1.0, 2.0)
    result = Result(1, 10, [back], [lost], Counter({"200": 3}))
    written = json.loads(json.dumps(as_json(result)))
    assert (written["findings"][0]["lost"], written["answers"], written["holds"]) == (1, {"200": 3}, False)
    kept = compare_records("feedback", {"a": "5"}, {"a": "5"})
    assert Result(1, 10, [back], [kept]).holds
    assert not Result(1, 10, [Event("freeze", "loki", 1.0, None)], [kept]).holds


def test_a_run_in_which_nothing_was_struck_or_nothing_was_owed_shows_nothing() -> None:
    kept, back = compare_records("feedback", {"a": "5"}, {"a": "5"}), Event("kill -9", "loki", 1.0, 2.0)
    assert not Result(1, 10, [], [kept]).holds
    assert not Result(1, 10, [back], []).holds
    assert not Result(1, 10, [back], [kept, compare_records("uploads", {}, {})]).holds

"""What users are going to do."""

from collections import Counter

import pytest

from scripts.traffic.plan import score, verdict, visit
from scripts.traffic.questions import Question

QUESTIONS = [Question(f"{number}?", f"{number % 5}.md") for number in range(20)]
VISITS = [visit(1, number, QUESTIONS) for number in range(2000)]
TURNS = [turn for one in VISITS for turn in one.turns]


def share(of: list[bool]) -> float:
    return sum(of) / len(of)


def test_the_same_seed_gives_the_same_users() -> None:
    assert visit(1, 5, QUESTIONS) == visit(1, 5, QUESTIONS)
    assert visit(1, 5, QUESTIONS) != visit(2, 5, QUESTIONS)
    assert visit(1, 5, QUESTIONS) != visit(1, 6, QUESTIONS)


def test_sessions_have_one_to_six_turns_and_no_question_twice() -> None:
    assert {len(one.turns) for one in VISITS} == {1, 2, 3, 4, 5, 6}
    assert all(len({turn.question for turn in one.turns}) == len(one.turns) for one in VISITS)


def test_nobody_asks_more_questions_than_there_are() -> None:
    assert all(len(visit(1, number, QUESTIONS[:1]).turns) == 1 for number in range(50))


def test_shares_are_as_described() -> None:
    assert share([turn.streamed for turn in TURNS]) == pytest.approx(1 / 3, abs=0.03)
    assert share([turn.leave_after is not None for turn in TURNS]) == pytest.approx(0.03, abs=0.01)
    assert share([turn.rates for turn in TURNS]) == pytest.approx(0.4, abs=0.03)
    assert share([one.closes for one in VISITS]) == pytest.approx(0.85, abs=0.03)


def test_only_streams_are_abandoned() -> None:
    assert all(turn.streamed for turn in TURNS if turn.leave_after is not None)


def test_users_come_back() -> None:
    users = Counter(one.user for one in VISITS)
    assert len(users) == 100
    assert min(users.values()) > 1


def test_what_a_browser_reports_is_within_the_limits_of_the_contract() -> None:
    reports: list[dict[str, float]] = [one.experience for one in VISITS if one.experience]
    assert len(reports) > 300
    assert all(0 <= value <= 100 for report in reports for value in report.values())
    assert set(reports[0]) == {
        "largest_contentful_paint",
        "interaction_to_next_paint",
        "cumulative_layout_shift",
    }
    kinds = {one.script_error for one in VISITS}
    assert kinds == {None, "script", "unhandled_rejection", "resource"}


@pytest.mark.parametrize(
    ("sources", "expected"),
    [(["a", "b"], "right"), (["b", "a"], "among"), (["b"], "wrong"), ([], "wrong")],
)
def test_the_verdict_follows_from_where_the_right_source_stands(sources: list[str], expected: str) -> None:
    assert verdict(sources, "a") == expected


def test_the_score_follows_from_the_verdict() -> None:
    assert [score("right", generous) for generous in (False, True)] == [4, 5]
    assert [score("among", generous) for generous in (False, True)] == [3, 3]
    assert [score("wrong", generous) for generous in (False, True)] == [1, 2]

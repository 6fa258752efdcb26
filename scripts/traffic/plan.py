"""What a user is going to do, thrown with dice before anything is sent: same seed, same users."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.traffic.questions import Question

#: Different people, each of whom comes back now and then.
POPULATION = 100
TURNS = range(1, 7)
#: Few ask once, few ask six times.
TURN_WEIGHTS = (4, 6, 5, 3, 2, 1)
STREAMED_SHARE = 1 / 3
#: Of the streamed, so that 3 % of all messages are left midway.
ABANDONED_SHARE = 0.09
RATING_SHARE = 0.4
EXPERIENCE_SHARE = 0.25
CLOSED_SHARE = 0.85
#: The next question is about the document of the one before, in this share of turns.
SAME_TOPIC_SHARE = 0.5
COMMENTS = ("", "", "", "Just what I was looking for.", "Not quite.", "Found it in the first source.")
SCRIPT_ERRORS = ("script", "unhandled_rejection", "resource")


@dataclass(frozen=True, slots=True)
class Turn:
    """One question. `leave_after` events its stream is left; `generous` picks the better of two scores."""

    question: Question
    streamed: bool
    leave_after: int | None
    rates: bool
    generous: bool
    comment: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One user's session. `experience` is what the browser reports, without the first token's time."""

    user: str
    turns: tuple[Turn, ...]
    experience: dict[str, float] | None
    script_error: str | None
    closes: bool


def visit(seed: int, number: int, questions: Sequence[Question]) -> Visit:
    """The plan of the run's visit of this number. `questions` must not be empty."""
    dice = random.Random(f"{seed}:visit:{number}")  # noqa: S311 - traffic, no secret
    count = dice.choices(TURNS, TURN_WEIGHTS)[0]
    return Visit(
        user=f"reader-{dice.randrange(POPULATION):03}",
        turns=tuple(_turn(dice, question) for question in _topics(dice, count, questions)),
        experience=_experience(dice) if dice.random() < EXPERIENCE_SHARE else None,
        script_error=dice.choice(SCRIPT_ERRORS) if dice.random() < 0.05 else None,
        closes=dice.random() < CLOSED_SHARE,
    )


def _topics(dice: random.Random, count: int, questions: Sequence[Question]) -> list[Question]:
    chosen = [dice.choice(questions)]
    while len(chosen) < count:
        pool = [question for question in questions if question not in chosen]
        if not pool:
            break
        same = [question for question in pool if question.source == chosen[-1].source]
        chosen.append(dice.choice(same if same and dice.random() < SAME_TOPIC_SHARE else pool))
    return chosen


def _turn(dice: random.Random, question: Question) -> Turn:
    streamed = dice.random() < STREAMED_SHARE
    leaves = dice.random() < ABANDONED_SHARE
    after = dice.randrange(4)
    return Turn(
        question=question,
        streamed=streamed,
        leave_after=after if streamed and leaves else None,
        rates=dice.random() < RATING_SHARE,
        generous=dice.random() < 0.5,
        comment=dice.choice(COMMENTS),
    )


def _experience(dice: random.Random) -> dict[str, float]:
    """Seconds (the shift has no unit), around what web.dev calls good for its web vitals, with a tail."""
    return {
        "largest_contentful_paint": round(min(dice.lognormvariate(0.2, 0.5), 60.0), 3),
        "interaction_to_next_paint": round(min(dice.lognormvariate(-2.6, 0.7), 10.0), 3),
        "cumulative_layout_shift": round(min(dice.expovariate(25), 5.0), 4),
    }


def verdict(sources: Sequence[str], wanted: str) -> str:
    """How good an answer's sources are: `right` when the wanted one is first, `among` them, or `wrong`."""
    if sources and sources[0] == wanted:
        return "right"
    return "among" if wanted in sources else "wrong"


def score(judgement: str, generous: bool) -> int:
    """1 to 5, as a user gives it who looks at the sources: right 4 or 5, among them 3, wrong 1 or 2."""
    return {"right": 4 + generous, "among": 3, "wrong": 1 + generous}[judgement]

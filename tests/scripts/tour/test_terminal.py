"""The tour in a terminal: what each key does, and how it ends."""

import io

import pytest
from rich.console import Console

from scripts.tour import __main__ as tour
from scripts.tour.place import NotYet, Place
from scripts.tour.steps import Step

RIGHT = "backend/app/right.py"


class Terminal:
    """Walks two steps of which the second asks for RIGHT, with what a person types."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.output, self.typed = io.StringIO(), list[str]()
        self.done: list[str] = []
        self.seconds = 0.0
        monkeypatch.setattr("scripts.tour.place.POLL_SECONDS", 0.01)
        monkeypatch.setattr(Console, "input", self._input)
        monkeypatch.setattr(tour, "STEPS", (Step("mend", self._do, self._never_mind), self._asking()))

    def __call__(self, *typed: str, auto: bool = False, first: int = 1) -> int:
        self.typed = list(typed)
        return tour.Tour("en", auto, Console(file=self.output, width=200)).walk(first)

    @property
    def said(self) -> str:
        return self.output.getvalue()

    def _asking(self) -> Step:
        return Step("code", self._do, self._is_right, seconds=0.05, asks=True)

    def _input(self, prompt: str) -> str:
        self.output.write(prompt + "\n")
        if not self.typed:
            raise EOFError
        return self.typed.pop(0)

    def _do(self, _: Place) -> str:
        self.done.append("done")
        return RIGHT

    def _never_mind(self, _: Place, __: str) -> dict[str, str]:
        return {"seconds": "7"}

    def _is_right(self, _: Place, answer: str) -> dict[str, str]:
        if answer != RIGHT:
            raise NotYet(f"{answer or 'nothing'} is not it")
        return {"file": RIGHT, "line": "Counter(…)", "value": "3"}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(monkeypatch)


def test_a_step_is_done_when_it_happened_and_the_tour_ends_after_the_last(terminal: Terminal) -> None:
    assert terminal("", RIGHT) == 0
    assert (terminal.said.count("✓"), terminal.done) == (2, [])
    assert "That was the tour" in terminal.said


def test_a_wrong_answer_is_told_with_a_hint_and_asked_again(terminal: Terminal) -> None:
    assert terminal("wrong", RIGHT, first=2) == 0
    assert "Not yet: wrong is not it" in terminal.said
    assert "Hint: " in terminal.said
    assert terminal.said.count("✓") == 1


def test_it_does_a_step_for_whoever_asks(terminal: Terminal) -> None:
    assert terminal("d", "d") == 0
    assert (terminal.said.count("✓"), len(terminal.done)) == (2, 2)


def test_a_step_is_shown_again_or_left_out(terminal: Terminal) -> None:
    assert terminal("r", "s", RIGHT) == 0
    assert terminal.said.count(" 1/2 ") == 2
    assert (terminal.said.count("✓"), terminal.said.count("skipped")) == (1, 1)


@pytest.mark.parametrize("typed", [("", "q"), ("",)])  # the second: the terminal is closed
def test_whoever_leaves_is_told_how_to_go_on(terminal: Terminal, typed: tuple[str, ...]) -> None:
    assert terminal(*typed) == 0
    assert "You left at step 2. `make tour STEP=2` goes on there." in terminal.said


def test_unattended_it_does_every_step_and_ends_at_the_first_that_does_not_happen(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert terminal(auto=True) == 0
    assert len(terminal.done) == 2
    monkeypatch.setattr(tour, "STEPS", (Step("code", lambda _: "elsewhere", terminal._is_right, seconds=0.05),))
    assert terminal(auto=True) == 1
    assert "Step 1 did not happen: elsewhere is not it" in terminal.said


@pytest.mark.parametrize("wrong", [{"IN": "fr"}, {"STEP": "0"}, {"STEP": "9"}, {"STEP": "two"}])
def test_nonsense_is_refused_with_what_there_is(
    wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    assert tour.main() == 2
    assert capsys.readouterr().err == "tour: IN is one of en, it, STEP a number from 1 to 8\n"

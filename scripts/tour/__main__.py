"""`make tour`: IN=it speaks Italian, STEP=4 begins there, PAGE=1 shows it as a page, AUTO=1 runs it unattended.

Exit status 1 when a step did not happen unattended, 2 when nonsense was asked.
"""

import os
import sys

from rich.console import Console
from rich.markdown import Markdown
from rich.panel import Panel

from scripts.addresses import told
from scripts.tour import page
from scripts.tour.place import NotYet, Place, wait
from scripts.tour.steps import STEPS, Facts, Step
from scripts.tour.texts import LANGUAGES, Text, text, word


class Left(Exception):
    """Raised when the person leaves."""


class Tour:
    """A walk through the steps in a terminal."""

    def __init__(self, language: str, auto: bool, console: Console) -> None:
        self._language, self._auto, self._console = language, auto, console
        self._place = Place()

    def walk(self, first: int) -> int:
        """From a step on; the exit status."""
        self._say(self._word("intro") + "\n\n" + self._word("keys"), self._word("title"))
        for number, step in enumerate(STEPS[first - 1 :], first):
            try:
                step.begin(self._place)
                self._take(number, step)
            except NotYet as reason:
                self._console.print(self._word("failed", step=number, reason=reason), style="bold red", markup=False)
                return 1
            except (Left, KeyboardInterrupt, EOFError):
                self._console.print("\n" + self._word("left", step=number), markup=False)
                return 0
        self._say(self._word("end"))
        return 0

    def _word(self, name: str, **values: object) -> str:
        return word(self._language, name, **values)

    def _say(self, markdown: str, title: str = "") -> None:
        self._console.print(Panel(Markdown(markdown), title=title or None))

    def _take(self, number: int, step: Step) -> None:
        told = text(self._language, step.name)
        self._show(number, told)
        if self._auto:
            self._done(told, self._wait(step, step.do(self._place)))
            return
        while True:
            answer = self._console.input(self._word("answer" if step.asks else "ready")).strip()
            if answer in ("q", "s"):
                if answer == "q":
                    raise Left
                self._console.print(self._word("skipped"), markup=False)
                return
            if answer == "r":
                self._show(number, told)
                continue
            try:
                given = step.answer(self._place, answer, do=answer == "d")
                self._done(told, self._wait(step, given))
                return
            except NotYet as reason:
                self._console.print(self._word("not_yet", reason=reason), style="yellow", markup=False)
                self._say(self._word("hint", hint=told.hint.format(**self._place.notes)))

    def _show(self, number: int, told: Text) -> None:
        values = self._place.notes
        self._say(f"{told.story}\n\n{told.task}".format(**values), f"{number}/{len(STEPS)} {told.title}")

    def _wait(self, step: Step, answer: str) -> Facts:
        with self._console.status(self._word("waiting")) as status:
            return wait(lambda: step.check(self._place, answer), step.seconds, status.update)

    def _done(self, told: Text, facts: Facts) -> None:
        self._console.print(f"✓ {told.done.format(**facts)}", style="green", markup=False)


def main() -> int:
    """Runs the tour that the environment asks for."""
    language, first = os.environ.get("IN", "en"), os.environ.get("STEP", "1")
    if language not in LANGUAGES or not first.isdecimal() or not 1 <= int(first) <= len(STEPS):
        print(f"tour: IN is one of {', '.join(LANGUAGES)}, STEP a number from 1 to {len(STEPS)}", file=sys.stderr)
        return 2
    if os.environ.get("PAGE") == "1":
        return page.serve(language)
    return Tour(language, os.environ.get("AUTO") == "1", Console(highlight=False)).walk(int(first))


if __name__ == "__main__":
    sys.exit(told(main))

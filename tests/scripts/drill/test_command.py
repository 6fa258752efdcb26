"""`make drill`: which drills run beside each other, what one that goes wrong costs, and what is told at the end."""

import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from scripts.drill import __main__ as command
from scripts.drill.drills import DRILLS, WITHOUT, Drill
from scripts.drill.faults import Fault
from scripts.drill.run import Result
from scripts.local.apart import NotHere


def fault(uses: str) -> Fault:
    return Fault(f"{uses} broken", lambda _: contextlib.nullcontext(), uses=frozenset({uses}))


LOKI, BACKEND = fault("loki"), fault("backend")
TWO_OF_ONE = [Drill("LokiDown", LOKI), Drill("LogsSilent", LOKI)]
STACK: Any = None


def passed(drill: Drill) -> Result:
    return Result(drill.alert, drill.fault.words, fired=1.0, delivered=2.0, resolved=3.0, floor=2.0)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def runs(monkeypatch: pytest.MonkeyPatch, run: Callable[..., list[Result]]) -> None:
    monkeypatch.setattr(command, "run", run)


def test_drills_of_one_fault_run_at_once_and_results_keep_the_order_of_the_drills(
    monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    groups: list[list[str]] = []

    def run(_: object, group: Sequence[Drill], say: Callable[[str], None]) -> list[Result]:
        groups.append([one.alert for one in group])
        say(f"{group[0].alert} is awaited")
        say(f"{group[0].alert} is awaited")
        return [passed(one) for one in reversed(group)]

    runs(monkeypatch, run)
    results = command.follow_all(STACK, TWO_OF_ONE, console)
    assert groups == [["LokiDown", "LogsSilent"]]
    assert [one.alert for one in results] == ["LokiDown", "LogsSilent"]
    assert said(console).count("LokiDown is awaited") == 1, "what is awaited is told once"


def test_drills_that_do_not_disturb_each_other_run_at_the_same_time_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    both, at_once = threading.Barrier(2), list[str]()

    def run(_: object, group: Sequence[Drill], __: object) -> list[Result]:
        if group[0].alert != "LokiSlow":
            both.wait(5)  # one after the other, it would break
        at_once.append(group[0].alert)
        return [passed(one) for one in group]

    runs(monkeypatch, run)
    drills = [Drill("LokiDown", LOKI), Drill("LokiSlow", fault("loki")), Drill("BackendDown", BACKEND)]
    results = command.follow_all(STACK, drills, console)
    assert not any(one.problem for one in results)
    assert at_once[-1] == "LokiSlow", "it uses what the first uses, and waits for its end"


def test_one_that_goes_wrong_as_nobody_foresaw_does_not_cost_the_others(
    monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    def run(_: object, group: Sequence[Drill], __: object) -> list[Result]:
        if group[0].alert == "LokiDown":
            raise ZeroDivisionError("by zero")
        return [passed(one) for one in group]

    runs(monkeypatch, run)
    results = command.follow_all(STACK, [*TWO_OF_ONE, Drill("BackendDown", BACKEND)], console)
    assert [one.problem for one in results] == ["ZeroDivisionError: by zero"] * 2 + [""]


def test_an_interrupt_ends_what_runs_and_its_fault_is_made_good(
    monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    begun, good = threading.Event(), threading.Event()

    def run(_: object, __: object, say: Callable[[str], None]) -> list[Result]:
        begun.set()
        try:
            for number in range(10_000):
                threading.Event().wait(0.01)
                say(str(number))
        finally:
            good.set()
        raise AssertionError("nobody told it to end")

    def interrupted(*_: object, **__: object) -> None:
        begun.wait(5)
        raise KeyboardInterrupt

    runs(monkeypatch, run)
    monkeypatch.setattr(command, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command.follow_all(STACK, [Drill("BackendDown", BACKEND)], console)
    assert good.is_set()


class Command:
    """`make drill` on a stack that is not started, with the results that a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.results: Callable[[Drill], Result] = passed
        self.ran: list[str] = []
        self._environment, self._said = monkeypatch.setenv, capsys
        self.file = folder / "bench" / "drills.json"
        for name in ("ALL", "ALERT", "FACTOR", "RESULTS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(command, "RESULTS", self.file)
        monkeypatch.setattr(command, "InUse", lambda: "in use")
        monkeypatch.setattr(command, "own", lambda _, factor: contextlib.nullcontext(f"own, {factor:g}"))
        monkeypatch.setattr(command, "follow_all", self._follow)

    def _follow(self, stack: str, drills: list[Drill], _: Console) -> list[Result]:
        self.ran = [stack, *(one.alert for one in drills)]
        return [self.results(one) for one in drills]

    def __call__(self, **environment: str) -> tuple[int, str]:
        for name, value in environment.items():
            self._environment(name, value)
        return command.main(), self._said.readouterr().out


@pytest.fixture
def drill(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    return Command(monkeypatch, capsys, tmp_path)


def test_one_alert_is_drilled_on_the_stack_in_use(drill: Command) -> None:
    code, told = drill(ALERT="AIServiceDown")
    assert (code, drill.ran) == (0, ["in use", "AIServiceDown"])
    assert "1 passed, 0 failed, 0 not run" in told


def test_all_are_drilled_on_a_stack_of_their_own_and_those_without_a_drill_are_no_success(drill: Command) -> None:
    code, told = drill(ALL="1", FACTOR="30", RESULTS="1")
    assert (code, drill.ran) == (0, ["own, 30", *(one.alert for one in DRILLS)])
    assert f"{len(DRILLS)} passed, 0 failed, {len(WITHOUT)} not run" in told
    kept = json.loads(drill.file.read_text())
    assert (kept["factor"], kept["drills"][0]["ratio"]) == (30, 1.0)
    assert sum(bool(one["not_run"]) for one in kept["drills"]) == len(WITHOUT)


def test_one_that_failed_is_told_with_its_problem(drill: Command) -> None:
    drill.results = lambda one: Result(one.alert, "AI down", problem="it was not delivered")
    code, told = drill(ALERT="AIServiceDown")
    assert code == 1
    assert "FAILED: it was" in told
    assert "0 passed, 1 failed, 0 not run" in told


def test_without_the_programs_there_is_no_run(drill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def own(*_: object) -> Iterator[None]:
        raise NotHere("prometheus: no such program")
        yield

    monkeypatch.setattr(command, "own", own)
    assert drill(ALL="1") == (2, "prometheus: no such program\n")


def test_an_interrupt_is_told(drill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def follow(*_: object) -> list[Result]:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "follow_all", follow)
    assert drill(ALERT="AIServiceDown") == (130, "Interrupted: the faults are made good\n")

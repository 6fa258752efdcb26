"""`make chaos`: what it shows of a run, what it keeps, and when it is no success."""

import contextlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from scripts.chaos import __main__ as command
from scripts.chaos import load
from scripts.chaos.book import Finding, in_loki, traces_lost
from scripts.chaos.load import Phase
from scripts.chaos.run import Event, Result
from scripts.local.apart import NotHere

KILLED = [Event("kill -9", "loki", 2.0, 1.5), Event("kill -9", "loki", 4.0, 3.5)]
KEPT = [Finding("acknowledged uploads", 7), Finding("traces", 9, ("a",), only_counted=True)]


def result(**changed: object) -> Result:
    given = {
        "events": KILLED,
        "findings": KEPT,
        "answers": Counter({"200": 5, "503": 1}),
        "not_done": ["fill: no disk"],
    }
    return Result(7, 1.0, **given | changed)  # type: ignore[arg-type]


def shown(one: Result) -> str:
    console = Console(file=io.StringIO(), width=200)
    command.show(console, one)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_run_is_told_by_part_with_its_book_its_seed_and_what_was_not_done() -> None:
    told = shown(result())
    for words in ("2.0 to 4.0 s", "2.5 s", "3.5 s", "counted only", "holds", "seed 7", "not done: fill: no disk"):
        assert words in told
    assert "lost of traces" not in told, "nobody was promised these"


def test_what_was_lost_and_what_never_came_back_is_named() -> None:
    lost = Finding("acknowledged uploads", 7, tuple(f"job {number}" for number in range(9)))
    told = shown(result(events=[Event("freeze", "qdrant", 1.0, None)], findings=[lost]))
    assert told.count("lost of acknowledged uploads: job") == 5
    assert "NEVER" in told
    assert "LOST" in told


class Run:
    """`make chaos` with a stack that is not there and a result that a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.result, self.minutes, self.seeds = result(), list[float](), list[int]()
        for name in ("LOAD", "RESULTS", "MINUTES", "SEED"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(command, "RESULTS", folder)
        monkeypatch.setattr(command, "own", lambda _: contextlib.nullcontext())
        monkeypatch.setattr(command, "Chaos", self)

    def __call__(self, _: object, seed: int, __: object) -> "Run":
        self.seeds.append(seed)
        return self

    def run(self, minutes: float) -> Result:
        self.minutes.append(minutes)
        return self.result


@pytest.fixture
def chaos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    return Run(monkeypatch, tmp_path)


def test_a_run_where_everything_holds_is_a_success_and_kept(
    chaos: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"MINUTES": "2.5", "SEED": "7", "RESULTS": "1"}.items():
        monkeypatch.setenv(name, value)
    assert command.main() == 0
    assert (chaos.minutes, chaos.seeds) == ([2.5], [7])
    kept = json.loads((tmp_path / "chaos.json").read_text())
    assert [one["lost"] for one in kept["findings"]] == [0, 1]


@pytest.mark.parametrize(
    "changed",
    [
        {"findings": [Finding("acknowledged uploads", 7, ("one",))]},
        {"findings": [Finding("log lines", 7, doubled=1)]},
        {"findings": [Finding("acknowledged uploads", 0)]},
        {"findings": []},
        {"events": []},
        {"events": [Event("freeze", "loki", 1.0, None)]},
    ],
    ids=["lost", "doubled", "nothing owed", "nothing compared", "nothing struck", "not back"],
)
def test_a_run_that_shows_less_than_everything_is_no_success(chaos: Run, changed: dict[str, object]) -> None:
    chaos.result = result(**changed)
    assert command.main() == 1


def test_without_the_programs_there_is_no_run(
    chaos: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextlib.contextmanager
    def own(_: object) -> Iterator[None]:
        raise NotHere("loki: no such program")
        yield

    monkeypatch.setattr(command, "own", own)
    assert (command.main(), capsys.readouterr().out) == (2, "loki: no such program\n")


def test_traces_that_a_search_or_a_look_finds_are_not_lost() -> None:
    def tempo(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/search":
            return httpx.Response(200, json={"traces": [{"traceID": "a" * 31}]})  # without its leading zero
        return httpx.Response(200 if request.url.path.endswith("b" * 32) else 404)

    owed = {"0" + "a" * 31: 70.0, "b" * 32: 70.0, "c" * 32: 70.0}
    with httpx.Client(transport=httpx.MockTransport(tempo), base_url="http://tempo") as client:
        finding = traces_lost(client, owed)
    assert (finding.owed, finding.lost, finding.only_counted) == (3, ("c" * 32,), True)


def test_what_loki_has_is_read_page_by_page_and_what_it_has_twice_counts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.chaos.book._PAGE", 3)
    entries = [("1", "one"), ("2", "two"), ("3", "three"), ("3", "again"), ("4", "two")]

    def loki(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["start"])
        page = [[at, text] for at, text in entries if int(at) >= start][:3]
        return httpx.Response(200, json={"data": {"result": [{"stream": {"service": "a"}, "values": page}]}})

    with httpx.Client(transport=httpx.MockTransport(loki), base_url="http://loki") as client:
        found = in_loki(client, 0, 9, "{}")
    assert found == Counter({"one": 1, "two": 2, "three": 1, "again": 1})


def phase(times: int, answers: dict[str, int], **changed: float) -> Phase:
    given = {"p99": 0.1, "before": 80.0, "peak": 90.0, "after": 85.0, "without_retry_after": 0, "recovery": 0.5}
    return Phase(times, 100.0 * times, answers, **given | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("highest", "code"),
    [
        (phase(10, {"200": 50, "503": 950, "late": 3}), 0),
        (phase(10, {"200": 50, "ReadError": 1}), 1),
        (phase(10, {"503": 9}, without_retry_after=1), 1),
        (phase(10, {"200": 9}, recovery=60.0), 1),
        (phase(10, {"200": 9}, peak=180.0), 1),
    ],
    ids=["shed", "unanswered", "no Retry-After", "not over", "memory"],
)
def test_too_much_load_is_to_be_refused_with_words_and_to_leave_nothing_behind(
    highest: Phase, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def measure(*_: object) -> list[Phase]:
        return [phase(1, {"200": 100}), highest]

    monkeypatch.setattr(load, "measure", measure)
    monkeypatch.setattr(load, "BackendProcess", lambda _: contextlib.nullcontext())
    console = Console(file=io.StringIO(), width=200)
    assert load.main(console, tmp_path, tmp_path / "load.json") == code
    assert len(json.loads((tmp_path / "load.json").read_text())["phases"]) == 2


async def test_it_is_over_with_the_first_of_five_in_a_row_that_are_answered_as_before() -> None:
    answers = iter([True] * 4 + [False] + [True] * 5 + [False])

    class Sender:
        async def ask(self, _: int) -> bool:
            return next(answers)

    await load.recovery(Sender(), 0.1)  # type: ignore[arg-type]
    assert next(answers) is False, "the one that failed began the count anew, and none was asked beyond the fifth"

"""Progress on a terminal and elsewhere, and the summary in words."""

import io
import itertools
import sys

import pytest

from scripts.traffic.display import Live, Plain, display
from scripts.traffic.summary import HEADER, Progress, duration, rows, sentences, share, show
from scripts.traffic.tally import Outcome, Tally


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_progress_is_a_line_every_ten_seconds() -> None:
    stream, asked, seconds = io.StringIO(), itertools.count(1), 0
    plain = Plain(stream, lambda: float(seconds))
    for seconds in range(25):  # noqa: B007 - the clock reads it
        plain.progress(lambda: f"line {next(asked)}")
    plain.close()
    assert stream.getvalue().splitlines() == ["line 1", "line 2", "line 3"]


def test_a_plain_table_is_aligned() -> None:
    stream = io.StringIO()
    Plain(stream).table(("Requests", "Answers", "Sent"), [("question", "200: 12", "12")])
    assert stream.getvalue().splitlines() == ["Requests  Answers  Sent", "question  200: 12    12"]


def test_a_terminal_gets_a_live_line_and_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    live = display()
    assert isinstance(live, Live)
    live.progress(lambda: "half way [bold]")
    live.say("said [red]")
    live.table(HEADER, [("question", "200: 12", "12", "5 ms", "9 ms")])
    live.close()
    for words in ("half way [bold]", "said [red]", "Answers", "200: 12"):
        assert words in terminal.getvalue()


def test_without_rich_a_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert isinstance(display(), Plain)


def test_a_pipe_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert isinstance(display(), Plain)


def test_figures_are_readable_at_any_size() -> None:
    assert [duration(value) for value in (0.0123, 1.25, float("nan"))] == ["12 ms", "1.2 s", "-"]
    assert [share(1, 4), share(0, 0)] == ["25 %", "-"]


def test_the_progress_line_is_about_the_time_since_the_last_one() -> None:
    tally = Tally()
    progress = Progress(tally, now=100.0)
    for _ in range(20):
        tally.add(Outcome("question", "200", 0.010, "id"))
    assert progress.line(110.0, 2) == "10 s: 20 requests, 2.0/s, errors 0, under way 2, p50 10 ms, p95 10 ms"
    tally.add(Outcome("question", "503", 2.0, "id", "the model is down"))
    tally.skipped_busy = 4
    assert progress.line(120.0, 0) == (
        "20 s: 21 requests, 0.1/s, errors 1, skipped 4, under way 0, p50 2.0 s, p95 2.0 s"
    )
    assert progress.line(120.0, 0).startswith("20 s: 21 requests, 0.0/s")


def busy() -> Tally:
    tally = Tally(indexed=3, indexing_failed=1, sessions_opened=5, sessions_closed=4, abandoned=2)
    tally.add(Outcome("question", "200", 0.010, "id-1"))
    tally.add(Outcome("question", "503", 0.020, "id-2", "503 in place of 200: the model is down"))
    tally.add(Outcome("upload", "202", 0.005, "id-3"))
    tally.answers.update(right=3, among=1)
    tally.scores.update({5: 2, 2: 1})
    tally.uploads.update({"pdf": 2, "csv": 3})
    tally.skipped_busy, tally.skipped_late = 7, 1
    return tally


def test_the_table_has_a_row_a_kind_in_a_fixed_order() -> None:
    assert rows(busy()) == [
        ("upload", "202: 1", "1", "5 ms", "5 ms"),
        ("question", "200: 1, 503: 1", "2", "10 ms", "20 ms"),
    ]


def test_the_summary_says_what_the_table_does_not() -> None:
    text = "\n".join(sentences(busy()))
    for words in (
        "Right source first: 75 % of 4 answers (among the sources: 25 %, wrong: 0 %)",
        "Sessions: 5 opened, 4 closed, 1 left open",
        "Feedback: 2 1, 5 2 (mean 4.0 of 5)",
        "Uploads: 5 accepted (csv 3, pdf 2); 3 indexed, 1 failed, 1 not seen to the end",
        "Streams abandoned on purpose: 2",
        "Skipped: 8 requests (7 because too many were under way, 1 because this machine was late)",
        "Errors: 1 of 3 requests (33 %)",
    ):
        assert words in text


def test_of_a_run_in_which_nothing_happened_there_is_a_summary_too() -> None:
    text = "\n".join(sentences(Tally()))
    assert "Right source first: - of 0 answers" in text
    assert "Feedback: none given" in text
    assert "Skipped" not in text


def test_the_last_failures_are_named_with_their_ids() -> None:
    stream = io.StringIO()
    show(busy(), Plain(stream))
    assert "look closer: make find ID=..." in stream.getvalue()
    assert "  ID=id-2  question: 503 in place of 200: the model is down" in stream.getvalue()

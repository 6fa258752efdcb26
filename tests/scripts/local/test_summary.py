"""What a person reads at the end."""

from pathlib import Path

import pytest

from scripts.local.summary import Row, read, save, show, telling_lines
from tests.scripts.local.helpers import Written

ROWS = [
    Row("web", "ready", "http://127.0.0.1:80", "1.0 from PATH", "http://127.0.0.1:80/ready"),
    Row("api", "failed", "http://127.0.0.1:81", "1.0 from PATH", "", "ended [4 times]"),
    Row("tool", "missing", "", "not to be had"),
]


def test_rows_are_lines_where_there_is_no_terminal(written: Written) -> None:
    show(written.report, ROWS)
    assert written.text.splitlines() == [
        "web               ready     http://127.0.0.1:80    1.0 from PATH",
        "api               failed    http://127.0.0.1:81    ended [4 times]",
        "tool              missing                          not to be had",
    ]


def test_rows_are_a_coloured_table_on_a_terminal(terminal: Written) -> None:
    show(terminal.report, ROWS)
    assert "\x1b[32mready" in terminal.text
    assert "\x1b[31mfailed" in terminal.text
    assert "ended [4 times]" in terminal.text


def test_rows_are_kept_for_later(tmp_path: Path) -> None:
    assert read(tmp_path / "rows.json") == []
    save(tmp_path / "rows.json", ROWS)
    assert read(tmp_path / "rows.json") == ROWS


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("", ["(it wrote nothing)"]),
        ("one\ntwo\n", ["one", "two"]),
        (
            "start\nerror: bad flag\nUsage:\n" + "  -flag\n" * 40,
            ["error: bad flag", "…", *["  -flag"] * 12],
        ),
        ("\n".join(f"level=error n={n}" for n in range(20)), [*(f"level=error n={n}" for n in (5, 6, 7)), "…"]),
    ],
)
def test_a_log_tells_its_error_even_before_a_page_of_usage(log: str, expected: list[str]) -> None:
    assert telling_lines(log)[: len(expected)] == expected


def test_waiting_moves_on_a_terminal_and_is_silent_elsewhere(written: Written, terminal: Written) -> None:
    for place in (written, terminal):
        with place.report.waiting() as waiting_for:
            waiting_for("[web]")
    assert written.text == ""
    assert terminal.text != ""

"""`make find`, as a person sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from scripts.find.__main__ import main
from tests.scripts.find.conftest import (
    NOON,
    REQUEST,
    TRACE,
    Store,
    access,
    line,
    loki_answer,
    span,
    tempo_answer,
)
from tests.scripts.find.test_stores import FAILED, ROOT

Start = Callable[[], Store]


class Stack:
    """The four stores, and the variables that point to them."""

    def __init__(self, serve: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loki, self.tempo, self.prometheus, self.grafana = (serve() for _ in range(4))
        self.monkeypatch = monkeypatch
        for name in ("loki", "tempo", "prometheus", "grafana"):
            monkeypatch.setenv(f"PORT_{name.upper()}", str(urlsplit(getattr(self, name).address).port))
        self.loki.answers["/loki/api/v1/query_range"] = loki_answer()
        self.tempo.answers |= {"/api/search": {"traces": []}, f"/api/v2/traces/{TRACE}": tempo_answer()}
        self.prometheus.answers["/api/v1/query_exemplars"] = {"data": []}
        self.grafana.answers["/api/health"] = {"database": "ok", "version": "12.4.10"}

    def away(self) -> None:
        """Points every variable to where nothing runs."""
        for name in ("LOKI", "TEMPO", "PROMETHEUS", "GRAFANA"):
            self.monkeypatch.setenv(f"PORT_{name}", "1")


@pytest.fixture
def stack(serve: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stack:
    monkeypatch.setenv("LOG_DIR", str(tmp_path))
    return Stack(serve, monkeypatch)


def test_the_story_is_told_from_head_to_links(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    boom = [{"exc_type": "StoreUnavailable", "exc_value": "locked", "frames": [
        {"filename": "/srv/backend/app/stores/sqlite.py", "lineno": 7, "name": "_insert"}]}]  # fmt: skip
    stack.loki.answers["/loki/api/v1/query_range"] = loki_answer(
        access(0.2, 503, user_id="a8e7"), line("request failed", 0.15, level="error", exception=boom, reason="locked")
    )
    stack.tempo.answers[f"/api/v2/traces/{TRACE}"] = tempo_answer(FAILED, ROOT)
    labels = {"__name__": "http_request_duration_seconds_bucket", "endpoint": "/api/v1/documents", "le": "0.25"}
    measured = [{"labels": {"trace_id": TRACE}, "value": "0.2", "timestamp": NOON + 0.2}]
    stack.prometheus.answers["/api/v1/query_exemplars"] = {"data": [{"seriesLabels": labels, "exemplars": measured}]}
    assert main({"ID": REQUEST}) == 0
    told = capsys.readouterr().out
    assert told.startswith("POST /api/v1/documents  503  in 200 ms\n")
    in_order = [
        REQUEST, TRACE, "a8e7", "access line", "+150.0 ms  error", "request failed", "reason=locked",
        "StoreUnavailable: locked", "app/stores/sqlite.py:7 in _insert", "+200.0 ms", f"Trace {TRACE}",
        "POST /api/v1/documents", "└─ insert jobs", "✗ StoreUnavailable: locked", "Exemplars",
        'http_request_duration_seconds{endpoint="/api/v1/documents"}', "In Grafana", "/explore?left=",
    ]  # fmt: skip
    places = [told.index(part) for part in in_order[:4]]
    for part in in_order[4:]:
        places.append(told.index(part, places[-1]))
    assert places == sorted(places)


def test_bars_stand_where_their_spans_were(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    late = span("second half", 0.1, 0.2, identity=2, parent=1)
    stack.tempo.answers[f"/api/v2/traces/{TRACE}"] = tempo_answer(ROOT, late)
    assert main({"ID": TRACE, "COLUMNS": "120"}) == 0
    told = capsys.readouterr().out.splitlines()
    whole, half = (next(row for row in told if name in row and "█" in row) for name in ("POST", "second half"))
    assert half.index("█") - whole.index("█") == pytest.approx(whole.count("█") / 2, abs=1)
    assert half.count("█") == pytest.approx(whole.count("█") / 2, abs=1)
    assert half.endswith("+100.0 ms   100 ms")


@pytest.mark.parametrize(("version", "kind"), [("9.3.2", "traceId"), ("12.4.10", "traceql")])
def test_grafana_s_links_hold_queries_that_it_reads_back(
    stack: Stack, capsys: pytest.CaptureFixture[str], version: str, kind: str
) -> None:
    stack.grafana.answers["/api/health"] = {"version": version}
    stack.loki.answers["/loki/api/v1/query_range"] = loki_answer(access(0.2))
    stack.tempo.answers[f"/api/v2/traces/{TRACE}"] = tempo_answer(ROOT)
    main({"ID": REQUEST})
    links = [word for word in capsys.readouterr().out.split() if "/explore?" in word]
    lines, trace = (json.loads(parse_qs(urlsplit(link).query)["left"][0]) for link in links)
    assert all(link.startswith(stack.grafana.address) for link in links)
    assert lines["datasource"] == lines["queries"][0]["datasource"]["uid"] == "loki"
    assert lines["queries"][0]["expr"] == f'{{service=~".+"}} | request_id="{REQUEST}"'
    assert trace["datasource"] == "tempo"
    assert (trace["queries"][0]["queryType"], trace["queries"][0]["query"]) == (kind, TRACE)
    assert int(lines["range"]["from"]) < NOON * 1000 < int(lines["range"]["to"])


def test_an_unknown_id_says_where_it_was_looked_for_and_how_far_the_data_reaches(
    stack: Stack, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "application.1.log").write_text(json.dumps(line("the only one", 1.5)) + "\n")
    stack.tempo.answers["/api/search"] = lambda parameters: {
        "traces": [{"traceID": "1", "startTimeUnixNano": f"{NOON:.0f}000000000"}]
        if "most_recent" in parameters["q"]
        else []
    }
    assert main({"ID": "nobody-knows-me"}) == 1
    told = capsys.readouterr().out
    assert "Nothing is known of nobody-knows-me" in told
    assert f"Loki at {stack.loki.address}: no data at all" in told
    assert f"Tempo at {stack.tempo.address}: data reaches until 2026-11-24 " in told
    assert ":00:01.500 " in told.split("log files")[1].splitlines()[0]
    stack.away()
    assert main({"ID": "nobody-knows-me"}) == 1
    assert "Loki at http://127.0.0.1:1 does not run" in capsys.readouterr().out


def test_the_failed_requests_are_a_table_to_choose_from(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    stack.loki.answers["/loki/api/v1/query_range"] = loki_answer(
        access(5.0, 503, request_id="later"), access(1.0, 500, request_id="sooner"), access(1.0, 200, request_id="fine")
    )
    assert main({"ERRORS": "1"}) == 0
    told = capsys.readouterr().out
    assert told.index("later") < told.index("sooner")
    assert "fine" not in told
    assert "2 failed requests" in told
    asked = stack.loki.asked[0][1]
    assert int(asked["end"]) - int(asked["start"]) == pytest.approx(960e9, abs=5e9), "15 minutes, and one ahead"


def test_without_failures_it_says_so(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"ERRORS": "1", "SINCE": "2h"}) == 0
    assert "No request has failed since" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({}, "which request?"),
        ({"ID": 'x"} or {'}, "is no request id"),
        ({"ID": "x" * 129}, "is no request id"),
        ({"ID": "x", "SINCE": "yesterday"}, "is no time: write a number and s, m, h or d"),
        ({"ID": "x", "SINCE": "0m"}, "is no time"),
        ({"ID": "x", "ERRORS": "1"}, "two questions"),
        ({"ERRORS": "yes"}, "neither 1 nor 0"),
    ],
)
def test_nonsense_is_refused_before_anything_is_asked(
    asked: dict[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(asked) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert complaint in captured.err


def test_a_line_cannot_steer_the_terminal(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    stack.loki.answers["/loki/api/v1/query_range"] = loki_answer(
        access(0.2), line("\x1b[2J[red]up\r\n forged", 0.1, note="\x9b1A")
    )
    main({"ID": REQUEST})
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "\x9b" not in told
    assert r"\x1b[2J[red]up\r\n forged  note=\x9b1A" in told

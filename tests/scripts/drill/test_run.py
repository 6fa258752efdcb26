"""One drill from beginning to end, on a stack that only pretends: what is told of it, and when it is not run at all."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.drill import floor as floors
from scripts.drill import run as running
from scripts.drill import shorten
from scripts.drill.drills import Drill
from scripts.drill.faults import CannotMake, Fault
from scripts.drill.run import Result, run
from scripts.drill.stacks import Stack

LABELS = {"alertname": "AIServiceDown", "service": "backend", "severity": "critical"}


@dataclass
class Pretended:
    """Prometheus and alert-inbox in one: the alert fires and is delivered as soon as the fault is on."""

    project: Path
    own: bool = True
    on: bool = False
    deaf: bool = False
    lacks: str = ""
    url: str = ""
    times: dict[str, float] = field(default_factory=dict)

    def address(self, part: str) -> str:
        return self.url

    def missing(self, part: str) -> str:
        return self.lacks

    def stop(self, part: str) -> None:
        raise AssertionError(part)

    start = stop

    def answer(self, path: str) -> Any:
        if path.startswith("/api/v1/query_range"):
            return {"data": {"result": [{"values": [[self.times["on"], "0"]]}]}}
        if path.startswith("/api/v1/alerts"):
            state = "firing" if self.on else "pending"
            return {"data": {"alerts": [{"labels": LABELS, "state": state}] if self.on else []}}
        told = [] if self.deaf else [(status, self.times[at]) for status, at in STATES if at in self.times]
        which = {"labels": LABELS, "fingerprint": "a", "startsAt": "1"}
        return [
            {**which, "status": status, "received_at": at + 0.1, "last_received_at": at + 0.1} for status, at in told
        ]


STATES = (("firing", "on"), ("resolved", "off"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shorten.copy(tmp_path_factory.mktemp("drill") / "project", 20)


@pytest.fixture
def stack(project: Path) -> Iterator[Pretended]:
    pretended = Pretended(project)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(pretended.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    pretended.url = f"http://127.0.0.1:{server.server_port}"
    yield pretended
    server.shutdown()
    server.server_close()


def drill(stack: Pretended, parts: tuple[str, ...] = (), own: bool = False, impossible: str = "") -> Drill:
    @contextlib.contextmanager
    def make(_: Stack) -> Iterator[None]:
        if impossible:
            raise CannotMake(impossible)
        stack.on, stack.times["on"] = True, time.time()
        try:
            yield
        finally:
            stack.on, stack.times["off"] = False, time.time()

    return Drill("AIServiceDown", Fault("pretended", make, parts, own=own))


def done(stack: Pretended, one: Drill) -> tuple[Result, list[str]]:
    said: list[str] = []
    (result,) = run(stack, [one], said.append)
    return result, said


def test_the_times_are_those_of_the_inbox_and_the_progress_is_told(stack: Pretended) -> None:
    result, said = done(stack, drill(stack))
    assert (result.problem, result.not_run) == ("", "")
    assert result.delivered == pytest.approx(0.1, abs=0.09)
    assert result.resolved == pytest.approx(0.1, abs=0.09)
    assert result.floor == pytest.approx(0.25 + 0.25 + 3 + 0.5, abs=0.1)
    assert said[-1] == "AIServiceDown resolved"
    assert "AIServiceDown delivered" in said
    assert not stack.on


def test_what_is_not_delivered_fails_and_its_fault_is_made_good(
    stack: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_patience", lambda *_: 0.5)
    stack.deaf = True
    result, _ = done(stack, drill(stack))
    assert result.problem == "not delivered: firing"
    assert not stack.on


def test_what_fires_already_is_no_drill(stack: Pretended) -> None:
    stack.on, stack.own = True, False
    result, _ = done(stack, drill(stack))
    assert result.problem == "AIServiceDown fires before the fault is made"
    assert stack.on, "nothing was touched"


def test_the_next_drill_of_an_alert_waits_until_alertmanager_has_forgotten_its_group(
    stack: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "FORGETS_SECONDS", 0.6)
    done(stack, drill(stack))
    told = stack.times["off"] + 0.1
    result, _ = done(stack, drill(stack))
    interval = floors.grouping(stack.project, "critical", "AIServiceDown")[1]
    assert stack.times["on"] - told == pytest.approx(interval + 0.6, abs=0.2)
    assert result.problem == ""


def test_late_is_failed() -> None:
    with_floor = Result("A", "f", delivered=12.6, floor=10.0)
    assert with_floor.ratio == pytest.approx(1.26)
    assert with_floor.ratio > running.TARGET_RATIO


@pytest.mark.parametrize("reason", ["loki does not run here: no program", "tempo does not answer"])
def test_a_part_that_is_missing_is_a_reason_not_to_run(stack: Pretended, reason: str) -> None:
    stack.lacks = reason
    result, _ = done(stack, drill(stack, parts=("loki",)))
    assert (result.not_run, result.problem) == (reason, "")
    assert "on" not in stack.times


def test_a_configuration_in_use_is_not_broken(stack: Pretended) -> None:
    stack.own = False
    result, _ = done(stack, drill(stack, own=True))
    assert f"make drill ALERT={result.alert} ALL=1" in result.not_run
    assert "on" not in stack.times


def test_a_fault_that_is_refused_is_a_reason_not_to_run(stack: Pretended) -> None:
    result, _ = done(stack, drill(stack, impossible="it runs with FAULTS_ENABLED=false"))
    assert result.not_run == "it runs with FAULTS_ENABLED=false"

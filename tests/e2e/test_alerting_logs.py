"""Loki's alerts: lines that the backend's own logging wrote are replayed into a real Loki, and its ruler judges them.

Everything happens at a thirtieth of the time: five minutes are ten seconds.
"""

import asyncio
import json
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.core.heartbeat import HEARTBEAT_SECONDS
from app.core.logging_config import close_logging, configure_logging, emit, logger
from app.main import create_app
from app.services.ai.wire import Where
from scripts.timing import shortened
from tests.backend.conftest import make_settings
from tests.e2e.alerting import Receiver, free_port, receiving, running
from tests.e2e.stack import PROJECT, until
from tests.programs import program

FACTOR = 30
WINDOW = 300 / FACTOR
RULES = PROJECT / "loki/rules/fake/rules.yml"


class Replay:
    """Brings lines that the backend's own logging writes into Loki, as Promtail would."""

    def __init__(self, loki: str, folder: Path) -> None:
        self._loki, self._folder = loki, folder

    def __call__(self, service: str, write: Callable[[], None]) -> None:
        self.push(self.written(service, write))

    def written(self, service: str, write: Callable[[], None]) -> list[str]:
        """The lines of a service."""
        configure_logging(make_settings(self._folder, log_dir=self._folder, service_name=service))
        write()
        close_logging()
        files = sorted(self._folder.glob("*.*.log"))
        lines = [line for path in files for line in path.read_text().splitlines()]
        for path in files:
            path.unlink()
        assert lines
        return lines

    def push(self, lines: list[str]) -> None:
        """Sends lines, as of now."""
        streams = []
        for line in lines:
            fields = json.loads(line)
            labels = {name: fields[name] for name in ("service", "environment", "level", "logger")}
            streams.append({"stream": labels, "values": [[str(time.time_ns()), line]]})
        httpx.post(f"{self._loki}/loki/api/v1/push", json={"streams": streams}, timeout=10).raise_for_status()


def configuration(folder: Path, port: int, alertmanager: str) -> Path:
    """The repository's own configuration, with a folder in place of the container's."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(item) for key, item in value.items()}
        if isinstance(value, list):
            return [moved(item) for item in value]
        return re.sub(r"^(/etc)?/loki", str(folder), value) if isinstance(value, str) else value

    config = moved(yaml.safe_load((PROJECT / "loki/loki.yml").read_text()))
    config["ruler"]["alertmanager_url"] = alertmanager
    config["server"] |= {"http_listen_address": "127.0.0.1", "http_listen_port": port, "grpc_listen_port": free_port()}
    (folder / "rules/fake").mkdir(parents=True)
    (folder / "rules/fake/rules.yml").write_text(shortened(RULES.read_text(), FACTOR))
    (folder / "loki.yml").write_text(yaml.safe_dump(config))
    return folder / "loki.yml"


@dataclass
class Bench:
    """A Loki that both services write their heartbeats to until `silent` names one, and what its ruler said."""

    replay: Replay
    told: Receiver
    silent: set[str] = field(default_factory=set)

    def sent(self, alertname: str) -> list[dict[str, Any]]:
        """What Alertmanager was told of an alert, in order."""
        return [alert for alert in self.told.alerts() if alert["labels"]["alertname"] == alertname]

    def services(self, alertname: str) -> set[str]:
        """The services that an alert has fired for."""
        return {alert["labels"]["service"] for alert in self.sent(alertname)}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder, port, ended = tmp_path_factory.mktemp("loki"), free_port(), threading.Event()
    loki = f"http://127.0.0.1:{port}"
    with receiving() as receiver:
        command = [
            program("loki"),
            f"-config.file={configuration(folder, port, receiver.url)}",
            "-config.expand-env=true",
        ]
        links = {"GRAFANA_URL": "http://grafana.test", "INBOX_URL": "http://inbox.test"}
        with running(command, f"{loki}/ready", folder / "loki.log", links):
            bench = Bench(Replay(loki, folder / "lines"), receiver)
            beats = {
                name: bench.replay.written(name, lambda: emit("info", "heartbeat", "running", {}))
                for name in ("backend", "alert-inbox")
            }

            def beat() -> None:
                while True:
                    for name in beats.keys() - bench.silent:
                        bench.replay.push(beats[name])
                    if ended.wait(HEARTBEAT_SECONDS / FACTOR):
                        return

            time.sleep(60 / FACTOR)  # services start later than Loki, and are not missed yet
            thread = threading.Thread(target=beat)
            thread.start()
            yield bench
            ended.set()
            thread.join()


def lines(level: str, count: int) -> None:
    for number in range(count):
        emit(level, "portal_app", "something happened", {"number": number})


def exceptions(kinds: list[type[Exception]], count: int) -> None:
    for number in range(count):
        try:
            raise kinds[number % len(kinds)]("broken")
        except Exception as error:
            logger.error("request failed", exc_info=error)


def answers(status: int, count: int) -> None:
    for _ in range(count):
        emit("info", "access", "request", {"status": status, "endpoint": "/x", "bytes": 401})


def guesses(count: int) -> None:
    """Real calls without the right token."""

    async def call(folder: Path) -> None:
        (folder / "token").write_text("a-token-of-the-operators")
        app = create_app(make_settings(folder, internal_token_file=str(folder / "token")))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
            for number in range(count):
                answer = await client.get("/metrics", headers={"Authorization": f"Bearer guess-{number}"})
                assert answer.status_code == 401

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(call(Path(folder)))


def refused_keys() -> None:
    where = Where("api.example.org", key="OPENAI_API_KEY", address="OPENAI_BASE_URL", models="OPENAI_MODEL")
    for _ in range(25):
        logger.error("request could not be served", reason=f"api.example.org answered 401: {where.hint(401)}")


#: Alert, what makes it fire, and the nearest that is harmless.
CASES: list[tuple[str, Callable[[], None], Callable[[], None]]] = [
    ("LogErrorBurst", partial(lines, "error", 120), partial(lines, "warning", 400)),
    ("LogErrorBurst", partial(lines, "critical", 120), partial(lines, "error", 80)),
    (
        "ExceptionSurge",
        partial(exceptions, [ValueError], 25),
        partial(exceptions, [ValueError, KeyError, TypeError, OSError], 60),
    ),
    ("AuthenticationFailures", partial(answers, 401, 25), partial(answers, 401, 15)),
    ("AuthenticationFailures", partial(answers, 403, 25), partial(answers, 404, 60)),
    ("AuthenticationFailures", refused_keys, partial(lines, "error", 60)),
    ("AuthenticationFailures", partial(guesses, 25), partial(guesses, 15)),
]


@pytest.mark.parametrize(
    ("number", "case"), list(enumerate(CASES)), ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)]
)
def test_it_fires_for_what_it_is_about_and_not_for_the_nearest_harmless_case(
    bench: Bench, number: int, case: tuple[str, Callable[[], None], Callable[[], None]]
) -> None:
    alertname, fault, harmless = case
    bench.replay(f"harmless-{number}", harmless)
    bench.replay(f"broken-{number}", fault)
    until(lambda: f"broken-{number}" in bench.services(alertname), f"{alertname} fires", seconds=15)
    time.sleep(1.5)  # three evaluations more
    assert f"harmless-{number}" not in bench.services(alertname)
    for alert in bench.sent(alertname):
        assert alert["labels"]["severity"] == "warning"
        assert alert["annotations"]["runbook_url"] == f"http://inbox.test/runbooks/{alertname}"


def test_it_says_who_and_how_much_and_where_to_go_on(bench: Bench) -> None:
    alert = until(lambda: bench.sent("ExceptionSurge"), "the exceptions of the cases before are reported")[0]
    assert alert["labels"] == {
        "alertname": "ExceptionSurge",
        "severity": "warning",
        "service": "broken-2",
        "kind": "ValueError",
    }
    assert alert["annotations"]["description"] == "broken-2 wrote 25 lines with a ValueError in 5 minutes (limit 20)."
    assert alert["annotations"]["runbook_url"] == "http://inbox.test/runbooks/ExceptionSurge"
    assert alert["annotations"]["dashboard"].startswith("http://grafana.test/d/")


def test_it_falls_silent_when_the_window_has_passed(bench: Bench) -> None:
    def ended() -> bool:
        sent = bench.sent("LogErrorBurst")
        return bool(sent) and datetime.fromisoformat(sent[-1]["endsAt"]).timestamp() <= time.time()

    until(ended, "the burst is reported as resolved", seconds=2 * WINDOW)


def test_a_service_that_has_only_its_heartbeat_is_not_silent_and_one_without_is(bench: Bench) -> None:
    time.sleep(WINDOW)
    assert bench.services("ServiceSilent") == set(), "a night without traffic"
    bench.silent.add("backend")
    until(lambda: bench.services("ServiceSilent"), "the service is missed", seconds=2 * WINDOW)
    assert bench.services("ServiceSilent") == {"backend"}

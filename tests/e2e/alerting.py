"""Real programs as processes for the tests of alerting, and a receiver that keeps what they send."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from scripts.receivers import CONFIG, switched_on
from scripts.timing import shortened
from tests import worker
from tests.e2e.stack import PROJECT, until
from tests.programs import look, program

#: Each worker has ports of its own: what is killed has to find its port free when it is started again.
_first = 30_000 + worker.NUMBER * 250
_next_port = iter(range(_first + os.getpid() % 50, _first + 250))


def free_port() -> int:
    """A port of the range that these tests use, which nobody listens on."""
    for port in _next_port:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no free port between {_first} and {_first + 249}")


@dataclass
class Receiver:
    """Keeps every JSON body that is posted to it, with its path and time; `status` is what it answers."""

    port: int
    status: int = 200
    refused: int = 0
    received: list[tuple[float, str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def alerts(self) -> list[dict[str, Any]]:
        """Every alert that was accepted, with the receiver that it was sent to, if any, in order."""
        return [
            {**alert, "at": at} | ({"receiver": body["receiver"]} if isinstance(body, dict) else {})
            for at, _, body in self.received
            for alert in (body["alerts"] if isinstance(body, dict) else body)
        ]

    def names(self, receiver: str | None = None, status: str = "firing") -> list[str]:
        """The names of the alerts that were accepted in this state, for this receiver."""
        return [
            alert["labels"]["alertname"]
            for alert in self.alerts()
            if receiver in (None, alert.get("receiver")) and alert.get("status", status) == status
        ]


@contextlib.contextmanager
def receiving(port: int | None = None) -> Iterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver(port or free_port())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if receiver.status < 300:
                receiver.received.append((time.time(), self.path, body))
            else:
                receiver.refused += 1
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", receiver.port), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def exposing(values: dict[str, float]) -> Iterator[int]:
    """A target with these gauges, which may change. Gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write("".join(f"{name} {value}\n" for name, value in values.items()).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def running(
    arguments: list[str],
    ready: str,
    output: Path,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, once `ready` answers 200; its output goes to a file, which is shown when it does not come up."""
    with output.open("ab") as log:
        process = subprocess.Popen(
            arguments, stdout=log, stderr=log, cwd=folder, env={**os.environ, **(variables or {})}
        )
        try:

            def answers() -> bool:
                assert process.poll() is None, f"{arguments[0]} ended:\n{output.read_text()[-3000:]}"
                return httpx.get(ready, timeout=2).status_code == 200

            until(answers, f"{arguments[0]} is ready", seconds=30)
            yield process
        finally:
            process.terminate()
            process.wait(timeout=20)


def alertmanager_program() -> str:
    """Alertmanager, which Debian calls otherwise; skips by name where there is none."""
    return look("prometheus-alertmanager") or program("alertmanager")


def start_folder(program: Path) -> Path | None:
    """Debian's, unpacked below .tools/ as the local runner does it, finds its templates from where it is started."""
    home = program.resolve().parents[1]
    return home if (home / "share/prometheus").is_dir() else None


@contextlib.contextmanager
def alertmanager(folder: Path, config: Path, port: int, **variables: str) -> Iterator[str]:
    """A running Alertmanager with this configuration; the next one in `folder` finds its data. Gives its address."""
    address = f"http://127.0.0.1:{port}"
    arguments = [
        alertmanager_program(), f"--config.file={config}", f"--storage.path={folder / 'data'}",
        "--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{port}", f"--web.external-url={address}",
    ]  # fmt: skip
    start = start_folder(Path(arguments[0]))
    with running(arguments, f"{address}/-/ready", folder / "alertmanager.log", variables, start):
        yield address


def post(address: str, *alerts: dict[str, Any]) -> None:
    """Sends alerts to Alertmanager as Prometheus does."""
    httpx.post(f"{address}/api/v2/alerts", json=list(alerts), timeout=5).raise_for_status()


def routing(
    folder: Path, receiver: str, factor: float, names: Sequence[str] = (), changes: Mapping[str, str] | None = None
) -> Path:
    """The repository's own routing with every duration divided by `factor`, and these ways on.

    `receiver` stands in place of alert-inbox, and `folder`/secrets in place of the container's. Each key of `changes`
    is replaced by its value.
    """
    text = shortened(switched_on(CONFIG.read_text(), list(names)), factor)
    text = text.replace("http://alert-inbox:8001", receiver).replace("/run/secrets", f"{folder}/secrets")
    for old, new in (changes or {}).items():
        assert old in text, f"{old!r} is no longer in {CONFIG}"
        text = text.replace(old, new)
    shutil.copytree(CONFIG.parent / "templates", folder / "templates", dirs_exist_ok=True)
    (folder / "alertmanager.yml").write_text(text)
    return folder / "alertmanager.yml"


@contextlib.contextmanager
def prometheus(folder: Path, target: int, alertmanager: int | None = None, factor: float = 30) -> Iterator[str]:
    """The repository's Prometheus with its rules at `factor` times their speed; `target` stands for the backend.

    Gives its address.
    """
    config = yaml.safe_load((PROJECT / "prometheus/prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "500ms", "scrape_timeout": "400ms", "evaluation_interval": "500ms"}
    config["scrape_configs"] = [{"job_name": "backend", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager or 9}"]}]}]
    config["rule_files"] = [f"{folder}/specified.yml"]
    rules = (PROJECT / "prometheus/rules/specified.yml").read_text()
    (folder / "specified.yml").write_text(shortened(rules, factor))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"http://127.0.0.1:{free_port()}"
    arguments = [
        program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/prometheus",
        "--enable-feature=expand-external-labels",  # what Prometheus 3 always does, 2 does when asked
        f"--web.listen-address={address.removeprefix('http://')}", "--rules.alert.resend-delay=500ms",
    ]  # fmt: skip
    links = {"GRAFANA_URL": "http://grafana.test", "INBOX_URL": "http://inbox.test"}
    with running(arguments, f"{address}/-/ready", folder / "prometheus.log", links):
        yield address

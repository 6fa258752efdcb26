"""Two real Alertmanagers, told of the same alerts: one as it is configured, one without grouping and inhibition."""

import contextlib
import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from scripts.bad_day.faults import Span
from scripts.local.ports import free_port
from scripts.receivers import CONFIG
from scripts.timing import shortened

#: How long an Alertmanager may take to start (seconds).
START_SECONDS = 30.0


@dataclass
class Told:
    """What the receivers of one Alertmanager were sent: receiver, status, alerts' names, second of the day."""

    start: float
    factor: float
    messages: list[tuple[str, str, frozenset[str], float]] = field(default_factory=list)

    def add(self, body: Mapping[str, Any]) -> None:
        """Keeps a webhook's body."""
        names = frozenset(alert["labels"]["alertname"] for alert in body["alerts"])
        second = (time.monotonic() - self.start) * self.factor
        self.messages.append((body["receiver"], body["status"], names, second))

    def count(self, receiver: str, status: str = "firing") -> int:
        """How many messages a receiver was sent."""
        return sum((to, state) == (receiver, status) for to, state, _, _ in self.messages)


def configuration(plain: bool, url: str, factor: float) -> dict[str, Any]:
    """The repository's routing at so many times its speed, to a receiver of ours.

    Quiet hours are left out, because they are of the wall clock. `plain`: each alert a message, none held back.
    """
    config: dict[str, Any] = yaml.safe_load(shortened(CONFIG.read_text(encoding="utf-8"), factor))
    for key in ("templates", "time_intervals"):
        del config[key]
    for receiver in config["receivers"]:
        receiver["webhook_configs"] = [{"url": url}]
    for route in routes(config["route"]):
        route.pop("mute_time_intervals", None)
        if plain:
            route["group_by"] = ["..."]
    if plain:
        del config["inhibit_rules"]
    return config


def routes(route: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A route and all below it."""
    yield route
    for child in route.get("routes", ()):
        yield from routes(child)


@contextlib.contextmanager
def _receiving(told: Told) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.add(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def _alertmanager(program: Path, start: Path | None, folder: Path, config: Mapping[str, Any]) -> Iterator[str]:
    folder.mkdir(parents=True)
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    port = free_port()
    arguments = [
        str(program), f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data",
        "--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=start, env=dict(os.environ))
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _ready(address):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Alertmanager did not start: {(folder / 'log').read_text(errors='replace')}")
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/-/ready", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def run(
    spans: list[Span], factor: float, program: Path, start: Path | None, folder: Path, progress: Any = None
) -> tuple[Told, Told]:
    """Plays the day at `factor` times its speed; what was told as configured, and what without.

    `start` is the folder that the program is started in, if it needs one. Raises RuntimeError if Alertmanager fails.
    """
    events = sorted(
        [(span.start, True, span.labels) for span in spans] + [(span.end, False, span.labels) for span in spans]
    )
    told = (Told(0, factor), Told(0, factor))
    with contextlib.ExitStack() as stack:
        addresses = []
        for number, one in enumerate(told):
            url = stack.enter_context(_receiving(one))
            config = configuration(bool(number), url, factor)
            addresses.append(stack.enter_context(_alertmanager(program, start, folder / str(number), config)))
        client = stack.enter_context(httpx.Client(timeout=10))
        begin = time.monotonic()
        for one in told:
            one.start = begin
        for second, together in itertools.groupby(events, key=lambda event: event[0]):
            time.sleep(max(0.0, begin + second / factor - time.monotonic()))
            now = datetime.now(UTC)
            ends = {True: (now + timedelta(days=1)).isoformat(), False: now.isoformat()}
            alerts = [{"labels": dict(labels), "endsAt": ends[fires]} for _, fires, labels in together]
            for address in addresses:
                client.post(f"{address}/api/v2/alerts", json=alerts).raise_for_status()
            if progress:
                progress(second)
        time.sleep(max(2.0, 1800 / factor))  # half an hour of the day: what is still gathered
    return told

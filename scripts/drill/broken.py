"""Faults that break a configuration or hurt a process: made in a stack of the drill's own alone."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import yaml

from scripts.drill import load
from scripts.drill.faults import CannotMake, Fault
from scripts.drill.load import Load
from scripts.drill.stacks import SMALL_DISK, Own, Stack
from scripts.meanwhile import meanwhile

#: Nobody answers there.
NOBODY = "127.0.0.1:9"
#: Promtail is alarming with 10 MB to go.
_FLOOD_BYTES = 14_000_000
_RULES = {"prometheus": "/etc/prometheus/rules/drill.yml", "loki": "/etc/loki/rules/fake/drill.yml"}


def _own(stack: Stack) -> Own:
    assert isinstance(stack, Own), "a configuration is broken in a stack of its own alone"
    return stack


def _reload(stack: Stack, part: str) -> None:
    """A refusal is what some drills are after."""
    httpx.post(f"{stack.address(part)}/-/reload", timeout=20)


def rule_added(part: str, expr: str, words: str) -> Fault:
    """One more file of rules, which Prometheus is told to read and Loki finds within a minute."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        path = _own(stack).rendered(part, _RULES[part])
        rules = {
            "groups": [{"name": "drill", "interval": "250ms", "rules": [{"record": "drill:broken", "expr": expr}]}]
        }
        path.write_text(yaml.safe_dump(rules), encoding="utf-8")
        if part == "prometheus":
            _reload(stack, part)
        try:
            yield
        finally:
            path.unlink()
            if part == "prometheus":
                _reload(stack, part)

    return Fault(words, make, (part,), frozenset({part}), own=True)


def configured(part: str, path: str, change: Callable[[Any], None], words: str) -> Fault:
    """A mistake in a part's configuration, which it is told to read; afterwards the right one."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        file = _own(stack).rendered(part, path)
        right = file.read_text(encoding="utf-8")
        wrong = yaml.safe_load(right)
        change(wrong)
        file.write_text(yaml.safe_dump(wrong), encoding="utf-8")
        _reload(stack, part)
        try:
            yield
        finally:
            file.write_text(right, encoding="utf-8")
            _reload(stack, part)

    return Fault(words, make, (part,), frozenset({part}), own=True)


def second_alertmanager(config: Any) -> None:
    """Prometheus sends to one that does not answer, too."""
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"].append(NOBODY)


def second_webhook(config: Any) -> None:
    """What goes to `watchdog` goes to an address that does not answer, too."""
    receiver = next(one for one in config["receivers"] if one["name"] == "watchdog")
    receiver["webhook_configs"].append({"url": f"http://{NOBODY}/"})


def metric_lost(config: Any) -> None:
    """Of node-exporter, by a relabelling that somebody thought harmless."""
    job = next(one for one in config["scrape_configs"] if one["job_name"] == "node-exporter")
    drop = {"source_labels": ["__name__"], "regex": "node_filesystem_readonly", "action": "drop"}
    job["metric_relabel_configs"] = [drop]


def unreadable(config: Any) -> None:
    """A key that Prometheus does not know."""
    config["drill"] = True


def flooded() -> Fault:
    """Loki is stopped, and lines are written faster than ever."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        path = _own(stack).processes.folders.logs / "drill.flood.log"
        line = "a line of the drill for what waits in files" + "." * 956 + "\n"
        stack.stop("loki")
        try:
            path.write_text(line * (_FLOOD_BYTES // len(line)), encoding="utf-8")
            yield
        finally:
            path.unlink(missing_ok=True)
            stack.start("loki")

    return Fault("loki stopped, 14 MB of lines", make, ("loki", "promtail"), frozenset({"loki"}), own=True)


def disk_filled() -> Fault:
    """The small disk that holds the logs is filled to the last twentieth."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        path = _own(stack).processes.folders.logs / "drill.fill"
        disk = shutil.disk_usage(path.parent)
        try:
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, disk.free - disk.total // 20)
            yield
        finally:
            path.unlink(missing_ok=True)

    return Fault("the logs' disk filled", make, (SMALL_DISK,), own=True)


def extraction_stopped() -> Fault:
    """The process that reads documents stands still (SIGSTOP), and more of them come."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        backend = psutil.Process(_own(stack).processes.pid("backend"))
        with load.running(stack.address("backend"), (Load("upload", 0.5),)):
            deadline = time.monotonic() + 20
            while not (readers := backend.children()):
                if time.monotonic() > deadline:
                    raise CannotMake("no process of the backend reads documents")
                time.sleep(0.1)
            for reader in readers:
                reader.suspend()
            try:
                yield
            finally:
                for reader in readers:
                    with contextlib.suppress(psutil.NoSuchProcess):  # given up by the backend meanwhile
                        reader.resume()

    return Fault("the process that reads documents stopped", make, own=True)


def frozen(part: str, stopped: float, runs: float) -> Fault:
    """A process that is stopped and let go on again and again (seconds of each), as if there was no time for it."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        process = psutil.Process(_own(stack).processes.pid(part))

        def freeze(end: threading.Event) -> None:
            while not end.wait(runs):
                process.send_signal(signal.SIGSTOP)
                end.wait(stopped)
                process.send_signal(signal.SIGCONT)

        with meanwhile(freeze):
            yield

    return Fault(f"{part} frozen for {stopped:g} s, again and again", make, (part,), frozenset({part}), own=True)


def trace_too_large() -> Fault:
    """Another program sends traces of more than 5 MB, the most that Tempo takes (`max_bytes_per_trace`)."""

    @contextlib.contextmanager
    def make(stack: Stack) -> Iterator[None]:
        address = f"http://127.0.0.1:{_own(stack).processes.port('tempo', 4318)}/v1/traces"

        def send(end: threading.Event) -> None:
            with httpx.Client(timeout=30, trust_env=False) as client:
                while not end.wait(0.5):
                    client.post(address, content=_trace(1100), headers={"content-type": "application/json"})

        with meanwhile(send):
            yield

    return Fault("a trace of 5.5 MB, again and again", make, ("tempo",), frozenset({"tempo"}), own=True)


def _trace(number: int) -> bytes:
    """So many spans of 5 kB each, in OTLP's JSON."""
    now, trace = time.time_ns(), secrets.token_hex(16)
    spans = [
        {
            "traceId": trace,
            "spanId": secrets.token_hex(8),
            "name": "drill",
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 1),
            "attributes": [{"key": f"drill.{key}", "value": {"stringValue": "." * 1000}} for key in range(5)],
        }
        for _ in range(number)
    ]
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "drill"}}]}
    return json.dumps({"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": spans}]}]}).encode()

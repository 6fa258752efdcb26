"""A shorter retention takes away what is older, from the disk, and nothing else."""

import json
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import random

import httpx
import pytest

from scripts.local.apart import Apart
from tests.e2e.shipping import SECOND, running, until
from tests.programs import accepted

pytestmark = pytest.mark.timeout(180)
HOUR, DAY = 3600, 86_400


def blocks(folder: Path, ages: list[int]) -> None:
    """Prometheus' blocks with samples of those ages (s): a block of about 310 KB each, which begin every two hours."""
    lines = ["# TYPE kept gauge"]
    for age in sorted(ages, reverse=True):
        start = (int(time.time()) - age) // 7200 * 7200
        lines += [f'kept{{age="{age}"}} {random()} {start + number / 10:.1f}' for number in range(40_000)]
    text = folder.with_suffix(".txt")
    text.write_text("\n".join([*lines, "# EOF", ""]))
    accepted("promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder))


def ages(services: Apart) -> list[int]:
    """The ages of the samples that Prometheus has."""
    now = time.time()
    range_ = {"match[]": "kept", "start": now - 40 * DAY, "end": now}
    found = httpx.get(f"{services.url('prometheus')}/api/v1/series", params=range_).json()["data"]
    return sorted(int(one["age"]) for one in found)


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, [3 * HOUR, 2 * DAY, 5 * DAY]),  # 15 days and 4 GB
        ({"PROMETHEUS_RETENTION_TIME": "3d"}, [3 * HOUR, 2 * DAY]),
        ({"PROMETHEUS_RETENTION_SIZE": "850KB"}, [3 * HOUR, 2 * DAY]),
    ],
)
def test_metrics_go_by_time_and_by_size(tmp_path: Path, settings: dict[str, str], left: list[int]) -> None:
    with running(tmp_path, "prometheus", settings=settings) as services:
        data = services.folders.data / "prometheus-data"
        blocks(data, [3 * HOUR, 2 * DAY, 5 * DAY])
        services.start("prometheus")
        assert until(lambda: ages(services) == left, f"left are {left}, not {ages(services)}")


def started(place: Path, name: str, *hastened: str, **settings: str) -> Apart:
    """A service that looks for what is too old every second or two, where it would every few minutes or hours."""
    services = Apart(place, [name], settings)
    process = services.processes[name]
    services.processes[name] = replace(process, arguments=(*process.arguments, *hastened))
    return services


def test_log_lines_go_by_time(tmp_path: Path) -> None:
    def push(service: str, age: int) -> None:
        at = int((time.time() - age) * SECOND)
        stream = {
            "stream": {"service": service},
            "values": [[str(at + number), f"{service} {number}"] for number in range(100)],
        }
        httpx.post(f"{loki.url('loki')}/loki/api/v1/push", json={"streams": [stream]}).raise_for_status()

    def chunks() -> set[Path]:
        return {path for path in (loki.folders.data / "loki-data/chunks/fake").rglob("*") if path.is_file()}

    with running(tmp_path, "loki") as loki:
        loki.start("loki")
        push("kept", HOUR)
        httpx.post(f"{loki.url('loki')}/flush").raise_for_status()
        kept = until(chunks, "its chunk is on the disk")
        push("old", 3 * DAY)
        httpx.post(f"{loki.url('loki')}/flush").raise_for_status()
        until(lambda: len(chunks()) == 2, "its chunk is on the disk")
        loki.stop("loki")  # which hands its index over
    hastened = "-compactor.compaction-interval=1s", "-compactor.retention-delete-delay=1s"
    for retention, left in (("168h", 2), ("24h", 1)):
        with started(tmp_path, "loki", *hastened, LOKI_RETENTION=retention) as loki:
            loki.start("loki")
            time.sleep(5)  # several rounds of the compactor
            until(lambda: len(chunks()) == left, f"{left} chunks are left", seconds=100)  # noqa: B023
    assert chunks() == kept


def test_traces_go_by_time(tmp_path: Path) -> None:
    with running(tmp_path, "tempo") as tempo:
        tempo.start("tempo")
        now = time.time_ns()
        span = {
            "traceId": "a" * 32,
            "spanId": "1" * 16,
            "name": "kept",
            "startTimeUnixNano": now,
            "endTimeUnixNano": now,
        }
        body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [span]}]}]}
        httpx.post(f"http://127.0.0.1:{tempo.port('tempo', 4318)}/v1/traces", json=body).raise_for_status()
        blocks = tempo.folders.data / "tempo-data/blocks/single-tenant"
        until(lambda: list(blocks.glob("*/meta.json")), "a block is written", seconds=60)
        tempo.stop("tempo")
    (kept,) = blocks.iterdir()
    old = kept.with_name("00000000-0000-4000-8000-000000000000")
    shutil.copytree(kept, old)  # the same as of three days ago
    times = dict.fromkeys(("startTime", "endTime"), f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}")
    meta = json.loads((kept / "meta.json").read_text()) | {"blockID": old.name} | times
    (old / "meta.json").write_text(json.dumps(meta))
    hastened = "-backend-scheduler.provider.workbackend-scheduler.retention-interval=1s"
    for retention, left in (("168h", {kept, old}), ("24h", {kept})):
        with started(tmp_path, "tempo", hastened, TEMPO_RETENTION=retention) as tempo:
            (config,) = (tmp_path / "run").rglob("tempo.yml")
            config.write_text(
                config.read_text().replace("compaction: {", "compaction: {compacted_block_retention: 1s, ")
            )
            assert "compacted_block_retention" in config.read_text()  # between its being marked and removed: an hour
            tempo.start("tempo")
            time.sleep(5)
            until(lambda: {block for block in blocks.iterdir() if block.is_dir()} == left, f"left are {left}", 40)  # noqa: B023


def test_silences_that_are_over_go_by_time(tmp_path: Path) -> None:
    with started(tmp_path, "alertmanager", "--data.retention=1s") as services:
        services.start("alertmanager")
        api = f"{services.url('alertmanager')}/api/v2"
        made = {}
        for name in ("kept", "old"):
            silence = {
                "matchers": [{"name": "alertname", "value": name, "isRegex": False}], "createdBy": "me",
                "comment": name, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
            }  # fmt: skip
            made[name] = httpx.post(f"{api}/silences", json=silence).json()["silenceID"]
        httpx.delete(f"{api}/silence/{made['old']}").raise_for_status()
        until(
            lambda: {one["id"] for one in httpx.get(f"{api}/silences").json()} == {made["kept"]},
            "one is left",
            seconds=40,
        )

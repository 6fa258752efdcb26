"""`python -m monitoring.exposition` records what the parts of a running stack expose, and keeps what was recorded."""

import argparse
import json
import re
import sys
import urllib.parse
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from monitoring.exposition import FOLDER, Metric, read

#: Services whose code says what they expose, but for what the Python process itself adds.
_OWN: Final = re.compile(r"(process|python)_")
_OWN_JOBS: Final = ("backend", "alert-inbox")
_NOT_LABELS: Final = frozenset({"__name__", "job", "instance", "le", "quantile"})
#: Prometheus adds these to every target by itself.
_ADDED: Final = re.compile(r"up|scrape_\w+")


def metrics_of(series: list[dict[str, str]], kinds: dict[str, str]) -> dict[str, dict[str, Metric]]:
    """Metrics by job and name, from label sets and the kind of each metric."""
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in series:
        name = one["__name__"]
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        known = family if kinds.get(family) in ("histogram", "summary") else name
        if "job" in one and not _ADDED.fullmatch(name) and (one["job"] not in _OWN_JOBS or _OWN.match(name)):
            labels[one["job"], known] |= one.keys() - _NOT_LABELS
    found: dict[str, dict[str, Metric]] = defaultdict(dict)
    for (job, name), names in labels.items():
        kind = kinds.get(name, "counter" if name.endswith("_total") else "gauge")
        found[job][name] = Metric(kind, name, frozenset(names))
    return found


def write(found: dict[str, dict[str, Metric]], folder: Path) -> None:
    """Adds what was found to the records. A metric that is here now needs no remark."""
    for job, metrics in found.items():
        merged = {metric.name: metric for metric in read(job, folder)} | metrics
        lines = [f"{merged[name]}\n" for name in sorted(merged)]
        (folder / f"{job}.txt").write_text("".join(lines), encoding="utf-8")


def _ask(address: str, path: str) -> Any:
    with urllib.request.urlopen(f"{address}/api/v1/{path}", timeout=30) as answer:  # noqa: S310 - what was asked for
        return json.load(answer)["data"]


def main() -> int:
    """Records what the Prometheus at an address has scraped."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.exposition", description=__doc__)
    parser.add_argument("--prometheus", default="http://localhost:9090", help="its address (%(default)s)")
    address = parser.parse_args().prometheus
    kinds = {name: known[0]["type"] for name, known in _ask(address, "metadata").items()}
    selector = urllib.parse.quote('{job=~".+"}')
    found = metrics_of(_ask(address, f"series?match[]={selector}"), kinds)
    write(found, FOLDER)
    print(f"recorded {sum(map(len, found.values()))} metrics of {len(found)} jobs")
    return 0


if __name__ == "__main__":
    sys.exit(main())

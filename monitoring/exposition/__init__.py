"""What each part of the stack exposes: names, kinds and labels, recorded from running programs.

One file a scrape job, one line a metric: `counter loki_discarded_samples_total{reason,tenant} # once it happens`. A
line with a remark is a metric that a part which just started does not have yet. What the project's own services expose
is not recorded, because their code says it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from monitoring.dashboards.exposition import TARGET_LABELS, Exposition, Series

FOLDER: Final = Path(__file__).resolve().parent
_LINE: Final = re.compile(r"(?P<kind>\w+) (?P<name>[\w:]+)\{(?P<labels>[\w,]*)\}(?: # (?P<remark>.+))?")
#: The names under which a histogram or a summary can be asked for, with their kinds.
_PARTS: Final = {"histogram": {"_bucket": "bucket", "_sum": "sum", "_count": "count"}}
_PARTS["summary"] = {"": "gauge", "_sum": "sum", "_count": "count"}


@dataclass(frozen=True)
class Metric:
    """One line of a record. `remark` says when a metric appears that is not there from the start."""

    kind: str
    name: str
    labels: frozenset[str]
    remark: str = ""

    def __str__(self) -> str:
        line = f"{self.kind} {self.name}{{{','.join(sorted(self.labels))}}}"
        return f"{line} # {self.remark}" if self.remark else line


def read(job: str, folder: Path = FOLDER) -> list[Metric]:
    """What was recorded of a job; nothing where there is no record. Raises ValueError for a line that is none."""
    file = folder / f"{job}.txt"
    metrics = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines() if file.is_file() else [], start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"{file}:{number}: is not `kind name{{labels}}`: {line}")
        labels = frozenset(filter(None, found["labels"].split(",")))
        metrics.append(Metric(found["kind"], found["name"], labels, found["remark"] or ""))
    return metrics


def recorded(job: str, folder: Path = FOLDER) -> Exposition:
    """Every series that can be asked for in a job."""
    return {
        metric.name + ending: Series(kind, metric.labels | TARGET_LABELS)
        for metric in read(job, folder)
        for ending, kind in _PARTS.get(metric.kind, {"": metric.kind}).items()
    }

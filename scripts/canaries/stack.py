"""The stack of one run: the two services, and the stores whose programs are on this machine, in a folder of its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.local.apart import Apart, NotHere

#: What is run in any case.
SERVICES = ("backend", "alert-inbox")


@dataclass(frozen=True)
class Running:
    """Where it runs. `missing` says for each store that cannot run here, why."""

    apart: Apart
    addresses: Mapping[str, str]
    missing: Mapping[str, str]

    @property
    def logs(self) -> Path:
        """The folder of the log files, and of the trace files where no Tempo runs."""
        return self.apart.folders.logs


def missing_programs(folder: Path, stores: Sequence[str]) -> dict[str, str]:
    """Why each of these stores cannot run on this machine; nothing of those that can."""
    missing = {}
    for name in stores:
        try:
            Apart(folder, [name])
        except NotHere as error:
            missing[name] = str(error)
    return missing


@contextmanager
def running(folder: Path, stores: Sequence[str], settings: Mapping[str, str]) -> Iterator[Running]:
    """The stack while the block runs, all of its data in `folder`. `settings` are the backend's. Raises NotHere."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = missing_programs(folder, stores)
    names = [*SERVICES, *(name for name in stores if name not in missing)]
    own = {"SQLITE_PATH": str(folder / "specola.sqlite"), "QDRANT_PATH": str(folder / "qdrant")}
    with Apart(folder, names) as apart:
        for name in SERVICES:
            process = apart.processes[name]
            environment = {**process.environment, **own, **settings}
            if "tempo" not in names:
                environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = ""  # spans go to files
            apart.processes[name] = replace(process, environment=environment)
        for name in names:
            apart.launch(name)
        for name in names:
            apart.ready(name)
        yield Running(apart, {name: apart.url(name) for name in names}, missing)

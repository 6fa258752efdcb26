"""The stack of `make chaos`: real programs as processes, with servers for the stores, and what can be done to them."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.drill import stacks
from scripts.local.apart import NotHere
from scripts.local.lookup import look
from scripts.local.plan import Process

#: How much faster than in the stack in use: the `for` of a minute is three seconds.
FACTOR = 20.0
#: What is killed and frozen. alert-inbox, by which deliveries are known, is only cut off.
PARTS = ("backend", "mongodb", "qdrant", "prometheus", "alertmanager", "loki", "promtail", "tempo")
#: Where what was acknowledged is looked for at the end: a run without them could not fail.
COMPARED = ("loki", "promtail", "tempo")

#: A fault, the part that it strikes, and how it is made.
Card = tuple[str, str, Callable[[str], contextlib.AbstractContextManager[None]]]


class Stack(stacks.Own):
    """The drills' own stack, with FerretDB and Qdrant in place of the embedded stores where they are at hand."""

    def __init__(self, place: Path) -> None:
        """Raises NotHere where a program is missing without which there is no stack."""
        super().__init__(place, FACTOR)
        if reasons := [reason for part in COMPARED if (reason := self.missing(part))]:
            raise NotHere("\n".join(reasons))
        backend = self.processes.processes["backend"]
        settings = dict(backend.environment) | {"LOG_FILES": "1000", "LOG_QUEUE_LINES": "20000"}
        for name, change in (("mongodb", self._ferretdb), ("qdrant", self._qdrant)):
            if program := look({"mongodb": "ferretdb"}.get(name, name)):
                data = place / "data" / name
                data.mkdir(parents=True)
                process, ours = change(program, data)
                self.processes.processes[name] = process
                self.parts = [name, *self.parts]
                settings |= ours
        self.processes.processes["backend"] = replace(backend, environment=settings)
        self.settings = settings

    def _ferretdb(self, program: str, data: Path) -> tuple[Process, dict[str, str]]:
        port, debug = self.processes.port("mongodb", 27017), self.processes.port("mongodb-exporter", 9216)
        environment = {
            "FERRETDB_HANDLER": "sqlite",
            "FERRETDB_SQLITE_URL": f"file:{data}/",
            "FERRETDB_STATE_DIR": str(data),
            "FERRETDB_LISTEN_ADDR": f"127.0.0.1:{port}",
            "FERRETDB_DEBUG_ADDR": f"127.0.0.1:{debug}",
            "FERRETDB_TELEMETRY": "disable",
        }
        ready = f"http://127.0.0.1:{debug}/debug/metrics"
        ours = {"DOCUMENT_STORE": "mongodb", "MONGODB_URL": f"mongodb://127.0.0.1:{port}/"}
        return Process("mongodb", (program,), os.environ | environment, data, ready), ours

    def _qdrant(self, program: str, data: Path) -> tuple[Process, dict[str, str]]:
        port = self.processes.port("qdrant", 6333)
        environment = {
            "QDRANT__STORAGE__STORAGE_PATH": str(data / "storage"),
            "QDRANT__STORAGE__SNAPSHOTS_PATH": str(data / "snapshots"),
            "QDRANT__SERVICE__HOST": "127.0.0.1",
            "QDRANT__SERVICE__HTTP_PORT": str(port),
            "QDRANT__SERVICE__GRPC_PORT": str(self.processes.port("grafana", 3000)),  # which does not run here
            "QDRANT__TELEMETRY_DISABLED": "true",
        }
        ours = {"VECTOR_STORE": "server", "QDRANT_HOST": "127.0.0.1", "QDRANT_PORT": str(port)}
        ready = f"http://127.0.0.1:{port}/readyz"
        return Process("qdrant", (program,), os.environ | environment, data, ready), ours

    def store(self) -> Any:
        """The backend's document store, read without the backend. Not yet started."""
        if self.settings["DOCUMENT_STORE"] == "mongodb":
            from app.stores.mongo import MongoDocumentStore

            return MongoDocumentStore(self.settings["MONGODB_URL"], "specola", 30)
        from app.stores.sqlite import SqliteDocumentStore

        return SqliteDocumentStore(Path(self.settings["SQLITE_PATH"]), 30)

    @contextlib.contextmanager
    def killed(self, part: str) -> Iterator[None]:
        """kill -9; afterwards it is started again, as Docker or supervisord do."""
        self.processes.kill(part)
        yield
        self.processes.launch(part)

    @contextlib.contextmanager
    def frozen(self, part: str) -> Iterator[None]:
        """SIGSTOP: it is there, keeps its connections, and does nothing."""
        os.kill(self.processes.pid(part), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.processes.pid(part), signal.SIGCONT)

    @contextlib.contextmanager
    def cut(self, part: str) -> Iterator[None]:
        """Nothing gets to its ports or comes from them, and nobody is told so."""
        ports = ",".join(str(port.host) for port in self.processes.services[part].local_ports)
        rules = [f"INPUT -i lo -p tcp -m multiport --{side} {ports} -j DROP".split() for side in ("dports", "sports")]
        made: list[list[str]] = []
        try:
            for rule in rules:
                subprocess.run(["iptables", "-w", "-I", *rule], check=True, capture_output=True)
                made.append(rule)
            yield
        finally:
            for rule in made:
                subprocess.run(["iptables", "-w", "-D", *rule], check=True, capture_output=True)

    @contextlib.contextmanager
    def filled(self, _: str) -> Iterator[None]:
        """Not a byte is left on the small disk that holds the logs."""
        path = self.processes.folders.logs / "chaos.fill"
        try:
            with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1_000_000))
            yield
        finally:
            path.unlink(missing_ok=True)

    def deck(self) -> tuple[list[Card], list[str]]:
        """Every (fault, part, how it is made) that can be made here, and what cannot, with the reason."""
        parts = [part for part in PARTS if part in self.parts]
        cards: list[Card] = [("kill -9", part, self.killed) for part in parts]
        cards += [("freeze", part, self.frozen) for part in parts]
        not_done = [f"{part}: {self.missing(part) or 'its program is not here'}" for part in PARTS if part not in parts]
        probe = ["iptables", "-w", "-n", "-L", "INPUT"]
        if shutil.which(probe[0]) and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            reached = [part for part in (*parts, "alert-inbox") if part != "promtail"]  # which only calls others
            cards += [("cut off", part, self.cut) for part in reached]
        else:
            not_done.append("cutting off: only an administrator with iptables can")
        if reason := self.missing(stacks.SMALL_DISK):
            not_done.append(f"filling the logs' disk: {reason}")
        else:
            cards.append(("fill", "logs' disk", self.filled))
        return cards, not_done


@contextlib.contextmanager
def own(place: Path) -> Iterator[Stack]:
    """A running stack, Prometheus last, which would say that the others are down. Raises NotHere."""
    stack = Stack(place)
    with stack.small_disk(), stack.processes:
        for part in [one for one in stack.parts if one not in ("promtail", "prometheus")]:
            stack.start(part)
        stack.processes.launch("promtail")  # ready once it has found a file, which may be after this
        stack.start("prometheus")
        time.sleep(2)
        yield stack

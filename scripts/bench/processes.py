"""The stack as local processes, in a copy of the project of its own."""

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

import psutil

from scripts.bench import PROJECT
from scripts.bench.usage import Restart, StackFailed, Usage, environment, until_ready
from scripts.local.cli import Stack as LocalStack
from scripts.local.report import Report
from scripts.local.supervise import has_ended

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".run", ".data", ".tools", "logs", "__pycache__", ".*_cache")
PATIENCE = 30.0


class Processes:
    """A stack of its own: nothing of it is in the project's folder, and all of it is removed at the end."""

    kind = "processes"

    def __init__(self, source: Path = PROJECT) -> None:
        self._source = source
        self._environment = environment(source)
        self._folder = Path(tempfile.mkdtemp(prefix="specola-bench-"))
        self._project = self._folder / "project"
        self._stack = LocalStack(self._project, self._environment, Report())

    def prepare(self) -> None:
        """Copies the project; programs that were fetched before are used."""
        shutil.copytree(self._source, self._project, ignore=LEFT_OUT)
        tools = self._source / ".tools"
        tools.mkdir(exist_ok=True)
        (self._project / ".tools").symlink_to(tools)

    def up(self) -> None:
        """What `make up` does where there is no engine. Raises StackFailed."""
        if self._stack.up():
            raise StackFailed("not every process became ready: what is said above has the reason")

    def usage(self) -> dict[str, Usage]:
        """Of each process with all that it started: its share of shared pages (PSS), and its processor time."""
        return {name: _of_tree(state.pid) for name, state in self._stack.supervisor.states().items() if state.pid}

    def restart_backend(self) -> Restart:
        """Times its end after SIGTERM, and from the start of the next one, which supervisord begins, until ready."""
        process = psutil.Process(self._stack.supervisor.states()["backend"].pid)
        start = time.monotonic()
        process.terminate()
        while not has_ended(process):
            if time.monotonic() - start > PATIENCE:
                raise StackFailed(f"the backend has not ended {PATIENCE:g} s after SIGTERM")
            time.sleep(0.01)
        stop = time.monotonic() - start
        ready = until_ready(f"http://127.0.0.1:{self._environment['PORT_BACKEND']}/health/ready", PATIENCE)
        began = psutil.Process(self._stack.supervisor.states()["backend"].pid).create_time()
        return Restart(stop, ready - began)

    def down(self) -> None:
        """Ends it and removes the copy."""
        with contextlib.suppress(FileNotFoundError):
            self._stack.down()
        shutil.rmtree(self._folder, ignore_errors=True)


def _of_tree(pid: int) -> Usage:
    memory = processor = 0.0
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            used, times = process.memory_full_info(), process.cpu_times()
            memory += getattr(used, "pss", used.rss)
            processor += times.user + times.system
            # Of those that it had started and that have ended.
            processor += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return Usage(memory, processor)

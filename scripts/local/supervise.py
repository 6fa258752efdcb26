"""supervisord: restarts what dies, keeps and rotates each one's output, ends all of it and nothing else."""

import contextlib
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]

from scripts.local.plan import MARK, Process, environment_of_supervisor
from scripts.local.ports import ours

#: Seconds that a process has to end before it is killed: the compose file's stop_grace_period, and a little.
STOP_SECONDS = 16
#: Longer paths do not fit into the address of a Unix socket (104 bytes on macOS), with room for supervisord's suffix.
_SOCKET_CHARACTERS = 90

_HEAD = """\
[supervisord]
logfile=log/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
loglevel=info
pidfile=supervisord.pid
childlogdir=log
identifier=specola

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

# startretries: about eight minutes of ever longer pauses, so that a full disk or a port in use heals by itself.
_PROGRAM = """
[program:{name}]
command=/bin/sh programs/{name}
environment=SPECOLA_DIGEST="{digest}"
autorestart=true
startsecs=1
startretries=30
stopwaitsecs={stop}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=log/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""
#: Name and digest in the text above.
_APPLIED = re.compile(r'^\[program:(.+)\]\n.*\nenvironment=SPECOLA_DIGEST="(\w+)"$', re.MULTILINE)


class SuperviseError(Exception):
    """supervisord cannot be started or asked; the message says what to look at."""


@dataclass(frozen=True)
class State:
    """What supervisord knows of one process. `started` is a time in seconds, `pid` 0 while none runs."""

    name: str
    state: str
    pid: int
    started: int
    reason: str


class Supervisor:
    """The supervisord of one project. `run` is its .run folder."""

    def __init__(self, run: Path) -> None:
        self.run = run

    @property
    def socket(self) -> Path:
        """The Unix socket that supervisord answers on."""
        path = self.run / "supervisor.sock"
        if len(str(path).encode()) <= _SOCKET_CHARACTERS:
            return path
        digest = hashlib.sha256(str(self.run).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"specola-{os.getuid()}-{digest}" / "supervisor.sock"

    def log(self, name: str) -> Path:
        """Where a process' output goes."""
        return self.run / "log" / f"{name}.log"

    def is_running(self) -> bool:
        """Whether supervisord answers."""
        try:
            self._call("getState")
        except SuperviseError:
            return False
        return True

    def states(self) -> dict[str, State]:
        """The state of every supervised process, by name. Raises SuperviseError."""
        return {
            info["name"]: State(info["name"], info["statename"], info["pid"], info["start"], info["spawnerr"] or "")
            for info in self._call("getAllProcessInfo")
        }

    def digests(self) -> dict[str, str]:
        """The digest of each process as it was last applied, by name; none where nothing was."""
        path = self.run / "supervisord.conf"
        return dict(_APPLIED.findall(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    def digest(self, process: Process) -> str:
        """What `digests` says of a process: another one, too, if the whole project was moved."""
        return f"{process.digest[:48]}{hashlib.sha256(str(self.run).encode()).hexdigest()[:16]}"

    def apply(
        self, processes: Mapping[str, Process], given: Mapping[str, str], only: Collection[str] | None = None
    ) -> list[str]:
        """Make what runs match `processes`, leaving what has not changed alone; the names of what was (re)started.

        With `only`, the others stay as they are, also those that `processes` lacks or describes otherwise.
        Raises SuperviseError.
        """
        self._write(processes, only)
        if not self.is_running():
            end(self.run)  # what a supervisord that was killed has left behind
            self._start(given)
            return sorted(self.digests())
        added, changed, removed = self._call("reloadConfig")[0]
        for name in (*changed, *removed):
            self._call("stopProcessGroup", name, False)  # all at once: some take seconds to end
        for name in (*changed, *removed):
            self._remove(name)
        for name in (*added, *changed):
            self._call("addProcessGroup", name)
        started = {*added, *changed}
        for state in self.states().values():
            if state.state in ("STOPPED", "EXITED", "FATAL") and (only is None or state.name in only):
                self._call("startProcess", state.name, False)
                started.add(state.name)
        return sorted(started)

    def stop_one(self, name: str) -> None:
        """End one process and leave it ended, until `start_one` or the next `apply`. Raises SuperviseError."""
        self._call("stopProcess", name)

    def start_one(self, name: str) -> None:
        """Start a process that was ended. Raises SuperviseError."""
        self._call("startProcess", name)

    def stop(self) -> int:
        """End every process of the stack, supervisord last; how many there were."""
        count = len(ours(self.run))
        with contextlib.suppress(SuperviseError):
            pid = self._call("getPID")
            self._call("shutdown")
            _wait_for(pid, STOP_SECONDS + 5)
        end(self.run)
        for leftover in (self.socket, self.run / "supervisord.pid"):
            leftover.unlink(missing_ok=True)
        return count

    def _write(self, processes: Mapping[str, Process], only: Collection[str] | None) -> None:
        """The configuration: secrets may be among the environment, so for this user's eyes only."""
        programs = self.run / "programs"
        kept = {} if only is None else {name: old for name, old in self.digests().items() if name not in only}
        for script in programs.glob("*"):
            if script.name not in kept:
                script.unlink()
        for folder in (self.run, self.run / "log", programs, self.socket.parent):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        text = _HEAD.format(socket=self.socket.name if self.socket.parent == self.run else self.socket)
        new = {name: one for name, one in processes.items() if only is None or name in only}
        for name, process in new.items():
            script = programs / name
            script.touch(mode=0o600)
            script.write_text(process.script(), encoding="utf-8")
        for name, digest in (kept | {name: self.digest(process) for name, process in new.items()}).items():
            text += _PROGRAM.format(name=name, digest=digest, stop=STOP_SECONDS)
        (self.run / "supervisord.conf").write_text(text, encoding="utf-8")

    def _start(self, given: Mapping[str, str]) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", "supervisord.conf"],
            cwd=self.run,
            env={**environment_of_supervisor(given), MARK: str(self.run)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SuperviseError(f"supervisord does not start: {(done.stderr or done.stdout).strip()}")
        deadline = time.monotonic() + 10
        while not self.is_running():
            if time.monotonic() > deadline:
                raise SuperviseError(f"supervisord does not answer; see {self.run / 'log' / 'supervisord.log'}")
            time.sleep(0.05)

    def _remove(self, name: str) -> None:
        """Takes a process that was told to stop out of the list; one that is still ending is waited for."""
        deadline = time.monotonic() + STOP_SECONDS
        while True:
            try:
                self._call("removeProcessGroup", name)
                return
            except SuperviseError as error:
                if "STILL_RUNNING" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise SuperviseError(f"supervisord refuses {method}{arguments}: {fault.faultString}") from fault
        except (OSError, xmlrpc.client.ProtocolError) as error:
            raise SuperviseError(f"supervisord does not answer on {self.socket}: {error}") from error
        finally:
            transport.close()


def end(run: Path, patience: float = STOP_SECONDS) -> None:
    """End what is left of a project's stack: asked first, killed after `patience` seconds."""
    for force, seconds in ((False, patience), (True, 5.0)):
        deadline = time.monotonic() + seconds
        for process in ours(run):
            with contextlib.suppress(psutil.Error):
                process.kill() if force else process.terminate()
        while ours(run) and time.monotonic() < deadline:
            time.sleep(0.1)


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is over, reaped by its parent or not."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:  # reaped between two looks
        return True


def _wait_for(pid: int, seconds: float) -> None:
    """Wait until a process has ended, reaped by its parent or not."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        while not has_ended(process):
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)

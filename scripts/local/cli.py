"""The local stack's commands: up, down, status, logs, render, clean."""

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import httpx

from scripts.local import plan as planning
from scripts.local import ports, ready, summary
from scripts.local.compose import ComposeError, Service, load, settings
from scripts.local.debian import Debian
from scripts.local.download import Downloader
from scripts.local.programs import Finder
from scripts.local.render import LeftOut
from scripts.local.report import Report
from scripts.local.substitute import Folders
from scripts.local.supervise import SuperviseError, Supervisor

PROJECT = Path(__file__).resolve().parents[2]
#: Seconds from start to ready: Grafana's first start, which makes its database, is the slowest.
READY_SECONDS = 90.0


class Stack:
    """The local stack of one project, and the environment of whoever runs it."""

    def __init__(self, project: Path, environment: Mapping[str, str], report: Report) -> None:
        self.environment = environment
        self.report = report
        self.folders = Folders(project)
        self.supervisor = Supervisor(self.folders.run)

    @cached_property
    def services(self) -> dict[str, Service]:
        """What the compose file describes. Raises ComposeError."""
        return load(self.folders.project, self.environment)

    @property
    def _rows(self) -> Path:
        return self.folders.run / "services.json"

    def up(self, seconds: float = READY_SECONDS, only: Collection[str] | None = None) -> int:
        """Start what can be started, or `only` these parts of it anew; 0 when all of that serves, else 1."""
        with self._alone():
            wanted = [one for one in self.services.values() if one.runs_locally and (only is None or one.name in only)]
            if taken := ports.conflicts(wanted, self.folders.run):
                for conflict in taken:
                    self.report.say(str(conflict))
                self.report.say("Nothing was started. Such a variable can stand before the command or in .env.")
                return 1
            plan = planning.make(self.services, self.folders, self._finder(), self.environment)
            started = self.supervisor.apply(plan.processes, self.environment, only)
            self.report.say(f"Starting {', '.join(started)}" if started else "Everything runs already")
            awaited = {name: one for name, one in plan.processes.items() if only is None or name in only}
            most = ready.STARTS if only is None else ready.STARTS_ALONE
            waiting = ready.wait(self.supervisor, awaited, started, self.report, seconds, most)
            rows = summary.rows(plan, waiting.failed)
            summary.save(self._rows, rows)
        if only is None:
            summary.show(self.report, rows)
            summary.show_left_out(self.report, plan)
        for name in waiting.failed:
            self._show_failure(name)
        return 1 if waiting.failed else 0

    def render(self) -> int:
        """Write the running services' config files anew, for them to be told to read them again."""
        with self._alone():
            running = self.supervisor.states()
            planning.render(self.services, self.folders, running, LeftOut())
        self.report.say(f"The config files of {', '.join(sorted(running))} are rendered anew")
        return 0

    def status(self) -> int:
        """Show each service's state now; 0 when everything that was started serves, else 1."""
        if not self.supervisor.is_running():
            self.report.say("The local stack does not run. `make up` starts it.")
            return 1
        states = self.supervisor.states()
        rows = []
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            for row in summary.read(self._rows):
                state = states.get(row.service)
                if state is None:
                    rows.append(row)
                    continue
                serves = ready.is_ready(client, row.ready, state)
                now = "ready" if serves else state.state.lower()
                rows.append(replace(row, state=now, reason="" if serves else state.reason))
        summary.show(self.report, rows)
        return 0 if all(row.state == "ready" for row in rows if row.service in states) else 1

    def down(self) -> int:
        """End every process of the stack; data and logs stay."""
        with self._alone():
            ended = self.supervisor.stop()
        self.report.say(f"Ended {ended} processes; data is kept" if ended else "Nothing ran")
        return 0

    def clean(self) -> int:
        """End the stack and remove its data, after asking; YES=1 answers."""
        folders = [self.folders.data, self.folders.run, self.folders.logs]
        there = [folder for folder in folders if folder.exists()]
        names = ", ".join(folder.name + "/" for folder in there)
        if there and self.environment.get("YES") != "1":
            if not sys.stdin.isatty():
                self.report.say(f"This would remove {names}: say YES=1 to do it without being asked.")
                return 1
            if input(f"End the stack and remove {names}? [y/N] ").strip().lower() not in ("y", "yes"):
                self.report.say("Nothing was removed.")
                return 1
        self.down()
        for folder in there:
            shutil.rmtree(folder)
        self.report.say(f"Removed {names}" if there else "There is nothing to remove.")
        return 0

    def logs(self, names: Sequence[str], follow: bool, lines: int) -> int:
        """Show the end of the services' output, and go on showing it with `follow`."""
        there = {path.stem: path for path in sorted((self.folders.run / "log").glob("*.log"))}
        for name in names:
            if name not in there:
                self.report.say(f"There is no output of {name}; there is of {', '.join(there) or 'nothing'}.")
                return 1
        files = [str(there[name]) for name in names or there]
        if not files:
            self.report.say("There is no output yet. `make up` starts the stack.")
            return 1
        try:
            command = ["tail", f"-n{lines}", *(["-F"] if follow else []), *files]
            return subprocess.call(command)
        except KeyboardInterrupt:
            return 0

    def _finder(self) -> Finder:
        tools = self.folders.tools
        given = settings(self.folders.project, self.environment)
        return Finder(tools, given, Downloader(tools, self.report), Debian(tools, self.report))

    def _show_failure(self, name: str) -> None:
        log = self.supervisor.log(name)
        self.report.say(f"\n{name} failed. From {log.relative_to(self.folders.project)}:")
        for line in summary.telling_lines(log.read_text(errors="replace") if log.exists() else ""):
            self.report.say(f"  {line}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for another up or down of the same project to end."""
        self.folders.run.mkdir(exist_ok=True)
        with (self.folders.run / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.report.say("Waiting for another command of this stack to end …")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def main(arguments: Sequence[str] | None = None, project: Path = PROJECT) -> int:
    """Run one command; the process' exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the stack, and wait until it serves")
    up.add_argument("--seconds", type=float, default=READY_SECONDS, help="wait no longer than this")
    up.add_argument("--only", action="append", metavar="SERVICE", help="leave all others as they are")
    commands.add_parser("down", help="end the stack; its data stays")
    commands.add_parser("render", help="write the running services' config files anew")
    commands.add_parser("status", help="what runs, and where")
    commands.add_parser("clean", help="end the stack and remove its data, after asking (YES=1: without)")
    logs = commands.add_parser("logs", help="the services' output")
    logs.add_argument("service", nargs="*", help="of these services alone")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until interrupted")
    logs.add_argument("-n", "--lines", type=int, default=50, help="how many lines of each")
    options = parser.parse_args(arguments)
    report = Report()
    try:
        stack = Stack(project, os.environ, report)
        match options.command:
            case "up":
                return stack.up(options.seconds, options.only)
            case "down":
                return stack.down()
            case "render":
                return stack.render()
            case "status":
                return stack.status()
            case "clean":
                return stack.clean()
            case _:
                return stack.logs(options.service, options.follow, options.lines)
    except (ComposeError, SuperviseError, OSError) as error:  # a full disk, a folder of somebody else's
        report.say(str(error))
        return 1
    except KeyboardInterrupt:
        report.say("Interrupted. What was started goes on running; `make down` ends it.")
        return 130

"""`make up` and its companions: containers where a Docker Engine answers, local processes where none runs.

Uses the standard library alone, so that with an engine nothing has to be installed first. COMPOSE names another compose
command ("podman compose"), LOCAL=1 chooses processes, TRAFFIC=0 leaves the load out.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

from scripts import receivers
from scripts.addresses import PROJECT, address, open_here, port, setting
from scripts.containers import compose_command, engine_command, follow, project_name
from scripts.upgrade import versions

PYTHON = PROJECT / ".venv" / "bin" / "python"
#: What a person opens: name, the variable that moves its port, and what is there.
ADDRESSES = (
    ("Grafana", "PORT_GRAFANA", "dashboards, logs, traces"),
    ("Backend", "PORT_BACKEND", "the page to try it; its API is at /docs"),
    ("Prometheus", "PORT_PROMETHEUS", "metrics, rules, targets"),
    ("Alertmanager", "PORT_ALERTMANAGER", "alerts and silences"),
    ("alert-inbox", "PORT_ALERT_INBOX", "delivered alerts at /alerts, runbooks at /runbooks"),
)


class EngineRefused(Exception):
    """An engine runs, and this user may not use it."""


def engine_problem() -> str | None:
    """None when containers can be used; else why not. Raises EngineRefused for want of permission."""
    if setting("LOCAL") == "1":
        return "LOCAL=1 chooses processes"
    command, compose = engine_command(), compose_command()  # docker-compose cannot say whether an engine answers
    program = command[-1]
    if missing := next((one for one in (command[0], compose[0]) if not shutil.which(one)), None):
        return f"no program {missing} here"
    try:
        answer = subprocess.run([*command, "info"], capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return f"{program} does not answer"
    if answer.returncode == 0:
        version = subprocess.run([*compose, "version"], capture_output=True, text=True, check=False)
        if version.returncode == 0:
            return None
        return f"{program} runs, and `{shlex.join(compose)}` does not: install Compose 2.24 or newer as its plugin"
    if "permission denied" in answer.stderr.lower():
        raise EngineRefused(
            f"A {program} engine runs, but this user may not use it. Either join its group (sudo usermod -aG {program} "
            "$USER, then log in anew), or run `LOCAL=1 make up` for local processes instead of containers."
        )
    return f"no {program} engine answers"


def engine_answers(processes: bool) -> bool:
    """Whether there may be containers to act on; an engine that refuses matters only when no processes ran here."""
    try:
        return engine_problem() is None
    except EngineRefused:
        if processes:
            return False
        raise


def processes_ran() -> bool:
    """Whether local processes were ever started here."""
    return (PROJECT / ".run").is_dir()


def processes_run() -> bool:
    """Whether local processes run here."""
    return (PROJECT / ".run" / "supervisord.pid").exists()


def compose(*arguments: str) -> int:
    """Runs the compose command in the project, with the files that the stack runs with; its own progress is shown."""
    follow()
    return subprocess.run([*compose_command(), *arguments], cwd=PROJECT, check=False).returncode


def local(command: str) -> int:
    """Runs the local runner, in its own environment, which is made first if need be."""
    made = subprocess.run(["make", "--no-print-directory", ".venv/run"], cwd=PROJECT, check=False).returncode
    return made or subprocess.run([PYTHON, "-m", "scripts.local", command], cwd=PROJECT, check=False).returncode


def show_addresses() -> None:
    """Where to look."""
    print()
    for name, variable, what in ADDRESSES:
        print(f"  {name:<13} {f'http://localhost:{port(variable)}':<24} {what}")
    print("\n  make status | make traffic RATE=5 SECONDS=60 | make down")


def compose_up() -> int:
    """Brings the stack up and waits until every service is ready."""
    start = time.monotonic()
    profiles = []
    there = follow()
    for profile, service, wanted in (
        ("demo", "traffic", setting("TRAFFIC") != "0"),
        ("backup", "backup", setting("BACKUP_NIGHTLY") == "1"),
    ):
        if wanted:
            profiles += ["--profile", profile]
        elif service in there and (code := compose("rm", "-sf", service)):  # else it would go on
            return code
    code = compose(*profiles, "up", "-d", "--build", "--wait")
    if code:
        compose("ps", "--all", "--format", "table {{.Service}}\t{{.State}}\t{{.Status}}")
        print(
            "\nNot everything came up: the services above that are not (healthy) say why in "
            f"`{shlex.join(compose_command())} logs SERVICE`. A port in use is moved by its PORT_… variable "
            "(.env.example).",
            file=sys.stderr,
        )
        return code
    versions.keep(over=False)  # containers that ran before may have kept files of an older version
    print(f"\nSpecola is up after {time.monotonic() - start:.0f} s.")
    show_addresses()
    return 0


def up() -> int:
    """`make up`."""
    print(receivers.apply())
    problem = engine_problem()
    if problem is None:
        return compose_up()
    print(f"Local processes instead of containers: {problem}.")
    code = local("up")
    versions.keep(over=True)  # each process runs by the files that are here
    return code


def down() -> int:
    """`make down`: whichever of the two runs."""
    processes = processes_ran()
    ended = local("down") if processes else 0
    versions.forget()
    if engine_answers(processes):
        return compose("--profile", "*", "down") or ended
    return ended


def clean() -> int:
    """`make clean`: the data too, after asking."""
    processes = processes_ran()
    containers = engine_answers(processes)
    if containers:
        follow()  # not another folder's
    if setting("YES") != "1":
        whose = f" of {project_name()!r}" if containers else ""
        print(
            f"This removes all data{whose}: documents, metrics, logs, traces, dashboards' changes. Type yes: ",
            end="",
            flush=True,
        )
        if sys.stdin.readline().strip() != "yes":
            print("Nothing was removed.")
            return 1
        os.environ["YES"] = "1"
    removed = local("clean") if processes else 0
    versions.forget()
    shutil.rmtree(PROJECT / ".tour", ignore_errors=True)
    if containers:
        return compose("--profile", "*", "down", "--volumes") or removed
    return removed


def status() -> int:
    """`make status`: whichever of the two runs."""
    if processes_run():
        return local("status")
    if engine_problem() is None:
        return compose("--profile", "*", "ps", "--all", "--format", "table {{.Service}}\t{{.Status}}\t{{.Ports}}")
    return local("status")


def reload() -> int:
    """`make reload`: has Prometheus and Alertmanager read their files again, and repeats what they object to."""
    print(receivers.apply())
    code = local("render") if processes_run() else 0  # processes read rendered copies of the files
    for name in ("Prometheus", "Alertmanager"):
        url = f"{address(name.lower())}/-/reload"
        try:
            request = urllib.request.Request(url, method="POST")  # noqa: S310 - http, from our own table
            with open_here(request):
                print(f"{name} has read its files again")
        except urllib.error.HTTPError as error:
            print(f"{name} keeps its old configuration: {error.read().decode(errors='replace').strip()}")
            code = 1
        except OSError as error:
            print(f"{name} does not answer at {url} ({error}): `make status` says whether it runs")
            code = 1
    return code


COMMANDS = {"up": up, "down": down, "clean": clean, "status": status, "reload": reload}


def main() -> int:
    """Runs the command named on the command line, `up` if none is."""
    name = sys.argv[1] if len(sys.argv) > 1 else "up"
    if name not in COMMANDS:
        print(f"unknown command {name!r}: one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return COMMANDS[name]()
    except (EngineRefused, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

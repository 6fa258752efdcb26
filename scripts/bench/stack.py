"""The whole stack: from its start to ready, and what it uses while nobody asks anything of it."""

import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from scripts.bench import Skipped
from scripts.bench.containers import Containers
from scripts.bench.processes import Processes
from scripts.bench.results import Target, show_targets, write
from scripts.bench.usage import Restart, Stack, idle
from scripts.up import EngineRefused, engine_problem

SETTLE_SECONDS = IDLE_SECONDS = 60.0
RESTARTS = 3
MIB = 1024**2
#: The published slim image that the backend's is built on is smaller than what may stand in for it; ours may add this
#: much (MB), so that both together stay within 250 MB.
OWN_LAYERS_MB = 125.0


def main(console: Console, results: Path, settle: float = SETTLE_SECONDS, seconds: float = IDLE_SECONDS) -> bool:
    """In containers where an engine answers, else as processes; writes stack.json. True when every target is met."""
    try:
        reason = engine_problem()
    except EngineRefused as refused:
        raise Skipped(str(refused)) from None
    if reason is not None:
        console.print(f"local processes instead of containers: {reason}")
    stack: Stack = Containers() if reason is None else Processes()
    try:
        with console.status("preparing") as status:
            stack.prepare()
            status.update("from its start to ready")
            start = time.monotonic()
            stack.up()
            took = time.monotonic() - start
            services = idle(stack, settle, seconds, status.update)
            status.update("restarting the backend")
            restarts = [stack.restart_backend() for _ in range(RESTARTS)]
        sizes = stack.image_bytes() if isinstance(stack, Containers) else None
    finally:
        stack.down()
    return report(console, results, stack.kind, took, services, restarts, sizes)


def report(
    console: Console,
    results: Path,
    kind: str,
    took: float,
    services: dict[str, tuple[float, float]],
    restarts: list[Restart],
    sizes: tuple[int, int] | None,
) -> bool:
    """Prints the services and the targets, and writes both. `sizes`: the backend's image and its base (bytes)."""
    memory = sum(one[0] for one in services.values()) / MIB
    share = sum(one[1] for one in services.values())
    table = Table(title=f"Idle, in {kind}", title_justify="left")
    for heading in ("service", "memory", "of a core"):
        table.add_column(heading, justify="left" if heading == "service" else "right")
    for name, (bytes_used, part) in sorted(services.items(), key=lambda item: -item[1][0]):
        table.add_row(name, f"{bytes_used / MIB:.0f} MiB", f"{part:.2%}")
    table.add_row("[bold]all[/]", f"[bold]{memory:.0f} MiB[/]", f"[bold]{share:.2%}[/]")
    console.print(table)
    targets = [
        Target("from `make up` to ready, without the load", took, 30.0, "s"),
        Target("idle: memory", memory, 1.2 * 1024, "MiB"),
        Target("idle: of a core", share * 100, 10.0, "%"),
        Target("backend: from its start to ready", median(one.start for one in restarts), 2.0, "s"),
        Target("backend: from SIGTERM to its end", median(one.stop for one in restarts), 5.0, "s"),
    ]
    if sizes is not None:
        image, base = (size / 1e6 for size in sizes)
        targets.append(Target("backend: its image, on the base image that is here", image, None, "MB"))
        targets.append(Target("backend: its image without the base", image - base, OWN_LAYERS_MB, "MB"))
    data = {
        "kind": kind,
        "services": {
            name: {"memory_mib": round(one[0] / MIB, 1), "percent_of_a_core": round(one[1] * 100, 2)}
            for name, one in services.items()
        },
        "backend_restarts": [
            {"stop_seconds": round(one.stop, 2), "start_seconds": round(one.start, 2)} for one in restarts
        ],
    }
    write(results / "stack.json", data, targets)
    return show_targets(console, targets)

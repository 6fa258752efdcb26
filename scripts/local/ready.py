"""Waits until what was started serves."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import httpx

from scripts.local.plan import Process
from scripts.local.report import Report
from scripts.local.supervise import State, Supervisor

#: A process that had to be started this often is not waited for any longer: of all at once, one may have to wait
#: for another; what is started by itself finds all that it needs.
STARTS, STARTS_ALONE = 4, 2
_POLL_SECONDS = 0.25


@dataclass
class Waiting:
    """How far each process is. `ready` holds the seconds that each one took."""

    ready: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def wait(
    supervisor: Supervisor,
    processes: Mapping[str, Process],
    started: Collection[str],
    report: Report,
    seconds: float,
    most: int = STARTS,
) -> Waiting:
    """Wait until every process answers, has failed for good or was started `most` times, or `seconds` are over.

    Of those that were just `started`, the report says when each is ready.
    """
    beginning = time.monotonic()
    result = Waiting()
    starts: dict[str, set[int]] = defaultdict(set)
    with report.waiting() as show, httpx.Client(timeout=2.0, trust_env=False) as client:
        while pending := [name for name in processes if name not in result.ready | result.failed]:
            elapsed = time.monotonic() - beginning
            states = supervisor.states()
            for name in pending:
                state = states[name]
                starts[name] |= {state.started} - {0}
                if is_ready(client, processes[name].ready, state):
                    result.ready[name] = elapsed
                    if name in started:
                        report.say(f"  {name} is ready after {elapsed:.1f} s")
                elif reason := _failure(state, len(starts[name]), most):
                    result.failed[name] = reason
                elif elapsed > seconds:
                    result.failed[name] = f"does not answer within {seconds:.0f} s ({state.state.lower()})"
            show(f"waiting for {', '.join(pending)} ({elapsed:.0f} s)")
            time.sleep(_POLL_SECONDS if pending else 0)
    return result


def is_ready(client: httpx.Client, address: str, state: State) -> bool:
    """Whether a process runs and, where it has an address to ask at, answers there with success."""
    if state.state != "RUNNING":
        return False
    if not address:
        return True
    try:
        return client.get(address).is_success
    except httpx.HTTPError:
        return False


def _failure(state: State, starts: int, most: int) -> str:
    if state.state == "FATAL":
        return f"does not start: {state.reason}"
    if starts >= most and state.state != "RUNNING":
        return f"was started {starts} times and ended each time"
    return ""

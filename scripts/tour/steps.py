"""The eight steps: what each prepares, what it would do for you, and how it knows that it happened.

What a step says stands in texts/, by its name. A check returns the facts that its text quotes.
"""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from scripts.addresses import PROJECT, address
from scripts.tour import workshop
from scripts.tour.place import MESSAGES, NotYet, Place, wait

Facts = dict[str, str]
#: Longer than anybody needs for the steps between, and still an end (seconds).
FAULT_SECONDS = 1800


@dataclass(frozen=True)
class Step:
    """`do` makes it happen and returns the answer that the step `asks` for; `check` takes it, and raises NotYet.

    `seconds`: how long what was done may take to show.
    """

    name: str
    do: Callable[[Place], str]
    check: Callable[[Place, str], Facts]
    seconds: float = 60
    asks: bool = False
    begin: Callable[[Place], None] = lambda place: None
    #: Done by the tour also when somebody gives no answer.
    obliging: bool = False

    def answer(self, place: Place, given: str, do: bool) -> str:
        """What is to be checked: the given answer, or what the tour's own doing comes to."""
        return self.do(place) if do or (self.obliging and not given) else given


def _start(place: Place) -> str:
    subprocess.run([sys.executable, "-m", "scripts.up"], cwd=PROJECT, check=True)
    return ""


def _runs(place: Place) -> Facts:
    ready = {"backend": "/health/ready", "prometheus": "/-/ready", "alertmanager": "/-/ready"}
    for service, path in ready.items():
        if place.call("GET", service, path).is_error:
            raise NotYet(f"{service} is not ready")
    place.get("alert-inbox", "/health/live")
    up = sorted(one["metric"]["job"] for one in place.values("max by (job) (up) == 1"))
    if "backend" not in up:
        raise NotYet("Prometheus has not scraped the backend yet")
    return {"jobs": ", ".join(up), "grafana": address("grafana")}


def _name_request(place: Place) -> None:
    place.notes["request"] = f"tour-{uuid4().hex[:12]}"


def _ask(place: Place) -> str:
    place.ask(place.notes["request"])
    return ""


def _three_signals(place: Place, answer: str) -> Facts:
    identity = answer or place.notes["request"]
    story = place.story(identity)
    asked = place.number(f'sum(http_requests_total{{job="backend", endpoint="{MESSAGES}"}})')
    if asked < 1 or story.access is None:
        raise NotYet(f"{identity} has no access line yet, or its metric has not been scraped")
    return {
        "request": identity,
        "lines": str(len(story.lines)),
        "spans": str(len(story.spans)),
        "milliseconds": f"{(story.end - story.start) * 1000:.0f}",
        "asked": f"{asked:.0f}",
    }


_METRIC = "chat_messages_total"


def _look_up(place: Place) -> str:
    files = (PROJECT / "backend/app").rglob("*.py")
    found = next(path for path in sorted(files) if f'"{_METRIC}"' in path.read_text(encoding="utf-8"))
    return str(found.relative_to(PROJECT))


def _is_defined_there(place: Place, answer: str) -> Facts:
    files = [
        path for path in (PROJECT / "backend/app").rglob("*.py") if str(path).endswith(answer.strip().lstrip("./"))
    ]
    for path in files if answer.strip() else ():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if f'"{_METRIC}"' in line:
                value = place.number(f'sum({_METRIC}{{job="backend"}})')
                return {"file": f"{path.relative_to(PROJECT)}:{number}", "line": line.strip(), "value": f"{value:.0f}"}
    raise NotYet(f"{answer.strip() or 'nothing'} is no file of backend/app that defines {_METRIC}")


def _note_begin(place: Place) -> None:
    place.notes["since"] = str(time.time())


def _break(place: Place) -> str:
    order = {"fault": "ai_down", "percent": 100, "seconds": FAULT_SECONDS}
    if (answer := place.call("PUT", "backend", "/internal/faults", json=order)).is_error:
        raise NotYet(f"the backend takes no faults ({answer.status_code}): it needs FAULTS_ENABLED=true")
    return ""


def _alert_arrives(place: Place, _: str) -> Facts:
    if not place.told("firing", since := float(place.notes["since"])):
        states = [one["metric"]["alertstate"] for one in place.values('ALERTS{alertname="AIServiceDown"}')]
        raise NotYet(f"AIServiceDown is {states[0] if states else 'not pending yet'}, and has not been delivered")
    return {"seconds": f"{time.time() - since:.0f}"}


def _exemplar(place: Place) -> str:
    """The newest exemplar of a failed question, made by one if need be."""
    place.ask(f"tour-{uuid4().hex[:12]}")
    return wait(lambda: _newest_failure(place), 60)


def _newest_failure(place: Place) -> str:
    query, now = f'http_request_duration_seconds_bucket{{job="backend", endpoint="{MESSAGES}"}}', time.time()
    found = place.get("prometheus", "/api/v1/query_exemplars", query=query, start=now - 600, end=now)["data"]
    newest = sorted((one["timestamp"], one["labels"]["trace_id"]) for series in found for one in series["exemplars"])
    for _, trace in reversed(newest):
        with contextlib.suppress(NotYet):
            _cause(place, trace)
            return str(trace)
    raise NotYet("Prometheus has no exemplar of a failed question")


def _cause(place: Place, answer: str) -> Facts:
    if not answer.strip():
        raise NotYet("it takes the id of a trace or of a request")
    story = place.story(answer.strip())
    failed = [span for span in story.spans if span.error]
    if not failed or not any(line.failed for line in story.lines):
        raise NotYet(f"{answer.strip()} did not fail: choose one that did")
    deepest = max(failed, key=lambda span: span.start)
    told = next((line.event for line in story.lines if line.failed and not line.is_access), "")
    return {"span": deepest.name, "error": deepest.error, "event": told or "-", "trace": deepest.trace_id}


_REASONS = 'sum by (reason) (increase(ai_errors_total{job="backend"}[15m])) > 0'


def _read_reasons(place: Place) -> str:
    place.ask(f"tour-{uuid4().hex[:12]}")
    return wait(lambda: _first_reason(place), 60)


def _reasons(place: Place) -> list[str]:
    return sorted(one["metric"]["reason"] for one in place.values(_REASONS))


def _first_reason(place: Place) -> str:
    for reason in _reasons(place):
        return reason
    raise NotYet("no call of the AI has failed within the last 15 minutes")


def _reason_known(place: Place, answer: str) -> Facts:
    page = place.call("GET", "alert-inbox", "/runbooks/AIServiceDown")
    if page.is_error:
        raise NotYet(f"the runbook's page answers {page.status_code}")
    reasons = _reasons(place)
    if answer.strip() not in reasons:
        raise NotYet(f"{answer.strip() or 'nothing'} is not among the reasons that the runbook's first command shows")
    return {"reason": answer.strip(), "reasons": ", ".join(reasons)}


def _mend(place: Place) -> str:
    place.call("DELETE", "backend", "/internal/faults")
    return ""


def _over(place: Place, _: str) -> Facts:
    if place.get("backend", "/internal/faults"):
        raise NotYet("the fault is still on")
    if not place.told("resolved", since := float(place.notes["since"])):
        raise NotYet("AIServiceDown has not been told to be over")
    if (status := place.ask(f"tour-{uuid4().hex[:12]}").status_code) != 200:
        raise NotYet(f"a question is still answered with {status}")
    return {"seconds": f"{time.time() - since:.0f}"}


def _open_workshop(place: Place) -> None:
    place.notes["workshop"] = str(workshop.open_copy(PROJECT).relative_to(PROJECT))


def _make_own(place: Place) -> str:
    workshop.make_own(PROJECT / place.notes["workshop"])
    return ""


def _own_is_sound(place: Place, _: str) -> Facts:
    added = workshop.added(PROJECT, PROJECT / place.notes["workshop"])
    for kind in ("metric", "panel", "alert"):
        if not added[kind]:
            raise NotYet(f"{place.notes['workshop']} has no {kind} yet that the project has not")
    if problem := workshop.check(PROJECT / place.notes["workshop"]):
        raise NotYet(re.sub(r"\s+", " ", problem))
    return {kind: ", ".join(sorted(names)) for kind, names in added.items()}


STEPS: tuple[Step, ...] = (
    Step("up", _start, lambda place, _: _runs(place), seconds=120),
    Step("signals", _ask, _three_signals, asks=True, begin=_name_request, obliging=True),
    Step("code", _look_up, _is_defined_there, asks=True, seconds=15),
    Step("break", _break, _alert_arrives, seconds=300, begin=_note_begin),
    Step("cause", _exemplar, _cause, asks=True, seconds=30),
    Step("runbook", _read_reasons, _reason_known, asks=True, seconds=15),
    Step("mend", _mend, _over, seconds=420, begin=_note_begin),
    Step("own", _make_own, _own_is_sound, seconds=1, begin=_open_workshop),
)

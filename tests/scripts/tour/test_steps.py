"""How each step of the tour knows that it happened, and what it says as long as it has not."""

import time
from typing import Any

import httpx
import pytest

from scripts.find.search import Story
from scripts.tour.place import NotYet, Place
from scripts.tour.steps import STEPS, Step
from tests.scripts.tour.conftest import Told, line, span

BY_NAME: dict[str, Step] = {step.name: step for step in STEPS}
UP = [{"metric": {"job": job}, "value": [0, "1"]} for job in ("loki", "backend")]
SESSION = {"session_id": "s1"}


def refused(step: str, place: Place, answer: str = "") -> str:
    with pytest.raises(NotYet) as reason:
        BY_NAME[step].check(place, answer)
    return str(reason.value)


def test_the_stack_is_up_when_its_parts_answer_and_the_backend_is_scraped(place: Told) -> None:
    assert refused("up", place) == "backend is not ready"
    for service, path in (("backend", "/health"), ("prometheus", "/-/"), ("alertmanager", "/-/"), ("alert-inbox", "/")):
        place.answers["GET", service, path] = {}
    assert refused("up", place) == "Prometheus has not scraped the backend yet"
    place.values_of["up"] = UP
    assert BY_NAME["up"].check(place, "")["jobs"] == "backend, loki"


def test_a_service_that_does_not_answer_is_named_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> httpx.Response:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(httpx, "request", refuse)
    monkeypatch.setenv("PORT_BACKEND", "9")
    assert refused("up", Place()) == "backend does not answer at http://127.0.0.1:9: refused"


def test_a_request_is_in_three_signals_under_the_id_that_was_given_or_the_tours_own(place: Told) -> None:
    step = BY_NAME["signals"]
    step.begin(place)
    place.answers["POST", "backend", "/api/v1/chat/sessions"] = SESSION
    assert step.answer(place, "", do=False) == ""
    assert place.asked[-1][2] == "/api/v1/chat/sessions/s1/messages"
    own = place.notes["request"]
    place.stories[own] = Story(own, lines=[line(own, logger="chat")], spans=[span("chat", 1000)])
    assert refused("signals", place) == "Prometheus has no value yet for " + (
        'sum(http_requests_total{job="backend", endpoint="/api/v1/chat/sessions/{session_id}/messages"})'
    )
    place.values_of["http_requests_total"] = [{"value": [0, "3"]}]
    assert refused("signals", place) == f"{own} has no access line yet, or its metric has not been scraped"
    place.stories[own].lines.append(line(own))
    facts = step.check(place, "")
    assert facts == {"request": own, "lines": "2", "spans": "1", "milliseconds": "500", "asked": "3"}
    assert refused("signals", place, "another") == "nothing of another"


def test_a_session_that_cannot_be_opened_is_told(place: Told) -> None:
    place.answers["POST", "backend", "/api/v1/chat/sessions"] = 503
    BY_NAME["signals"].begin(place)
    with pytest.raises(NotYet, match="no session can be opened: 503"):
        BY_NAME["signals"].do(place)


def test_a_metric_is_found_where_the_code_defines_it(place: Told) -> None:
    step = BY_NAME["code"]
    place.values_of["chat_messages_total"] = [{"value": [0, "12"]}]
    facts = step.check(place, step.do(place))
    assert facts["file"].startswith("backend/app/services/metrics_service.py:")
    assert ('"chat_messages_total"' in facts["line"], facts["value"]) == (True, "12")
    wrong = "backend/app/main.py is no file of backend/app that defines chat_messages_total"
    assert refused("code", place, "backend/app/main.py") == wrong
    assert refused("code", place, " ").startswith("nothing is no file")


def test_a_fault_is_switched_on_and_its_alert_awaited(place: Told) -> None:
    step = BY_NAME["break"]
    step.begin(place)
    place.answers["PUT", "backend", "/internal/faults"] = 404
    with pytest.raises(NotYet, match="needs FAULTS_ENABLED=true"):
        step.do(place)
    place.answers["PUT", "backend", "/internal/faults"] = {}
    step.do(place)
    assert place.asked[-1][3]["fault"] == "ai_down"
    place.answers["GET", "alert-inbox", "/alerts"] = [{"status": "resolved"}]
    assert refused("break", place) == "AIServiceDown is not pending yet, and has not been delivered"
    place.values_of["ALERTS"] = [{"metric": {"alertstate": "pending"}}]
    assert refused("break", place).startswith("AIServiceDown is pending")
    place.answers["GET", "alert-inbox", "/alerts"] = [{"status": "firing"}]
    assert step.check(place, "") == {"seconds": "0"}


def test_a_cause_is_the_deepest_span_that_failed_and_the_line_that_says_so(place: Told) -> None:
    trace = "ab" * 16
    place.stories["well"] = Story("well", lines=[line("well")], spans=[span("chat", 1)])
    place.stories[trace] = Story(
        trace,
        lines=[line("r", status=503), line("r", "error", "ai", event="ai_failed")],
        spans=[span("request", 1, "503"), span("generate", 2, "timeout"), span("store", 3)],
    )
    assert refused("cause", place) == "it takes the id of a trace or of a request"
    assert refused("cause", place, "well") == "well did not fail: choose one that did"
    facts = {"span": "generate", "error": "timeout", "event": "ai_failed", "trace": trace}
    assert BY_NAME["cause"].check(place, trace) == facts


def test_the_tour_takes_the_newest_exemplar_that_leads_to_a_failure(place: Told) -> None:
    bad, good = "ab" * 16, "cd" * 16
    place.answers["POST", "backend", "/api/v1/chat/sessions"] = SESSION
    shown = [{"exemplars": [{"timestamp": at, "labels": {"trace_id": one}} for at, one in ((1, bad), (2, good))]}]
    place.answers["GET", "prometheus", "/api/v1/query_exemplars"] = {"data": shown}
    place.stories[good] = Story(good, lines=[line("r")], spans=[span("chat", 1)])
    place.stories[bad] = Story(bad, lines=[line("r", status=503)], spans=[span("chat", 1, "down")])
    assert BY_NAME["cause"].do(place) == bad


def test_the_runbook_names_the_reason(place: Told) -> None:
    step = BY_NAME["runbook"]
    assert refused("runbook", place, "timeout") == "the runbook's page answers 404"
    place.answers["GET", "alert-inbox", "/runbooks/AIServiceDown"] = {}
    place.answers["POST", "backend", "/api/v1/chat/sessions"] = SESSION
    place.values_of["ai_errors_total"] = [{"metric": {"reason": one}} for one in ("unavailable", "timeout")]
    assert refused("runbook", place, "moon").startswith("moon is not among the reasons")
    assert step.check(place, step.do(place)) == {"reason": "timeout", "reasons": "timeout, unavailable"}


def test_it_is_over_when_the_fault_is_off_the_alert_told_and_a_question_answered(place: Told) -> None:
    step = BY_NAME["mend"]
    step.begin(place)
    place.answers["GET", "backend", "/internal/faults"] = {"ai_down": 100}
    assert refused("mend", place) == "the fault is still on"
    step.do(place)
    assert place.asked[-1][:3] == ("DELETE", "backend", "/internal/faults")
    place.answers["GET", "backend", "/internal/faults"] = {}
    place.answers["GET", "alert-inbox", "/alerts"] = [{"status": "firing"}]
    assert refused("mend", place) == "AIServiceDown has not been told to be over"
    place.answers["GET", "alert-inbox", "/alerts"] = [{"status": "firing"}, {"status": "resolved"}]
    place.answers["POST", "backend", "/api/v1/chat/sessions/s1/messages"] = 503
    place.answers["POST", "backend", "/api/v1/chat/sessions"] = SESSION
    assert refused("mend", place) == "a question is still answered with 503"
    place.answers["POST", "backend", "/api/v1/chat/sessions/s1/messages"] = {}
    assert float(step.check(place, "")["seconds"]) <= time.time() - place.begun

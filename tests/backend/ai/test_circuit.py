"""The circuit breaker by itself."""

import pytest

from app.services.ai.base import AIError, ErrorReason
from app.services.ai.circuit import Circuit, CircuitState
from tests.backend.ai.scripted import Clock, error


class Bench:
    """A circuit with a clock, that remembers its states."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.states: list[CircuitState] = []
        self.circuit = Circuit(3, 10.0, self.clock, self.states.append)

    def fail(self, reason: ErrorReason = "server_error") -> None:
        with pytest.raises(AIError, match="made up"), self.circuit.call():
            raise error(reason)

    def succeed(self) -> None:
        with self.circuit.call() as era:
            pass
        self.circuit.succeeded(era)

    def refused(self) -> AIError:
        with pytest.raises(AIError) as caught, self.circuit.call():
            pytest.fail("the circuit let a call through")
        return caught.value

    def opened(self) -> "Bench":
        for _ in range(3):
            self.fail()
        return self


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    bench = Bench()
    bench.fail()
    bench.fail()
    assert bench.circuit.state == "closed"
    bench.fail()
    assert bench.states == ["open"]


def test_a_success_in_between_starts_the_count_anew() -> None:
    bench = Bench()
    for _ in range(5):
        bench.fail()
        bench.fail()
        bench.succeed()
    assert bench.states == []


@pytest.mark.parametrize("reason", ["client_error", "rate_limited"])
def test_a_refusal_is_no_failure(reason: ErrorReason) -> None:
    bench = Bench()
    for _ in range(5):
        bench.fail()
        bench.fail()
        bench.fail(reason)
    assert bench.states == []


@pytest.mark.parametrize("reason", ["timeout", "server_error", "connection", "protocol", "injected"])
def test_a_provider_that_is_not_there_opens_it(reason: ErrorReason) -> None:
    bench = Bench()
    for _ in range(3):
        bench.fail(reason)
    assert bench.circuit.state == "open"


def test_an_open_circuit_says_how_long_to_wait() -> None:
    bench = Bench().opened()
    bench.clock.now += 4
    refusal = bench.refused()
    assert (refusal.reason, refusal.retry_after) == ("circuit_open", 6.0)
    assert "6 s" in str(refusal)


def test_after_its_time_one_call_is_let_through_and_no_other() -> None:
    bench = Bench().opened()
    bench.clock.now += 10
    with bench.circuit.call():
        assert bench.circuit.state == "half_open"
        assert bench.refused().retry_after == 1.0
    assert bench.states == ["open", "half_open", "closed"]
    bench.succeed()


def test_once_closed_again_it_takes_as_many_failures_as_before() -> None:
    bench = Bench().opened()
    bench.clock.now += 10
    bench.succeed()
    bench.fail()
    bench.fail()
    assert bench.states == ["open", "half_open", "closed"]
    bench.fail()
    assert bench.states[-1] == "open"


def test_a_trial_that_fails_opens_it_for_as_long_again() -> None:
    bench = Bench().opened()
    bench.clock.now += 10
    bench.fail()
    assert bench.states == ["open", "half_open", "open"]
    bench.clock.now += 9.5
    bench.refused()
    bench.clock.now += 0.5
    bench.succeed()
    assert bench.states[-1] == "closed"


def test_a_trial_that_is_refused_closes_it_because_somebody_is_there() -> None:
    bench = Bench().opened()
    bench.clock.now += 10
    bench.fail("client_error")
    assert bench.states[-1] == "closed"


def test_a_trial_that_is_given_up_makes_way_for_the_next() -> None:
    bench = Bench().opened()
    bench.clock.now += 10
    with pytest.raises(KeyboardInterrupt), bench.circuit.call():
        raise KeyboardInterrupt
    assert bench.states == ["open", "half_open", "open"]
    bench.succeed()
    assert bench.states[3:] == ["half_open", "closed"]


def test_a_call_from_before_a_change_has_no_say_in_it() -> None:
    bench = Bench()
    with bench.circuit.call() as old:
        pass
    bench.opened()
    bench.circuit.succeeded(old)
    assert bench.states == ["open"]
    bench.clock.now += 10
    with bench.circuit.call():
        bench.circuit.failed(old, error("timeout"))
        assert bench.states == ["open", "half_open"]

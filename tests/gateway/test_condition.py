"""Condition: what a process says when it is asked whether it is ready."""

import pytest
from prometheus_client import CollectorRegistry, Gauge

from gateway import condition
from gateway.condition import KEPT_S, Condition, grows
from gateway.server import Process
from gateway.settings import load


@pytest.fixture(autouse=True)
def gauge(monkeypatch: pytest.MonkeyPatch) -> Gauge:
    """Give these conditions a gauge of their own."""
    own = Gauge("gateway_shedding", "x", ["limit"], registry=CollectorRegistry())
    monkeypatch.setattr(condition, "SHEDDING", own)
    return own


def test_a_limit_that_was_hit_is_told_for_a_while_and_then_no_more(gauge: Gauge) -> None:
    """Whoever asks every few seconds must not miss what one second showed."""
    hit = [True, False, False]
    own = Condition({"map": lambda: hit.pop(0)})
    said = []
    for now_s in (100.0, 100.0 + KEPT_S - 1, 100.0 + KEPT_S):
        own.look(now_s)
        said.append((own.shedding(), gauge.labels("map")._value.get()))

    assert said == [(["map"], 1), (["map"], 1), ([], 0)]


def test_a_count_is_a_limit_that_is_hit_when_it_grows() -> None:
    """What was counted before the process looked first is no news."""
    counts = [5, 5, 7, 7]
    has_grown = grows(lambda: counts.pop(0))

    assert [has_grown() for _ in range(3)] == [False, True, False]


class Wired:
    """A process that is as the test wants it."""

    broadcast, ready = None, True

    def __init__(self, **says: list[str]) -> None:
        self.condition = Condition(**{name: lambda words=words: words for name, words in says.items()})

    async def app(self, _scope: object, _receive: object, _send: object) -> None:
        """Answer nothing."""


def state_of(wired: Wired, *, draining: bool = False) -> object:
    """Ask a process that serves."""
    process = Process("gate", load({}), wired, [])  # type: ignore[arg-type]
    process._server.started = True
    process.draining = draining
    return process.state()


def test_shedding_and_warnings_leave_a_process_ready() -> None:
    """Taken out, it would only make its neighbours fuller."""
    wired = Wired(warnings=["journal-behind"])
    wired.condition.limit("joins", lambda: True)
    wired.condition.look(1.0)

    assert state_of(wired) == {"status": "ready", "shedding": ["joins"], "warnings": ["journal-behind"]}


def test_a_fault_a_drain_and_a_start_do_not() -> None:
    """Each says why in a word of a closed set."""
    starting = Wired()
    starting.ready = False  # type: ignore[assignment]

    assert state_of(Wired(faults=["store-away"])) == {"status": "not-ready", "faults": ["store-away"]}
    assert state_of(Wired(), draining=True) == {"status": "not-ready", "faults": ["draining"]}
    assert state_of(starting) == {"status": "not-ready", "faults": ["starting"]}


def test_a_process_whose_connections_are_all_taken_says_so() -> None:
    """From ``max_connections`` on further ones get 503; the mutant that never looks at them says nothing."""
    wired = Wired()
    process = Process("gate", load({"WAITROOM_MAX_CONNECTIONS": "1"}), wired, [])  # type: ignore[arg-type]
    process._server.started = True
    process._server.server_state.connections.add(object())  # type: ignore[arg-type]
    wired.condition.look(1.0)
    full = process.state()["shedding"]
    wired.condition.limit("connections", lambda: False)
    wired.condition.look(1.0 + KEPT_S)

    assert (full, process.state()["shedding"]) == (["connections"], [])

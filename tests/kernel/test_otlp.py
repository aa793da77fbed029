"""What is recorded goes to a collector, and whatever that does, nobody waits for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kernel import tracing
from kernel.otlp import QUEUE_MOST, Otlp
from kernel.tracing import Sampling, Trace, span
from tests.process.otlp import Collector, collector

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@contextmanager
def recording(url: str) -> Iterator[None]:
    """Record into a collector, within a request."""
    tracing.install(Otlp(url, "waitroom-test", "1", "here", every_ms=10), Sampling(1.0))
    token = tracing.enter(Trace(ID, SPAN, sampled=True, state="a=1"))
    try:
        yield
    finally:
        tracing.leave(token)
        tracing.close()
        tracing.install(None)


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    """No exporter goes on behind the tests that follow."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("OtelBatch"):
            thread.join()


def steps(count: int) -> None:
    """Take so many steps."""
    for number in range(count):
        with span("step", tracing.CLIENT, {"waitroom.number": number}, [Trace("c" * 32, "d" * 16)]):
            pass


def test_a_step_arrives_as_it_was() -> None:
    """Ids, kind, parent, link, service."""
    with collector() as own, recording(own.url):
        steps(1)
        tracing.close()
        (told,) = own.spans
    assert (told.service, told.name, told.kind) == ("waitroom-test", "step", 3)
    assert (told.trace, told.parent) == (ID, SPAN)
    assert told.links == (("c" * 32, "d" * 16),)
    assert "7" not in told.attributes["waitroom.number"]


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_collector_that_refuses_harms_nobody(status: int) -> None:
    """More steps than the queue takes, and the last of them as the first."""
    with collector() as own:
        own.status = status
        with recording(own.url):
            steps(2 * QUEUE_MOST)
    assert own.spans == []


def test_a_collector_that_does_not_answer_harms_nobody() -> None:
    """While it is silent every step goes on; were one to wait for it, this would never end."""
    with collector() as own:
        own.goes_on.clear()
        with recording(own.url):
            steps(2 * QUEUE_MOST)
            assert own.spans == []
            own.goes_on.set()


def test_a_collector_that_is_away_harms_nobody() -> None:
    """Nobody listens there."""
    with recording("http://127.0.0.1:1"):
        steps(2 * QUEUE_MOST)


def test_a_recorder_that_waits_would_be_noticed() -> None:
    """The mutant: who sends at once has sent before the collector may answer."""

    class Waiting:
        def __init__(self, own: Collector) -> None:
            self._own = own

        def record(self, _span: tracing.Span) -> None:
            """Wait, as a client that sends by itself would; a silent collector is never done."""
            assert self._own.goes_on.is_set(), "would wait for ever"

        def close(self) -> None:
            """Nothing is left."""

    with collector() as own:
        own.goes_on.clear()
        tracing.install(Waiting(own), Sampling(1.0))
        token = tracing.enter(Trace(ID, SPAN, sampled=True))
        with pytest.raises(AssertionError, match="for ever"):
            steps(1)
        tracing.leave(token)
        tracing.install(None)

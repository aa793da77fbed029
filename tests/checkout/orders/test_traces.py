"""One order, one trace: whoever works on it later, in whichever process, goes on with that of its first try."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.grouping import Grouping
from checkout.notifications import relay
from checkout.notifications.message import Outcome, Result, Send
from checkout.notifications.relay import Home, Relay
from checkout.orders import driving, refunding
from checkout.payments.port import Unclear
from checkout.tables import ORDER_TRACES
from kernel import tracing
from kernel.tracing import Trace, continuing
from tests.checkout.bank import Bank
from tests.checkout.conftest import schemas, shop_url
from tests.checkout.notifications.posting import OneHome
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, shop

__all__ = ["schemas", "shop_url"]

A, B = "a" * 32, "b" * 32


@contextmanager
def within(trace: str) -> Any:
    """Be in a request."""
    token = tracing.enter(Trace(trace, "1" * 16))
    try:
        yield
    finally:
        tracing.leave(token)


def here() -> str:
    """Name the trace that we are in."""
    trace = tracing.current()
    return "" if trace is None else trace.trace_id


class Listening:
    """Hears in which traces a bank is asked; fails at one call, once."""

    def __init__(self, bank: Bank, fails: str = "") -> None:
        self.heard: list[tuple[str, str]] = []
        self._fails = fails
        bank.before = self._hear

    async def _hear(self, call: str) -> None:
        self.heard.append((call, here()))
        if call == self._fails:
            self._fails = ""
            raise Unclear("no answer")


class Channel:
    """Notes in which trace it is asked to send."""

    name = label = "noting"
    at_once = 1

    def __init__(self) -> None:
        self.noted: list[str] = []

    async def send(self, _send: Send) -> Result:
        """Note it."""
        self.noted.append(here())
        return Result(Outcome.SENT)

    async def close(self) -> None:
        """Have nothing open."""


@asynccontextmanager
async def worked_on(shop_url: str, store_url: str) -> AsyncIterator[tuple[Shop, list[str], list[str]]]:
    """Pay in one request, lose the answer, and let others go on; gives the traces of later questions, and of mails."""
    async with shop(shop_url, store_url) as own:
        ears = Listening(own.bank, "capture")
        order = await own.order()
        with within(A):
            await own.pay(order)
        begun = len(ears.heard)
        assert {trace for _, trace in ears.heard} == {A}
        await own.settle(3, worker=own.new_worker())
        with within(B):
            await own.worker.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
            await own.worker.caring.refund(EVENT, order["order"], 400, "r1", by="ida", body=b"{}")
        channel = Channel()
        home = OneHome(Home("main", Grouping(own.scene.database)))
        await Relay(home, [channel], own.scene.clock, own.scene.metrics).pass_by(home.home, channel)
        yield own, [trace for _, trace in ears.heard[begun:]], channel.noted


async def test_who_works_on_an_order_goes_on_with_its_trace(shop_url: str, store_url: str) -> None:
    """Another process after a crash, a notice, a refund, and whoever sends the mails."""
    async with worked_on(shop_url, store_url) as (own, asked, noted):
        with own.scene.database.listing() as connection:
            kept = list(connection.scalars(sa.select(ORDER_TRACES.c.trace)))

    assert len(asked) >= 3
    assert set(asked) == {A}
    assert set(noted) == {A}
    assert len(noted) >= 2
    assert kept == [f"00-{A}-{'1' * 16}-00"]


def anew(_kept: str, *words: Any, **more: Any) -> tracing.Step:
    """Do not go on: begin a trace of one's own."""
    return continuing("", *words, **more)


def alone(_kept: str, *_words: Any, **_more: Any) -> tracing.Step:
    """Do not go on, whoever is asking."""
    return tracing.Step(tracing.new(), None)


@pytest.mark.parametrize(("module", "instead"), [(driving, anew), (refunding, alone), (relay, anew)])
async def test_a_worker_that_begins_anew_would_be_noticed(
    module: Any,
    instead: Callable[..., tracing.Step],
    shop_url: str,
    store_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutants: each place that goes on with a trace is needed."""
    monkeypatch.setattr(module, "continuing", instead)
    async with worked_on(shop_url, store_url) as (_own, asked, noted):
        assert {*asked, *noted} != {A}


async def test_a_second_try_belongs_to_the_first_ones_trace(shop_url: str, store_url: str) -> None:
    """It is the same order, though it comes by another request."""
    async with shop(shop_url, store_url) as own:
        ears = Listening(own.bank)
        order = await own.order()
        with within(A):
            await own.pay(order, "no-funds", "k1")
        with within(B):
            await own.pay(order, "ok", "k2")
        found = (await own.rows(order))[1]

    assert {trace for _, trace in ears.heard} == {A}
    assert {one.trace for one in found} == {f"00-{A}-{'1' * 16}-00"}


async def test_an_order_without_a_trace_is_paid_as_well(shop_url: str, store_url: str) -> None:
    """Nothing depends on it; whoever works on it has one of its own meanwhile."""
    async with shop(shop_url, store_url) as own:
        ears = Listening(own.bank)
        await own.paid()
        with own.scene.database.listing() as connection:
            kept = connection.scalar(sa.select(sa.func.count()).select_from(ORDER_TRACES))

    assert kept == 0
    assert len({trace for _, trace in ears.heard}) == 1

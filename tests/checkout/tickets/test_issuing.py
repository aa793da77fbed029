"""Tickets and money: there is one if and only if its seat is paid, wherever a process dies."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.fraud.review import Decision
from checkout.orders import driving, store
from checkout.orders.ports import Judgement
from checkout.orders.review import Word
from checkout.tables import ATTEMPTS, EVENT_LOG, MONEY, ORDERS, TICKETS
from checkout.tickets.rows import Stale
from checkout.tickets.ticket import Ticket, TicketState, Why
from kernel.errors import Unavailable
from tests.checkout.orders.test_crashes import Dead
from tests.checkout.orders.test_refunds import Suspicious
from tests.checkout.reservations import EVENT
from tests.checkout.tickets.selling import bought, tickets_at
from tests.checkout.tills import faults, shop

OF_PAYING = (ORDERS, ATTEMPTS, MONEY, TICKETS, EVENT_LOG)
DAY_MS = 86_400_000


def all_rows(database: ShopDatabase) -> list[list[Any]]:
    """Read every row that the end of a payment may change."""
    with database.listing() as connection:
        return [sorted(map(tuple, connection.execute(sa.select(table))), key=repr) for table in OF_PAYING]


@contextmanager
def dying(database: ShopDatabase, at: int, sent: list[int]) -> Iterator[None]:
    """Let the process die at the n-th statement of settling, or when all are sent; `sent` counts them."""
    settle, is_settling = store.settle, False

    def passes(*_arguments: object) -> None:
        if is_settling:
            sent[0] += 1
            if sent[0] == at:
                raise Dead(f"statement {at}")

    def settled(*arguments: Any, **named: Any) -> Any:
        nonlocal is_settling
        is_settling = True
        sent[0] = 0
        try:
            done = settle(*arguments, **named)
            passes()
            return done
        finally:
            is_settling = False

    engine = database._engine
    sa.event.listen(engine, "before_cursor_execute", passes)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(driving, "settle", settled)
            yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", passes)


async def test_a_death_at_any_statement_leaves_neither_or_both(shop_url: str, store_url: str) -> None:
    """T1, C3: order, money and tickets change together; afterwards there is one ticket for each seat."""
    async with shop(shop_url, store_url) as own:
        sent = [0]
        with dying(own.scene.database, 0, sent):
            await own.paid("ann", 0, 1)
        statements = sent[0]
        assert statements >= 5

        for at in range(1, statements + 1):
            buyer = f"b{at}"
            order = await own.order(buyer, 2 * at, 2 * at + 1)
            before: list[list[Any]] = []

            async def look(called: str, before: list[list[Any]] = before) -> None:
                if called == "capture":
                    before[:] = all_rows(own.scene.database)

            own.bank.after = look
            with dying(own.scene.database, at, [0]), suppress(Dead):
                await own.pay(order, buyer=buyer)
            own.bank.after = None
            assert all_rows(own.scene.database) == before, f"statement {at} of {statements}"
            own.worker = own.new_worker()
            await own.settle(rounds=3)
        wrong = await faults(own)
        with own.scene.database.listing() as connection:
            count = connection.scalar(sa.select(sa.func.count()).select_from(TICKETS))

    assert wrong == []
    assert count == 2 * (statements + 1)


async def test_tickets_in_a_transaction_of_their_own_are_missed(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: made afterwards, they are not there when the process dies in between; I5 tells."""
    monkeypatch.setattr(store, "issue", lambda *_: [])
    async with shop(shop_url, store_url) as own:
        await own.paid("ann", 0, 1)
        wrong = await faults(own)

    assert [one.partition(":")[0] for one in wrong] == ["I5", "I5"]


async def test_money_that_goes_back_takes_its_tickets_along(shop_url: str, store_url: str) -> None:
    """F2: whole, they are revoked in the transaction that frees the seats; the next buyer has the only ones."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        first = await bought(own, tickets, 0, 1)
        order = first[0].ticket.order
        await own.worker.caring.refund(EVENT, order, None, "r1", by="ida")
        await own.settle(2)
        await own.reconcile()
        gone = await tickets.of_order(EVENT, order)
        second = await bought(own, tickets, 0, 1, buyer="bob")
        wrong = await faults(own)

    assert [(one.ticket.state, one.ticket.why, one.code) for one in gone] == [
        (TicketState.REVOKED, Why.RETURNED, "")
    ] * 2
    assert all(one.ticket.state is TicketState.VALID and one.code for one in second)
    assert wrong == []


async def test_without_revoking_a_seat_would_have_two_tickets(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the seat is free, its old ticket still counts, and the database lets nobody have a second one."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        first = await bought(own, tickets, 0)
        monkeypatch.setattr(store, "revoke_all", lambda *_: [])
        await own.worker.caring.refund(EVENT, first[0].ticket.order, None, "r1", by="ida")
        await own.settle(2)
        await own.reconcile()
        wrong = await faults(own)

    assert any(one.startswith("I5") for one in wrong)


async def test_a_part_that_goes_back_leaves_the_tickets(shop_url: str, store_url: str) -> None:
    """The organiser who wants one of them gone withdraws it."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        first, second = await bought(own, tickets, 0, 1)
        await own.worker.caring.refund(EVENT, first.ticket.order, 400, "r1", by="ida")
        await own.settle(2)
        withdrawn = await tickets.withdraw(EVENT, first.ticket.id)
        again = await tickets.withdraw(EVENT, first.ticket.id)
        shown = await tickets.of_order(EVENT, first.ticket.order)
        wrong = await faults(own)

    assert isinstance(withdrawn, Ticket)
    assert again is None
    assert [(one.ticket.state, one.ticket.why) for one in shown] == [
        (TicketState.REVOKED, Why.WITHDRAWN),
        (TicketState.VALID, Why.NONE),
    ]
    assert shown[1].ticket.id == second.ticket.id
    assert wrong == []


async def test_a_disputed_payment_blocks_and_a_dispute_that_is_won_lets_in_again(
    shop_url: str, store_url: str
) -> None:
    """F3: nothing is written at the ticket; while the bank has the money back, it opens nothing."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        (before,) = await bought(own, tickets, 0)
        order = before.ticket.order

        async def heard(disputed_minor: int, name: str) -> bool:
            own.bank.set("pay-1", disputed_minor=disputed_minor)
            await own.worker.notices.hear("bank", f"{name}:pay-1".encode(), {"signed": "yes"})
            (shown,) = await tickets.of_order(EVENT, order)
            assert bool(shown.code) is not shown.is_blocked
            return shown.is_blocked

        opened, won = await heard(400, "n1"), await heard(0, "n2")
        (after,) = await tickets.of_order(EVENT, order)

    assert (opened, won) == (True, False)
    assert after == before


async def test_nobody_has_a_ticket_before_the_money_is_taken(shop_url: str, store_url: str) -> None:
    """Seed 58: not while somebody looks at the payment, not after a decline, not when it is refused."""
    judge = Suspicious(Judgement.ALLOW, Judgement.REVIEW)
    async with shop(shop_url, store_url, judge=judge) as own:
        tickets = tickets_at(own)
        order = await own.order("ann", 0)
        await own.pay(order)
        in_review = await tickets.of_order(EVENT, order["order"])
        await own.worker.caring.judge(EVENT, order["order"], Decision.REFUSE, Word("ida"))
        await own.settle(2)
        refused = await tickets.of_order(EVENT, order["order"])
        declined = await own.order("bob", 1)
        await own.pay(declined, method="no-funds", buyer="bob")
        wrong = await faults(own, settled=False)

    assert (in_review, refused) == ([], [])
    assert wrong == []


async def test_a_ticket_that_is_made_anew_is_another_one(shop_url: str, store_url: str) -> None:
    """The old code counts no more; the new one does, and cannot be made anew at the same moment twice."""
    async with shop(shop_url, store_url) as own:
        tickets, others = tickets_at(own), tickets_at(own)
        (first,) = await bought(own, tickets, 0)
        made = await tickets.reissue(EVENT, first.ticket.id)
        late = await others.reissue(EVENT, first.ticket.id)
        (old,) = await tickets.of_name(EVENT, first.ticket.id)
        shown = await tickets.of_order(EVENT, first.ticket.order)
        every = await tickets.all_of_order(EVENT, first.ticket.order)
        by_number = await tickets.find(EVENT, shown[0].ticket.number.lower())
        wrong = await faults(own)

    assert isinstance(made, Ticket)
    assert late is None
    assert (old.ticket.why, old.code) == (Why.REISSUED, "")
    assert [one.ticket.id for one in shown] == [one.ticket.id for one in by_number] == [made.id]
    assert len(every) == 2
    assert wrong == []


async def test_a_code_is_the_same_whoever_writes_it(shop_url: str, store_url: str) -> None:
    """T2: a renderer that dies loses nothing; what is drawn anew has the same code."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        (first,) = await bought(own, tickets, 0)
        (second,) = await tickets_at(own, tickets._keys).of_order(EVENT, first.ticket.order)  # type: ignore[arg-type]

    assert first.code == second.code != ""


async def test_other_events_and_strangers_see_nothing(shop_url: str, store_url: str) -> None:
    """Whoever asks for an order that is not theirs, or a ticket of another event."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        (first,) = await bought(own, tickets, 0)
        order, name = first.ticket.order, first.ticket.id
        mine = await tickets.of_buyer(EVENT, order, "ann")
        theirs = await tickets.of_buyer(EVENT, order, "bob")
        nobodys = await tickets.of_buyer(EVENT, "O0123456789a", "bob")
        elsewhere = [
            await tickets.of_order("another", order),
            await tickets.of_name("another", name),
            await tickets.find("another", first.ticket.number),
            await tickets.find(EVENT, "rubbish"),
        ]

    assert mine is not None
    assert [one.ticket.id for one in mine] == [name]
    assert (theirs, nobodys) == (None, None)
    assert elsewhere == [[], [], [], []]


async def test_a_change_that_is_always_overtaken_is_told_as_busy(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody loops for ever."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        (first,) = await bought(own, tickets, 0)

        async def stale(_work: object) -> None:
            raise Stale

        monkeypatch.setattr(tickets._group(EVENT), "write", stale)
        with pytest.raises(Unavailable):
            await tickets.offer(EVENT, first.ticket.id, own.scene.clock.now_ms() + DAY_MS)

"""Giving a ticket to somebody else: once, to one, and what was used or does not count is not given."""

import asyncio

import pytest
import sqlalchemy as sa

from checkout.tables import TRANSFERS
from checkout.tickets import giving
from checkout.tickets.giving import NotGiven, Offer
from checkout.tickets.issuing import use
from checkout.tickets.service import Tickets
from checkout.tickets.ticket import Ticket, TicketState, Why
from tests.checkout.reservations import EVENT
from tests.checkout.tickets.selling import LINKS, bought, tickets_at
from tests.checkout.tills import Shop, faults, shop

DAY_MS = 86_400_000


def until(own: Shop) -> int:
    """Say when an offer ends."""
    return own.scene.clock.now_ms() + DAY_MS


async def used(own: Shop, ticket: Ticket) -> None:
    """Let somebody in with a ticket."""
    now_ms = own.scene.clock.now_ms()
    await own.worker.till.group.write(lambda connection: use(connection, ticket, now_ms, now_ms))


async def offered(own: Shop, tickets: Tickets, seat: int = 0, buyer: str = "ann") -> tuple[Ticket, Offer]:
    """Buy a ticket and offer it."""
    (shown,) = await bought(own, tickets, seat, buyer=buyer)
    made = await tickets.offer(EVENT, shown.ticket.id, until(own))
    assert isinstance(made, Offer)
    return shown.ticket, made


async def test_who_takes_a_ticket_has_another_one(shop_url: str, store_url: str) -> None:
    """The giver's order still names it, without a code; who took it has the seat, and the books are right."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        ticket, _ = await offered(own, tickets)
        taken = await tickets.take(EVENT, ticket.id, "bearer")
        again = await tickets.take(EVENT, ticket.id, "bearer")
        assert isinstance(taken, Ticket)
        (theirs,) = await tickets.of_name(EVENT, taken.id)
        (old,) = await tickets.of_name(EVENT, ticket.id)
        left = await tickets.of_order(EVENT, ticket.order)
        wrong = await faults(own)

    assert again is NotGiven.OVER
    assert (theirs.ticket.seat, theirs.ticket.holder, theirs.ticket.issue) == (ticket.seat, "bearer", 2)
    assert theirs.code
    assert (old.ticket.state, old.ticket.why, old.code) == (TicketState.REVOKED, Why.TRANSFERRED, "")
    assert left == []
    assert wrong == []


async def test_twenty_who_take_at_once_are_one(shop_url: str, store_url: str) -> None:
    """One has it, all others hear that it is gone."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        ticket, _ = await offered(own, tickets)
        workers = [tickets_at(own) for _ in range(4)]
        outcomes = await asyncio.gather(*(workers[n % 4].take(EVENT, ticket.id, f"h{n}") for n in range(20)))
        wrong = await faults(own)

    assert sum(isinstance(one, Ticket) for one in outcomes) == 1
    assert {one for one in outcomes if not isinstance(one, Ticket)} == {NotGiven.OVER}
    assert wrong == []


async def test_a_keeper_and_a_taker_at_once_are_not_both_right(shop_url: str, store_url: str) -> None:
    """Either the giver kept it, or it was taken."""
    async with shop(shop_url, store_url) as own:
        for seat in range(8):
            tickets, other = tickets_at(own), tickets_at(own)
            ticket, _ = await offered(own, tickets, seat, f"b{seat}")
            taken, kept = await asyncio.gather(
                other.take(EVENT, ticket.id, "h"), tickets.keep(EVENT, ticket.id)
            )
            (shown,) = await tickets.of_name(EVENT, ticket.id)
            assert isinstance(taken, Ticket) is not kept
            assert (shown.ticket.state is TicketState.VALID) is kept


async def test_an_offer_that_is_repeated_is_the_same_and_after_keeping_another(
    shop_url: str, store_url: str
) -> None:
    """So the link of an offer that was taken back opens nothing, whatever is offered later."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        ticket, first = await offered(own, tickets)
        own.scene.clock.advance(1_000)
        same = await tickets.offer(EVENT, ticket.id, until(own))
        kept, again = await tickets.keep(EVENT, ticket.id), await tickets.keep(EVENT, ticket.id)
        gone = await tickets.take(EVENT, ticket.id, "h")
        second = await tickets.offer(EVENT, ticket.id, until(own))

    assert same == first
    assert (kept, again, gone) == (True, False, NotGiven.OVER)
    assert isinstance(second, Offer)
    old = LINKS.gift(EVENT, ticket.id, first.offered_ms).rpartition("/")[2]
    assert LINKS.gives(EVENT, ticket.id, first.offered_ms, old)
    assert not LINKS.gives(EVENT, ticket.id, second.offered_ms, old)


async def test_an_offer_ends(shop_url: str, store_url: str) -> None:
    """To the millisecond; after the event has begun nothing is given."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        ticket, made = await offered(own, tickets)
        own.scene.clock.advance(made.until_ms - own.scene.clock.now_ms() - 1)
        (before,) = await tickets.of_name(EVENT, ticket.id)
        now_ms = own.scene.clock.now_ms()
        own.scene.clock.advance(1)
        late = await tickets.take(EVENT, ticket.id, "h")
        anew = await tickets.offer(EVENT, ticket.id, made.until_ms)

    assert before.offer is not None
    assert before.offer.is_open(now_ms)
    assert not before.offer.is_open(made.until_ms)
    assert (late, anew) == (NotGiven.OVER, NotGiven.NOT_VALID)


@pytest.mark.parametrize("what", ["used", "withdrawn", "refunded", "disputed"])
@pytest.mark.parametrize("is_offered", [False, True], ids=["before", "after the offer"])
async def test_what_does_not_count_is_neither_offered_nor_taken(
    what: str, is_offered: bool, shop_url: str, store_url: str
) -> None:
    """Also when that happens while the offer stands."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        (shown,) = await bought(own, tickets, 0)
        ticket = shown.ticket
        if is_offered:
            await tickets.offer(EVENT, ticket.id, until(own))
        if what == "used":
            await used(own, ticket)
        elif what == "withdrawn":
            await tickets.withdraw(EVENT, ticket.id)
        elif what == "refunded":
            await own.worker.caring.refund(EVENT, ticket.order, None, "r1", by="ida")
            await own.settle(2)
        else:
            own.bank.set("pay-1", disputed_minor=400)
            await own.worker.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
        if is_offered:
            outcome = await tickets.take(EVENT, ticket.id, "h")
        else:
            outcome = await tickets.offer(EVENT, ticket.id, until(own))  # type: ignore[assignment]

    assert outcome is NotGiven.NOT_VALID


async def test_without_looking_a_used_ticket_would_let_in_twice(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: in with the ticket, then given away, and the friend is in as well."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        ticket, _ = await offered(own, tickets)
        await used(own, ticket)
        monkeypatch.setattr(giving, "_can_be_given", lambda *_: True)
        (was,) = await tickets.of_name(EVENT, ticket.id)
        taken = await tickets.take(EVENT, ticket.id, "h")

    assert was.ticket.state is TicketState.USED
    assert isinstance(taken, Ticket)
    assert taken.state is TicketState.USED, "what was used stays used, whoever has it"


async def test_a_gift_goes_back_with_its_order(shop_url: str, store_url: str) -> None:
    """Who paid gets the money; who took the ticket has none any more."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        ticket, _ = await offered(own, tickets)
        taken = await tickets.take(EVENT, ticket.id, "h")
        assert isinstance(taken, Ticket)
        await own.worker.caring.refund(EVENT, ticket.order, None, "r1", by="ida")
        await own.settle(2)
        (theirs,) = await tickets.of_name(EVENT, taken.id)
        await own.reconcile()
        wrong = await faults(own)

    assert (theirs.ticket.state, theirs.ticket.why) == (TicketState.REVOKED, Why.RETURNED)
    assert wrong == []


@pytest.mark.parametrize("name", ["", "0" * 32, "rubbish"])
async def test_what_is_no_ticket_is_not_given(name: str, shop_url: str, store_url: str) -> None:
    """Nothing is written."""
    async with shop(shop_url, store_url) as own:
        tickets = tickets_at(own)
        outcomes = [
            await tickets.offer(EVENT, name, until(own)),
            await tickets.take(EVENT, name, "h"),
        ]
        kept, shown = await tickets.keep(EVENT, name), await tickets.offered(EVENT, name)
        with own.scene.database.listing() as connection:
            rows = connection.execute(sa.select(TRANSFERS)).all()

    assert outcomes == [NotGiven.UNKNOWN] * 2
    assert (kept, shown, rows) == (False, None, [])


def test_links_are_ours_and_of_one_thing() -> None:
    """Another event, another name, another purpose: another mac."""
    path = LINKS.tickets(EVENT, "O1")
    mac = path.rpartition("/")[2]

    assert LINKS.opens(EVENT, "O1", mac)
    for event, name, given in (
        ("other", "O1", mac), (EVENT, "O2", mac), (EVENT, "O1", mac[:-1]), (EVENT, "O1", ""), (EVENT, "O1", "é"),
        (EVENT, "O1", LINKS.gift(EVENT, "O1", 0).rpartition("/")[2]),
    ):  # fmt: skip
        assert not LINKS.opens(event, name, given)

"""Support: an order is found by whatever somebody can read out, with what matters of it; nobody else's is."""

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.halls.houses import arena_60000
from checkout.halls.layout import Layout, names
from checkout.money import Money
from checkout.orders.ports import Judgement
from checkout.organiser import support
from checkout.organiser.clues import clues_of, seats_named
from checkout.payments.port import Dispute, DisputeState
from checkout.tables import ATTEMPTS, TICKETS
from checkout.tickets.ticket import number_of, ticket_id
from tests.checkout.bank import losing
from tests.checkout.catalogues import small_layout
from tests.checkout.order_desks import OrderDesk, order_desk
from tests.checkout.orders.test_refunds import Suspicious
from tests.checkout.organiser.test_orders_desk_inputs import NOBODY, problem
from tests.checkout.reservations import EVENT

LAYOUT = small_layout()


async def found(desk: OrderDesk, text: str) -> list[tuple[str, list[str]]]:
    """Look for a text; returns the orders and as what they were found."""
    answer = await desk.client.get(f"/organiser/api/events/{EVENT}/support", params={"find": text})
    assert answer.status_code == 200, answer.text
    return [(one["order"], one["found_by"]) for one in answer.json()["orders"]]


async def test_an_order_is_found_by_all_its_names(shop_url: str, store_url: str) -> None:
    """Order, reservation, ticket's id and number, payment, card, seat; each finds this order and no other."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid("ann", 0, 1))["order"]
        other = (await desk.shop.paid("bob", 5))["order"]
        desk.shop.scene.clock.advance(1000)
        with desk.shop.scene.database.writing() as connection:
            connection.execute(
                sa.update(ATTEMPTS).where(ATTEMPTS.c.order_id == other).values(card="mastercard 1111")
            )
        ticket = ticket_id(order, 1, 1)
        ways = {
            order: ["order"],
            f"R{order[1:]}": ["reservation"],
            ticket: ["ticket"],
            ticket.upper(): ["ticket"],
            number_of(ticket): ["ticket"],
            number_of(ticket).lower().replace("-", " "): ["ticket"],
            "pay-1": ["payment"],
            "4242": ["card"],
            "visa 4242": ["card"],
            "VISA 4242": ["card"],
            "Stalls, row A, 2": ["seat"],
            "  stalls a 2 ": ["seat"],
        }
        for text, by in ways.items():
            assert await found(desk, text) == [(order, by)], text
        assert await found(desk, "mastercard 1111") == [(other, ["card"])]
        for nobody in (
            "visa 1111",
            "1234",
            "Stalls, row A, 3",
            "pay-9",
            NOBODY,
            "Floor",
            "%",
            "_",
            "visa %",
            "ann",
            "A",
        ):
            assert await found(desk, nobody) == [], nobody


async def test_what_matters_is_told_at_a_glance(shop_url: str, store_url: str) -> None:
    """Seats by name with their tickets, the payment, money, refunds by state; nothing waits of one that is well."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid("ann", 0, 1))["order"]
        await desk.refund(order, "r1", amount_minor=1000)
        await desk.refund(order, "r2", amount_minor=500)
        answers = (await desk.ask("GET", f"/support?find={order}")).json()

    assert answers["is_all"]
    (one,) = answers["orders"]
    assert (one["provider"], one["payment"], one["card"], one["decline"]) == (
        "bank",
        "pay-1",
        "visa 4242",
        None,
    )
    assert (one["captured_minor"], one["refunded_minor"], one["waits"]) == (8400, 1500, [])
    assert one["refunds"] == {"done": {"count": 2, "total_minor": 1500}}
    assert one["seats"][1] == {
        "seat": 1, "section": "Stalls", "row": "A", "number": "2", "price_minor": 4200, "is_theirs": True,
        "ticket": ticket_id(order, 1, 1), "ticket_number": number_of(ticket_id(order, 1, 1)), "ticket_state": "valid",
    }  # fmt: skip


async def test_what_waits_is_told(shop_url: str, store_url: str) -> None:
    """A refund under way, one that failed, a dispute with its tickets blocked, a review, a ticket that is missing."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid("ann", 0, 1))["order"]

        async def waits() -> Any:
            (one,) = (await desk.ask("GET", f"/support?find={order}")).json()["orders"]
            return one["waits"], {line["ticket_state"] for line in one["seats"]}

        desk.shop.bank.set("pay-1", captured_minor=0)
        await desk.refund(order, "r1", amount_minor=10)
        failed = await waits()
        desk.shop.bank.set("pay-1", captured_minor=8400)
        await desk.shop.worker.notices.hear("bank", b"n0:pay-1", {"signed": "yes"})
        desk.shop.bank.before = losing("refund")
        await desk.refund(order, "r2", amount_minor=10)
        wanted = await waits()
        dispute = Dispute("dp-1", DisputeState.OPEN, Money(8390, "EUR"), 5, "fraudulent", 0)
        desk.shop.bank.set("pay-1", disputed_minor=8390, disputes=(dispute,))
        await desk.shop.worker.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
        disputed = await waits()
        with desk.shop.scene.database.writing() as connection:
            connection.execute(sa.delete(TICKETS).where(TICKETS.c.seat == 1))
        missing = await waits()

    assert failed == (["refund-failed"], {"valid"})
    assert wanted == (["refund-failed", "refund-wanted"], {"valid"})
    assert disputed == (["refund-failed", "refund-wanted", "dispute"], {"blocked"})
    assert missing == (["refund-failed", "refund-wanted", "dispute", "ticket-missing"], {"blocked", None})


async def test_an_order_in_review_says_so(shop_url: str, store_url: str) -> None:
    """Its seats are sold, and somebody has to look."""
    judge = Suspicious(Judgement.REVIEW, Judgement.ALLOW)
    async with order_desk(shop_url, store_url, judge=judge) as desk:
        paper = await desk.shop.order()
        await desk.shop.pay(paper)
        (one,) = (await desk.ask("GET", "/support?find=visa 4242")).json()["orders"]

    assert (one["state"], one["waits"]) == ("review", ["review"])


async def test_a_seat_that_was_sold_again_finds_both(shop_url: str, store_url: str) -> None:
    """Who had it and who has it; the newest first, and whose it is now."""
    async with order_desk(shop_url, store_url) as desk:
        first = (await desk.shop.paid("ann", 0))["order"]
        await desk.refund(first, "r1")
        await desk.shop.reconcile()
        desk.shop.scene.clock.advance(1000)
        second = (await desk.shop.paid("bob", 0))["order"]
        answers = (await desk.ask("GET", "/support?find=Stalls, row A, seat 1")).json()["orders"]

    assert [(one["order"], one["seats"][0]["is_theirs"]) for one in answers] == [
        (second, True),
        (first, False),
    ]
    assert [one["seats"][0]["ticket_state"] for one in answers] == ["valid", "revoked"]


async def test_more_than_can_be_looked_at_is_said_to_be_more(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are told."""
    monkeypatch.setattr(support, "MOST", 2)
    async with order_desk(shop_url, store_url) as desk:
        made = []
        for seat, buyer in enumerate(("ann", "bob", "cy")):
            desk.shop.scene.clock.advance(1000)
            made.append((await desk.shop.paid(buyer, seat))["order"])
        three = (await desk.ask("GET", "/support?find=4242")).json()
        monkeypatch.setattr(support, "MOST", 3)
        whole = (await desk.ask("GET", "/support?find=4242")).json()

    assert ([one["order"] for one in three["orders"]], three["is_all"]) == (made[:0:-1], False)
    assert ([one["order"] for one in whole["orders"]], whole["is_all"]) == (made[::-1], True)


# ------------------------------------------------------------------------------------- by mail


class Addresses:
    """Knows whose address it is, and of orders of another event as well."""

    def __init__(self) -> None:
        self.orders: Sequence[str] = ()
        self.asked: list[tuple[str, str]] = []

    async def find_by_mail(self, event: str, address: str) -> Sequence[str]:
        """Tell."""
        self.asked.append((event, address))
        return self.orders


async def test_who_keeps_addresses_is_asked(shop_url: str, store_url: str) -> None:
    """Only for what is an address; of what is answered only this event's orders are told."""
    mails = Addresses()
    async with order_desk(shop_url, store_url, mails=mails) as desk:
        order = (await desk.shop.paid())["order"]
        mails.orders = [order, NOBODY]
        by_mail = await found(desk, "ann@example.com")
        await found(desk, "4242")

    assert by_mail == [(order, ["mail"])]
    assert mails.asked == [(EVENT, "ann@example.com")]


async def test_without_addresses_nobody_is_found_by_one(shop_url: str, store_url: str) -> None:
    """The shop as it is today."""
    async with order_desk(shop_url, store_url) as desk:
        await desk.shop.paid()
        assert await found(desk, "ann@example.com") == []


# -------------------------------------------------------------------------------------- clues


@pytest.mark.parametrize("layout", [LAYOUT, arena_60000().layout], ids=["mill", "arena"])
def test_a_seat_is_found_by_its_name(layout: Layout) -> None:
    """Whatever the hall is like: in the hall's words, in English and in German; people who stand have no seat."""
    seats = [*range(0, layout.seats, max(1, layout.seats // 40)), layout.seats - 1]
    for seat in seats:
        section, row, number = names(layout, seat)
        spoken = (
            f"{section}, {row}, {number}",
            f"{section} row {row} seat {number}",
            f"{section}, Reihe {row}, Platz {number}",
        )
        for text in spoken:
            assert (seats_named(layout, text) == [seat]) is bool(number), text
            assert (seats_named(layout, text.upper()) == [seat]) is bool(number), text


@pytest.mark.parametrize(
    "text", ["", ",", "row", "Stalls", "Stalls, A", "A, 1", "Stalls, A, 1, 1", "Stalls, C, 1", "1 A Stalls"]
)
def test_half_a_name_is_no_seat(text: str) -> None:
    """Section, row and number are needed, in this order."""
    assert seats_named(LAYOUT, text) == []


def test_a_mail_address_is_looked_for_as_nothing_else() -> None:
    """It goes to nobody but who keeps addresses."""
    clues = clues_of("visa@4242", LAYOUT)

    assert (clues.mail, clues.payment, clues.last4, clues.seats) == ("visa@4242", "", "", ())


# ------------------------------------------------------------------------------------- mutants


async def test_a_desk_that_forgets_the_event_would_be_found(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At another event's desk nothing of this one is found; the mutant looks everywhere."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        await desk.other_event("autumn")

        async def elsewhere(text: str) -> list[str]:
            path = "/organiser/api/events/autumn/support"
            return [
                one["order"] for one in (await desk.client.get(path, params={"find": text})).json()["orders"]
            ]

        texts = (order, f"R{order[1:]}", ticket_id(order, 0, 1), "pay-1", "4242", "Stalls, A, 1")
        there = [await elsewhere(text) for text in texts]
        real = support._find
        monkeypatch.setattr(support, "_find", lambda place, _event, *rest: real(place, EVENT, *rest))
        mutant = [await elsewhere(text) for text in texts]

    assert there == [[]] * len(texts)
    assert mutant == [[order]] * len(texts)


# -------------------------------------------------------------------------------------- inputs

TEXT = "find: it must be a text of 1 to 100 characters"
INPUTS: list[tuple[str, list[str]]] = [
    ("", ["find: it is missing"]),
    ("?find=", [TEXT]),
    ("?find=%20", [TEXT]),
    ("?find=%00", [TEXT]),
    ("?find=a%0Ab", [TEXT]),
    ("?find=" + "x" * 101, [TEXT]),
    ("?find=%ED%A0%80x%7F", [TEXT]),
    ("?find=a&find=b", ["find: it is there twice"]),
    ("?find=a&limit=5", ["limit: it is unknown"]),
    ("?order=a", ["order: it is unknown", "find: it is missing"]),
]
HARMLESS = [
    "' OR 1=1 --", "%", "visa %", "\\", "😀", "R", "O", "O%", "x" * 100, "0000", "visa 0000", "9" * 32, "f" * 32,
    "ZZZZZ-ZZZZZ", "٤٢٤٢", "a@", "@", "@@@", "Stalls, A, 99999999999999999999",
]  # fmt: skip


async def test_what_is_asked_for_wrongly_is_told(shop_url: str, store_url: str) -> None:
    """Parameters, events that are not there, methods, no token; and texts that mean nothing find nothing."""
    async with order_desk(shop_url, store_url) as desk, desk.stranger() as stranger:
        await desk.shop.paid()
        for query, faults in INPUTS:
            assert problem(await desk.ask("GET", f"/support{query}")) == (422, "query-invalid", faults), query
        for text in HARMLESS:
            assert await found(desk, text) == [], text
        for event in ("none", "%00", "x" * 300):
            answer = await desk.everywhere("GET", f"/events/{event}/support?find=x")
            assert problem(answer) == (404, "event-unknown", [])
        assert problem(await desk.ask("POST", "/support?find=x", {})) == (405, "method-not-allowed", [])
        answer = await stranger.get(f"/organiser/api/events/{EVENT}/support?find=4242")
        assert problem(answer)[:2] == (401, "token-missing")

"""Paying: what a buyer does with each answer, before a cashier that says what it is told to."""

import asyncio
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from gateway.crowd.paying import LOOKS, MANNERS, Last, Manner, Odd, Paying, Purchase, Said

TOTAL = 4200


def paper(phase: str, **more: object) -> dict[str, Any]:
    """An order as the shop tells it."""
    state = {"paid": "paid", "over": "cancelled"}.get(phase, "open")
    told = {
        "order": "O1",
        "reservation": "R1",
        "phase": phase,
        "state": state,
        "currency": "EUR",
        "attempt": 1,
    }
    return {
        **told,
        "total_minor": TOTAL,
        "action_url": "http://bank/1" if phase == "action" else None,
        **more,
    }


def said(phase: str, status: int = 200, **more: object) -> Said:
    """An answer with the order in it."""
    return Said(status, paper(phase, **more))


def refused(status: int, code: str, **more: object) -> Said:
    """A problem."""
    return Said(status, {"code": code, **more}, 2.0 if status == 409 else None)


DECLINED = refused(402, "payment-declined", order=paper("declined"))


class Scripted:
    """A cashier with its answers in order; what runs out is answered by the last."""

    def __init__(
        self, pays: Iterable[Said], looks: Iterable[Said] = (), *, order: Said | None = None
    ) -> None:
        self.pays, self.looks = list(pays), list(looks)
        self.first = order or said("to-pay", 201)
        self.given_up = said("over")
        self.acts: list[str] = []
        self.keys: list[str] = []
        self.paused_s: list[float] = []
        self.time_ms = 0.0

    async def order(self, reservation: str) -> Said:
        """Answer."""
        self.acts.append(f"order {reservation}")
        return self.first

    async def pay(self, order: str, method: str, key: str) -> Said:
        """Answer."""
        del order
        self.acts.append(f"pay {method}")
        self.keys.append(key)
        return self.pays.pop(0) if len(self.pays) > 1 else self.pays[0]

    async def pay_and_hang_up(self, order: str, method: str, key: str) -> None:
        """Hear it."""
        del order, method, key
        self.acts.append("pay and hang up")

    async def look(self, order: str, *, at_provider: bool) -> Said:
        """Answer."""
        del order
        self.acts.append("look at the provider" if at_provider else "look")
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    async def give_up(self, order: str) -> Said:
        """Answer."""
        self.acts.append(f"give up {order}")
        return self.given_up

    async def approve(self, url: str) -> bool:
        """Hear it."""
        self.acts.append(f"approve {url}")
        return True

    async def pause(self, seconds: float) -> None:
        """Let no time pass."""
        self.paused_s.append(seconds)

    def now_ms(self) -> float:
        """Tell the time."""
        return self.time_ms


def buy(manner: Manner, cashier: Scripted) -> Purchase:
    """Pay, and give what was noted."""
    purchase = Purchase("night", "R1", manner, TOTAL, "EUR", until_ms=60_000)
    asyncio.run(Paying(cashier, purchase, Random(1)).run())
    return purchase


def test_every_manner_has_its_story() -> None:
    """None is forgotten."""
    assert set(MANNERS) == set(Manner)


def test_a_payment_that_is_not_decided_is_asked_for_until_it_is() -> None:
    """At the moments that the shop names; every fifth look has the shop ask the provider."""
    pending = Said(202, paper("pending"), 3.0)
    cashier = Scripted([pending], [*[said("pending")] * 6, said("paid")])

    assert buy(Manner.OK, cashier).last is Last.PAID
    assert cashier.acts[2:] == [*["look"] * 4, "look at the provider", "look", "look"]
    assert cashier.paused_s[1] == 3.0


def test_a_payment_that_is_never_decided_is_a_fault() -> None:
    """After so many looks nobody waits any longer."""
    cashier = Scripted([Said(202, paper("pending"))], [said("pending")])

    with pytest.raises(Odd, match=f"after {LOOKS} looks"):
        buy(Manner.OK, cashier)


def test_each_try_has_a_key_of_its_own_and_two_presses_share_one() -> None:
    """Another card is another try."""
    other, twice = Scripted([DECLINED, said("paid")]), Scripted([said("paid")], [said("paid")])

    assert buy(Manner.OTHER_CARD, other).last is Last.PAID
    assert buy(Manner.PRESSES_TWICE, twice).last is Last.PAID
    assert len(set(other.keys)) == len(other.keys) == 2
    assert len(set(twice.keys)) == 1
    assert len(twice.keys) == 2


def test_who_is_asked_by_the_bank_answers_and_comes_back() -> None:
    """The page is the one that the order names; the shop is to ask the provider then."""
    cashier = Scripted([said("action")], [said("action"), said("paid")])

    assert buy(Manner.SECURE, cashier).last is Last.PAID
    assert cashier.acts[2:] == ["approve http://bank/1", "look at the provider", "look at the provider"]


@pytest.mark.parametrize(
    ("manner", "last", "may_be_paid"),
    [(Manner.SECURE_LEFT, Last.OPEN, False), (Manner.VANISHES, Last.OPEN, True)],
)
def test_who_is_gone_does_not_know(manner: Manner, last: Last, may_be_paid: bool) -> None:
    """A bank's question that nobody answered cannot have been paid; a request that nobody heard may have."""
    purchase = buy(manner, Scripted([said("action")]))

    assert (purchase.last, purchase.may_be_paid) == (last, may_be_paid)


def test_good_cards_that_are_declined_are_counted_and_the_order_is_given_up() -> None:
    """Three times; whose fault that is depends on whether the provider is ill."""
    purchase = buy(Manner.OK, Scripted([DECLINED]))

    assert (purchase.declined_good, purchase.last, purchase.phases[-1]) == (3, Last.FREE, "over")


def test_an_order_that_cannot_be_given_up_is_looked_at() -> None:
    """A no that became a yes: the order's page says what holds."""
    cashier = Scripted([DECLINED], [said("paid")])
    cashier.given_up = refused(409, "order-paid")

    assert buy(Manner.OK, cashier).last is Last.PAID


def test_a_shop_without_a_till_is_found_out_by_the_first_question() -> None:
    """Nothing else is asked."""
    cashier = Scripted([said("paid")], order=refused(404, "address-unknown"))
    purchase = Purchase("night", "R1", Manner.OK, TOTAL, "EUR", until_ms=60_000)

    assert asyncio.run(Paying(cashier, purchase, Random(1)).run()) is False
    assert cashier.acts == ["order R1"]


@pytest.mark.parametrize(
    "answer",
    [
        refused(403, "payment-blocked"),
        refused(422, "key-reused"),
        refused(404, "order-unknown"),
        Said(200, paper("dreaming")),
    ],
)
def test_an_answer_that_nothing_explains_is_odd(answer: Said) -> None:
    """It ends the buyer's day, and the crowd tells it."""
    with pytest.raises(Odd):
        buy(Manner.OK, Scripted([answer]))


@pytest.mark.parametrize(
    ("cashier", "fault"),
    [
        (Scripted([said("paid", total_minor=TOTAL + 1)]), "its reservation"),
        (Scripted([said("paid", currency="SEK")]), "its reservation"),
        (Scripted([said("paid", order="O2")]), "another order"),
        (Scripted([refused(410, "order-over")]), "before its end"),
    ],
)
def test_what_cannot_be_is_noted(cashier: Scripted, fault: str) -> None:
    """It goes on, and the check is red."""
    assert fault in buy(Manner.OK, cashier).faults[0]


def test_what_was_told_in_the_end_stays_so() -> None:
    """Paid, and then declined: noted, and paid stays what the buyer believes."""
    purchase = buy(Manner.TWO_TABS, Scripted([said("paid"), DECLINED], [said("declined")]))

    assert purchase.last is Last.PAID
    assert purchase.faults == ["order O1 was paid, and is declined now"]


def test_an_answer_that_was_on_its_way_takes_nothing_back() -> None:
    """The other tab was told "pending" before this one was told "paid": the order's page says which holds."""
    purchase = buy(Manner.TWO_TABS, Scripted([said("paid"), said("pending", 202)], [said("paid")]))

    assert (purchase.last, purchase.faults) == (Last.PAID, [])


def test_the_two_tries_of_one_key_are_noted() -> None:
    """One key is one try."""
    purchase = buy(Manner.PRESSES_TWICE, Scripted([said("paid"), said("paid", attempt=2)], [said("paid")]))

    assert purchase.faults == ["one key became the tries ['1', '2']"]


def test_an_order_that_is_over_in_its_time_is_no_fault() -> None:
    """Its time ran out while the buyer thought."""
    cashier = Scripted([refused(410, "order-over")])
    cashier.time_ms = 60_000.0

    purchase = buy(Manner.OK, cashier)

    assert (purchase.last, purchase.faults) == (Last.FREE, [])


def test_a_payment_that_a_person_looks_at_is_no_fault() -> None:
    """The seats are the buyer's; what becomes of the money is decided later, and nothing else is tried."""
    purchase = buy(Manner.OTHER_CARD, Scripted([DECLINED, said("review")]))

    assert (purchase.last, purchase.faults, purchase.may_be_paid) == (Last.REVIEW, [], False)
    assert purchase.asked == 2

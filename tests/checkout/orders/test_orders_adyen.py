"""Orders at a provider of another shape, over real HTTP: what ``test_paying`` and ``test_refunds`` ask, once more.

Nothing of an order's rules knows which provider there is. What differs is when things are known: money is taken when a
notice says so, and until then the order is sold and not yet paid.
"""

import asyncio

import pytest
import sqlalchemy as sa

from checkout.halls.seats import Status
from checkout.orders.notices import Effect
from checkout.orders.order import AttemptState, Goal
from checkout.orders.papers import Phase
from checkout.orders.refund import Refund, RefundState
from checkout.orders.returning import NoRefund
from checkout.tables import ADYEN_ENTRIES, ADYEN_PAYMENTS, ATTEMPTS, MONEY, NOTICES, ORDERS, WORK
from tests.checkout.adyen_tills import AdyenShop, adyen_shop
from tests.checkout.reservations import EVENT
from tests.checkout.sandbox.running import until

PRICE = 8400
CONFIRM, CAPTURE = "POST /v71/payments", "POST /v71/payments/*/captures"


async def refund(own: AdyenShop, order: str, minor: int | None, key: str) -> object:
    """Have money go back."""
    return await own.worker.caring.refund(EVENT, order, minor, key, by="ann", reason="asked for")


async def test_an_order_is_paid_when_its_provider_says_so(shop_url: str, store_url: str) -> None:
    """The seats are sold at once; ``paid`` it is when the notice of the capture has come, and not before."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.order()
        taken_on = await own.pay(order)
        seats = own.scene.sql_seats(0, 1)
        await own.hear()
        paper = await own.look(order)
        _, attempts = await own.rows(order)
        wrong = await own.faults()

    assert (taken_on["state"], taken_on["phase"]) == ("confirmed", Phase.PENDING)
    assert seats == [Status.SOLD] * 2
    assert (paper["state"], paper["phase"], paper["total_minor"], paper["card"]) == (
        "paid", Phase.PAID, PRICE, "visa 1111",
    )  # fmt: skip
    assert [(one.state, one.goal, one.method) for one in attempts] == [(AttemptState.CAPTURED, Goal.PAY, "")]
    assert wrong == []


async def test_one_key_twenty_times_is_one_payment(shop_url: str, store_url: str) -> None:
    """At two workers at once."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.order()
        workers = (own.worker, own.new_worker())
        papers = await asyncio.gather(*(own.pay(order, worker=workers[at % 2]) for at in range(20)))
        await own.settle(4)
        paper = await own.look(order)
        wrong = await own.faults()

    assert {one["attempt"] for one in papers} == {1}
    assert paper["state"] == "paid"
    assert (len(own.payments()), own.captures(order["order"])) == (1, 1)
    assert wrong == []


async def test_a_decline_keeps_the_seats_and_a_second_card_pays(shop_url: str, store_url: str) -> None:
    """Row 54, there as here."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.order()
        declined = await own.pay(order, "not-enough-balance")
        await own.pay(order, key="k2")
        await own.hear()
        paper = await own.look(order)
        seats = own.scene.sql_seats(0, 1)
        wrong = await own.faults()

    assert (declined["phase"], declined["decline"], declined["state"]) == (
        Phase.DECLINED, "insufficient-funds", "open",
    )  # fmt: skip
    assert (paper["state"], paper["attempt"]) == ("paid", 2)
    assert seats == [Status.SOLD] * 2
    assert own.captures(order["order"]) == 1
    assert wrong == []


@pytest.mark.parametrize("decision", ["approve", "refuse"])
async def test_the_banks_page(decision: str, shop_url: str, store_url: str) -> None:
    """The buyer comes back to the provider's address of the shop, and is sent on to the order's own page."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.order()
        asked = await own.pay(order, "asks")
        onward = await own.answer(asked["action_url"], decision)
        await own.worker.ordering.find(EVENT, "ann", order["order"], look=True)
        await own.hear()
        paper = await own.look(order)

    assert (asked["phase"], asked["state"]) == (Phase.ACTION, "open")
    assert onward == f"https://shop.example/orders/summer/{order['order']}"
    if decision == "approve":
        assert (paper["state"], paper["action_url"]) == ("paid", None)
    else:
        assert (paper["phase"], paper["decline"]) == (Phase.DECLINED, "authentication-failed")


async def test_who_never_comes_back_pays_nothing_and_the_seats_are_free(
    shop_url: str, store_url: str
) -> None:
    """P7: and should the buyer answer the bank's page after all, nobody hands that on."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.order()
        asked = await own.pay(order, "asks")
        await own.settle(rounds=40)
        await own.scene.reserving.lapse(own.scene.place)
        await own.answer(asked["action_url"])
        await own.settle(4)
        paper = await own.look(order)
        seats = own.scene.sql_seats(0, 1)
        wrong = await own.faults()

    assert (paper["state"], paper["phase"]) == ("lapsed", Phase.OVER)
    assert seats == [Status.FREE] * 2
    assert [row["authorised"] for row in own.payments()] == [0]
    assert wrong == []


async def test_a_bank_that_agrees_after_the_time_is_let_go_of(shop_url: str, store_url: str) -> None:
    """P8: the notice of a late success finds a try that wants none."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "pending")
        own.scene.clock.set(order["until_ms"] + 1_000)
        await own.scene.reserving.lapse(own.scene.place)
        until(lambda: own.payments()[0]["authorised"])
        await own.settle(rounds=10)
        paper = await own.look(order)
        wrong = await own.faults()

    assert paper["state"] == "lapsed"
    assert [row["status"] for row in own.payments()] == ["cancelled"]
    assert wrong == []


@pytest.mark.parametrize("where", [CONFIRM, CAPTURE])
@pytest.mark.parametrize("fault", ["drop-request", "drop-answer", "error-before", "error-after", "too-many"])
async def test_whatever_gets_lost_charges_nobody_twice(
    fault: str, where: str, shop_url: str, store_url: str
) -> None:
    """P2 to P4, C6: the order is paid once, at once or a moment later."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.order()
        own.box.fault(fault, where, count=2)
        await own.pay(order)
        await own.settle(5)
        paper = await own.look(order)
        wrong = await own.faults()

    assert paper["state"] == "paid"
    assert (own.captures(order["order"]), own.net_minor(order["order"])) == (1, PRICE)
    assert wrong == []


async def test_without_a_notice_nobody_is_said_to_have_paid(shop_url: str, store_url: str) -> None:
    """It got lost: the order waits, sold and not paid, for as long as it takes; the notice, sent again, ends it."""
    async with adyen_shop(shop_url, store_url) as own:
        own.box.fault("webhook-late", "CAPTURE", delay_ms=600_000)
        order = await own.order()
        await own.pay(order)
        for _ in range(15):
            own.scene.clock.advance(30_000)
            await own.worker.recovering.pass_by(own.scene.place)
        waiting = await own.look(order)
        own.scene.clock.advance(600_000)
        await own.settle(2)
        paper = await own.look(order)
        wrong = await own.faults()

    assert (waiting["state"], waiting["phase"]) == ("confirmed", Phase.PENDING)
    assert paper["state"] == "paid"
    assert wrong == []


async def test_money_that_cannot_be_taken_frees_the_seats(shop_url: str, store_url: str) -> None:
    """C5: taken on, and then told to have failed; it is let go, and the order has failed."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "capture-refused")
        await own.settle(20)
        await own.reconcile()
        paper = await own.look(order)
        seats = own.scene.sql_seats(0, 1)
        wrong = await own.faults()

    assert paper["state"] == "failed"
    assert [row["status"] for row in own.payments()] == ["cancelled"]
    assert seats == [Status.FREE] * 2
    assert wrong == []


async def test_money_that_was_taken_and_is_not_there_after_all_frees_the_seats(
    shop_url: str, store_url: str
) -> None:
    """``CAPTURE_FAILED`` days after ``CAPTURE``: nothing of the order is with us, so its seats are not the buyer's."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.paid(method="capture-fails")
        own.scene.clock.advance(4_000)
        until(lambda: own.net_minor(order["order"]) == 0)
        await own.settle(4)
        await own.reconcile()
        paper = await own.look(order)
        seats = own.scene.sql_seats(0, 1)
        wrong = await own.faults()

    assert paper["state"] == "refunded"
    assert seats == [Status.FREE] * 2
    assert wrong == []


# ------------------------------------------------------------------------------- giving back


async def test_a_refund_is_done_when_its_provider_says_so(shop_url: str, store_url: str) -> None:
    """Until then it is wanted; a part leaves the seats, the rest frees them."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.paid()
        part = await refund(own, order["order"], 1000, "r1")
        await own.settle(2)
        after_part = await own.look(order)
        too_much = await refund(own, order["order"], PRICE, "r9")
        await refund(own, order["order"], None, "r2")
        await own.settle(3)
        await own.reconcile()
        paper = await own.look(order)
        again = await refund(own, order["order"], 1000, "r1")
        seats = own.scene.sql_seats(0, 1)
        wrong = await own.faults()

    assert isinstance(part, Refund)
    assert isinstance(again, Refund)
    assert (part.state, again.state) == (RefundState.WANTED, RefundState.DONE)
    assert (after_part["state"], after_part["refunded_minor"]) == ("paid", 1000)
    assert isinstance(too_much, NoRefund)
    assert (paper["state"], paper["refunded_minor"]) == ("refunded", PRICE)
    assert (own.net_minor(order["order"]), seats) == (0, [Status.FREE] * 2)
    assert wrong == []


async def test_a_refund_that_fails_is_said_to(shop_url: str, store_url: str) -> None:
    """The provider has taken it on, and tells that it was not done: the order stays paid."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.paid(method="refund-refused")
        await refund(own, order["order"], None, "r1")
        await own.settle(3)
        told = await refund(own, order["order"], None, "r1")
        paper = await own.look(order)
        wrong = await own.faults()

    assert isinstance(told, Refund)
    assert told.state is RefundState.FAILED
    assert (paper["state"], paper["refunded_minor"]) == ("paid", 0)
    assert wrong == []


async def test_a_dispute_is_in_the_books(shop_url: str, store_url: str) -> None:
    """F3: taken back by the bank, and won again; the order stands."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.paid(method="chargeback")
        _, (disputed,) = await own.rows(order)
        lost = await own.faults()
        with own.scene.database.reading() as connection:
            told = sa.select(ADYEN_ENTRIES.c.psp).where(ADYEN_ENTRIES.c.code == "CHARGEBACK")
            psp = connection.execute(told).scalar_one()
        own.box.client.post(f"/_sandbox/chargebacks/{psp}", json={"outcome": "won"})
        await own.hear()
        _, (won,) = await own.rows(order)
        paper = await own.look(order)
        wrong = await own.faults()

    assert (disputed.disputed_minor, won.disputed_minor) == (PRICE, 0)
    assert paper["state"] == "paid"
    assert lost == wrong == []


async def test_a_cancelled_event_gives_everything_back(shop_url: str, store_url: str) -> None:
    """E3: paid orders are refunded, open ones ended, authorised money is let go."""
    async with adyen_shop(shop_url, store_url) as own:
        paid = await own.paid("ann", 0, 1)
        waiting = await own.order("bob", 4)
        await own.pay(waiting, "asks", buyer="bob")
        await own.scene.catalogue.update_event(EVENT, {"state": "cancelled"})
        own.scene.clock.advance(10_000)
        await own.worker.recovering.end_cancelled()
        await own.settle(4)
        states = [(await own.look(one))["state"] for one in (paid, waiting)]
        wrong = await own.faults(settled=False)

    assert states == ["refunded", "cancelled"]
    assert (own.net_minor(paid["order"]), own.net_minor(waiting["order"])) == (0, 0)
    assert wrong == []


async def test_a_cancellation_that_failed_is_asked_for_again(shop_url: str, store_url: str) -> None:
    """Under another key, as the first one is over for good: nobody's money stays reserved."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.order()
        own.box.fault("drop-answer", CONFIRM, count=3)
        await own.pay(order, "cancel-refused-once")
        await own.worker.ordering.give_up(EVENT, "ann", order["order"])
        await own.settle(8)
        paper = await own.look(order)
        wrong = await own.faults()

    assert paper["state"] == "cancelled"
    assert [row["status"] for row in own.payments()] == ["cancelled"]
    assert wrong == []


# --------------------------------------------------------------------------------- notices


async def test_notices_come_twice_and_count_once(shop_url: str, store_url: str) -> None:
    """Each a second time: nothing moves, nothing new is written."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.paid()
        again = await own.hear_again()
        paper = await own.look(order)
        wrong = await own.faults()

    assert set(again) <= {Effect.KNOWN, Effect.OLD}
    assert paper["state"] == "paid"
    assert wrong == []


async def test_a_payment_of_a_forgotten_order_is_given_back(shop_url: str, store_url: str) -> None:
    """The database is of yesterday, books and all: a notice that comes now names the payment, and it is undone."""
    async with adyen_shop(shop_url, store_url) as own:
        order = await own.paid()
        with own.scene.database.writing() as connection:
            for table in (ORDERS, ATTEMPTS, MONEY, WORK, NOTICES, ADYEN_PAYMENTS, ADYEN_ENTRIES):
                connection.execute(sa.delete(table))
        aside = await own.hear_again()
        own.scene.clock.advance(120_000)
        await own.worker.recovering.look_for_strays()
        await own.settle(6)

    assert set(aside) == {Effect.QUARANTINED}
    assert own.net_minor(order["order"]) == 0


# ----------------------------------------------------------------- an account that captures by itself


async def test_without_manual_capture_what_is_not_wanted_is_refunded(shop_url: str, store_url: str) -> None:
    """One order is paid as soon as the bank agrees; another bank agrees after the time, and its money goes back."""
    async with adyen_shop(shop_url, store_url, takes_at_once=True) as own:
        first = await own.order("ann", 0, 1)
        paid = await own.pay(first)
        late = await own.order("bob", 2)
        await own.pay(late, "pending", buyer="bob")
        own.scene.clock.set(late["until_ms"] + 1_000)
        await own.scene.reserving.lapse(own.scene.place)
        until(lambda: own.captures(late["order"]))
        await own.settle(rounds=12)
        lapsed = await own.look(late)
        stays = await own.look(first)
        wrong = await own.faults()

    assert paid["state"] == stays["state"] == "paid"
    assert lapsed["state"] == "lapsed"
    assert (own.captures(late["order"]), own.net_minor(late["order"])) == (1, 0)
    assert own.net_minor(first["order"]) == PRICE
    assert wrong == []


async def test_without_manual_capture_a_second_try_gives_the_first_back(
    shop_url: str, store_url: str
) -> None:
    """P15: the buyer answers the first bank's page after a second card has paid; that money is not kept."""
    async with adyen_shop(shop_url, store_url, takes_at_once=True) as own:
        order = await own.order()
        asked = await own.pay(order, "asks")
        await own.answer(asked["action_url"])
        paper = await own.pay(order, key="k2")
        await own.settle(6)
        last = await own.look(order)
        wrong = await own.faults()

    assert "paid" in {paper["state"] if isinstance(paper, dict) else "", last["state"]}
    assert last["state"] == "paid"
    assert own.net_minor(order["order"]) == PRICE
    assert wrong == []

"""Payments that a provider has and we may not know of: after a crash, and after a database was put back."""

import sqlalchemy as sa

from checkout.orders.order import AttemptState, Goal
from checkout.payments.port import Charge, PaymentState
from checkout.tables import ATTEMPTS, MONEY, ORDERS, WORK
from tests.checkout.logs import tampering
from tests.checkout.tills import faults, shop

HOUR_MS = 3_600_000


async def test_a_payment_of_a_forgotten_order_goes_back(shop_url: str, store_url: str) -> None:
    """C7: the database is of before the order; what was taken for it is refunded, and the books say so."""
    async with shop(shop_url, store_url) as own:
        order = await own.paid()
        with tampering(own.scene.database) as connection:
            for table in (ORDERS, ATTEMPTS, MONEY, WORK):
                connection.execute(sa.delete(table))
        own.scene.clock.advance(HOUR_MS)
        later = own.new_worker()
        found = await later.recovering.look_for_strays()
        again = await later.recovering.look_for_strays()
        await own.settle(2, worker=later)
        _, attempts = await own.rows(order)

    assert (found, again) == (1, 0)
    assert own.bank.net_minor(order["order"]) == 0
    assert [(one.goal, one.state, one.refunded_minor) for one in attempts] == [
        (Goal.UNDO, AttemptState.CAPTURED, 8400)
    ]


async def test_what_was_taken_behind_our_back_is_seen(shop_url: str, store_url: str) -> None:
    """A refund on the provider's own pages whose notice never came."""
    async with shop(shop_url, store_url) as own:
        order = await own.paid()
        own.bank.set("pay-1", refunded_minor=8400)
        own.scene.clock.advance(HOUR_MS)
        found = await own.new_worker().recovering.look_for_strays()
        paper = await own.look(order)
        wrong = await faults(own)

    assert found == 1
    assert paper["state"] == "refunded"
    assert wrong == []


async def test_what_is_a_moment_old_is_left_alone(shop_url: str, store_url: str) -> None:
    """It may be about to be written down; once it is older it is let go."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        amount = (await own.rows(order))[0].amount
        charge = Charge("summer", order["order"], 7, amount, "somebody else's key")
        await own.bank.create(charge)
        early = await own.worker.recovering.look_for_strays()
        own.scene.clock.advance(61_000)
        late = await own.worker.recovering.look_for_strays()
        _, attempts = await own.rows(order)

    assert (early, late) == (0, 1)
    assert own.bank.payments["pay-1"].state is PaymentState.VOIDED
    assert [one.goal for one in attempts] == [Goal.UNDO]


async def test_payments_of_others_are_nobodys_business(shop_url: str, store_url: str) -> None:
    """An account that is used for other things as well."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        amount = (await own.rows(order))[0].amount
        await own.bank.create(Charge("", "", 0, amount, "other"))
        await own.bank.create(Charge("summer", "no order of ours", 1, amount, "strange"))
        own.scene.clock.advance(HOUR_MS)
        found = await own.worker.recovering.look_for_strays()

    assert found == 0
    assert {one.state for one in own.bank.payments.values()} == {PaymentState.OPEN}

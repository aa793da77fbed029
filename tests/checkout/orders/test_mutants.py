"""Guards of money, each taken out: an invariant or the same story without its guard must show it.

Others stand beside what they guard: a key for each try, capture before the sale, nobody looks (``test_crashes``), what
was handled in a cache (``test_notices``), a sale in two commits, no look for strays (``test_matrix``). All of them are
listed in docs/failure-matrix.md.
"""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.money import Money
from checkout.orders import returning, rows
from checkout.payments.port import Forged, Refund, RefundState
from checkout.payments.stripe import StripeProvider
from checkout.tables import ATTEMPTS, ORDERS
from tests.checkout.bank import Bank, busy
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, faults, shop

SIGNED = {"signed": "yes"}
NOW_MS = 1_800_000_000_000


async def overtaken(own: Shop) -> None:
    """Have another worker sell and settle an order, while the first one still waits for the bank's answer."""
    order = await own.order()
    second = own.new_worker()

    async def notice_first(called: str) -> None:
        if called == "confirm":
            own.bank.after = None
            await second.notices.hear("bank", b"n1:pay-1", SIGNED)

    own.bank.after = notice_first
    await own.pay(order)
    await own.reconcile()


def without_versions(statement: Any, table: sa.Table) -> Any:
    """Give a statement that changes a row whatever its version is."""
    kept = [one for one in statement.whereclause.clauses if one.left is not table.c.version]
    assert len(kept) == len(statement.whereclause.clauses) - 1
    bare = statement._generate()
    bare._where_criteria = tuple(kept)
    return bare


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "mutant"])
async def test_of_two_who_decide_on_one_version_the_slower_looks_again(
    is_guarded: bool, tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C2, P9: without versions the slower worker ends an order that the faster one has sold."""
    if not is_guarded:
        monkeypatch.setattr(rows, "_CHANGE_ORDER", without_versions(rows._CHANGE_ORDER, ORDERS))
        monkeypatch.setattr(rows, "_CHANGE_ATTEMPT", without_versions(rows._CHANGE_ATTEMPT, ATTEMPTS))
    async with shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        await overtaken(own)

        wrong = await faults(own)

    assert (wrong == []) is is_guarded


class Lenient(Bank):
    """A bank that gives back whatever it is asked to, as localstripe does."""

    async def refund(self, ref: str, amount: Money, key: str) -> Refund:
        """Give back, once for each key."""
        await self._asked("refund", key)
        if key not in self._kept:
            payment = self._of(ref)
            self._set(ref, refunded_minor=payment.refunded_minor + amount.amount_minor)
            made = Refund(f"re-{len(self.refunds) + 1}", ref, amount, RefundState.DONE)
            self._kept[key] = self.refunds[made.ref] = made
        found = self._kept[key]
        assert isinstance(found, Refund)
        return found


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "mutant"])
async def test_two_refunds_that_wait_are_counted_together(
    is_guarded: bool, tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F1: two admins with keys of their own, at a bank that does not count; without counting both get all of it."""
    async with shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        own.bank = Lenient(own.scene.clock)
        own.worker = own.new_worker()
        order = await own.paid()
        if not is_guarded:
            monkeypatch.setattr(returning, "refunds_of", lambda *_: ())
        own.bank.before = busy("refund", 2)
        for key in ("r1", "r2"):
            await own.worker.caring.refund(EVENT, order["order"], None, key, by="ann")
        monkeypatch.undo()
        own.bank.before = None
        await own.settle()
        await own.reconcile()
        wrong = await faults(own)

    assert (wrong == []) is is_guarded
    assert (own.bank.net_minor(order["order"]) == 0) is is_guarded


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "mutant"])
async def test_an_order_whose_time_is_over_ends(
    is_guarded: bool, tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: a buyer who never comes back; where nobody looks at the end of the time the order stays open (I12)."""
    if not is_guarded:
        monkeypatch.setattr("checkout.orders.recovering.orders_due", lambda *_a, **_k: [])
    async with shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        await own.settle(rounds=10, step_ms=90_000)
        await own.scene.reserving.lapse(own.scene.place)
        await own.reconcile()

        wrong = await faults(own)

    assert any(one.startswith("I12") for one in wrong) is not is_guarded


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "mutant"])
async def test_a_notice_without_a_signature_is_nobodys(
    is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: without looking at the signature anybody's words are taken in."""
    provider = StripeProvider("stripe", "sk_test_x", ["whsec_x"])
    body = b'{"id":"evt_1","object":"event","type":"x.y","livemode":false,"created":1,"data":{"object":{}}}'
    if not is_guarded:
        monkeypatch.setattr(StripeProvider, "_verify", lambda *_: None)

    def is_forged() -> bool:
        try:
            provider.parse_webhook(body, {"stripe-signature": "t=1,v1=00"}, NOW_MS)
        except Forged:
            return True
        return False

    assert is_forged() is is_guarded
    await provider.close()

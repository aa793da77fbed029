"""A database from before orders were looked after (0003) is brought up to date: nothing is lost, nothing is stuck."""

from typing import Any

import pytest
import sqlalchemy as sa

from checkout.audit.checking import KINDS
from checkout.database import ShopDatabase
from checkout.fraud.review import Decision, Terms
from checkout.holds.places import OnePlace
from checkout.migrations import VERSION_TABLE
from checkout.orders import store
from checkout.orders.caring import Caring, Judged
from checkout.orders.order import Attempt, Order
from checkout.orders.ports import Judgement, Trusting
from checkout.orders.projection import Told
from checkout.orders.refund import Refund
from checkout.orders.review import SHOP, Cautions, Word
from checkout.organiser.pages import Wish
from checkout.organiser.queues import Queues
from checkout.sales.replaying import compared
from checkout.tables import (
    ACCOUNT_LOGINS,
    ACCOUNT_ORDERS,
    ACCOUNT_SESSIONS,
    ACCOUNTS,
    ADYEN_ENTRIES,
    ADYEN_PAYMENTS,
    ATTEMPTS,
    CONTACTS,
    DISPUTES,
    EVENT_LOG,
    IDEMPOTENCY,
    MARKS,
    MONEY,
    NOTICES,
    ORDER_TRACES,
    ORDERS,
    OUTBOX,
    OUTBOX_SENDS,
    PUSH_DEVICES,
    REFUNDS,
    RESERVATIONS,
    REVIEWS,
    SCANNERS,
    SCANS,
    STAFF_ENTRIES,
    STAFF_FACTORS,
    STAFF_KEYS,
    STAFF_LOGINS,
    STAFF_PEOPLE,
    STAFF_PROOFS,
    STAFF_SESSIONS,
    TICKETS,
    TRANSFERS,
    VERDICTS,
    WAITLIST_CONTACTS,
    WORK,
)
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, faults, shop

pytestmark = pytest.mark.usefixtures("real_migrations")

SINCE = (
    REVIEWS, VERDICTS, DISPUTES, MARKS, ADYEN_PAYMENTS, ADYEN_ENTRIES, TICKETS, TRANSFERS, SCANNERS, SCANS, OUTBOX,
    OUTBOX_SENDS, CONTACTS, ACCOUNTS, ACCOUNT_LOGINS, ACCOUNT_ORDERS, ACCOUNT_SESSIONS, STAFF_FACTORS,
    STAFF_ENTRIES, STAFF_KEYS, STAFF_LOGINS, STAFF_PEOPLE, STAFF_PROOFS, STAFF_SESSIONS,
    PUSH_DEVICES, WAITLIST_CONTACTS, ORDER_TRACES,
)  # fmt: skip
KEPT = (ORDERS, ATTEMPTS, REFUNDS, NOTICES, MONEY, WORK, IDEMPOTENCY, RESERVATIONS, EVENT_LOG)
INDEXES = (
    "orders_made", "order_refunds_made", "order_money_event", "order_attempts_card", "order_attempts_strays",
    "order_notices_aside",
)  # fmt: skip
DAY_MS = 86_400_000


class LooksAtBob(Trusting):
    """Has a person look at one buyer's orders."""

    async def after(self, order: Order, attempt: Attempt) -> Judgement:
        """Judge."""
        del attempt
        return Judgement.REVIEW if order.buyer == "bob" else Judgement.ALLOW


def rows(database: ShopDatabase) -> dict[str, list[tuple[Any, ...]]]:
    """Read every row of the older tables."""
    with database.reading() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in KEPT
        }


def put_back_to_0003(database: ShopDatabase) -> None:
    """Take away what 0004 and later ones have brought."""
    with database.writing(turn=True) as connection:
        for table in SINCE:
            table.drop(connection)
        for name in INDEXES:
            connection.execute(sa.text(f"DROP INDEX {name}"))
        version = sa.table(VERSION_TABLE, sa.column("version_num"))
        connection.execute(sa.update(version).values(version_num="0003"))


async def lived(own: Shop, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Sell as that version did: one paid with a part given back, one paid, one in review; returns first and last."""
    with monkeypatch.context() as patch:
        patch.setattr(store, "open_review", lambda *_: None)
        patch.setattr(Told, "review", lambda *_: None)
        patch.setattr(store, "issue", lambda *_: [])
        paid = await own.paid("ann", 0, 1)
        await own.worker.caring.refund(EVENT, paid["order"], 400, "r1", by="ida", body=b"{}")
        await own.paid("cy", 5)
        await own.worker.notices.hear("bank", b"n1:pay-none", {"signed": "yes"})
        order = await own.order("bob", 2)
        await own.pay(order, buyer="bob")
    return paid["order"], order["order"]


@pytest.mark.parametrize("decides", ["a person", "nobody"])
async def test_a_database_of_an_older_version_keeps_every_row_and_ends_its_reviews(
    decides: str, shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited for a person then is listed, and can be decided, or lapses; what was sold can be given back."""
    cautions = Cautions(Terms(3_600_000, Decision.REFUSE, DAY_MS))
    async with shop(shop_url, store_url, judge=LooksAtBob(), cautions=cautions) as own:
        (paid, order), database = await lived(own, monkeypatch), own.scene.database
        before = rows(database)
        put_back_to_0003(database)
        database.open()
        kept = rows(database) == before
        await own.worker.recovering.pass_by(own.scene.place)
        page, _ = await Queues(OnePlace(own.scene.place)).reviews(EVENT, Wish({}))
        refund = await own.worker.caring.refund(EVENT, paid, None, "r2", by="ida")
        if decides == "nobody":
            own.scene.clock.advance(DAY_MS)
            await own.worker.recovering.pass_by(own.scene.place)
        else:
            done = await own.worker.caring.judge(EVENT, order, Decision.RELEASE, Word("ida"))
            assert isinstance(done, Judged)
        case = await own.worker.caring.case(EVENT, order)
        await own.settle(2)
        differences, wrong = compared(database, KINDS, EVENT), await faults(own)

    # Whoever had paid before there were tickets has one for each seat (faults: I5).
    assert kept
    assert [row["order_id"] for row in page.rows] == [order]
    assert isinstance(refund, Refund)
    assert case is not None
    assert case.review is not None
    assert (case.order.state.value, case.review.by) == (
        ("paid", "ida") if decides == "a person" else ("refused", SHOP)
    )
    assert differences == []
    assert wrong == []


async def test_without_taking_it_up_an_older_review_would_wait_for_ever(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: nobody can decide it, and it never lapses."""

    async def never(_self: Caring, _event: str, _order: str) -> bool:
        return False

    async with shop(shop_url, store_url, judge=LooksAtBob()) as own:
        _, order = await lived(own, monkeypatch)
        monkeypatch.setattr(Caring, "take_up", never)
        own.scene.clock.advance(30 * DAY_MS)
        await own.worker.recovering.pass_by(own.scene.place)
        decided = await own.worker.caring.judge(EVENT, order, Decision.RELEASE, Word("ida"))
        case = await own.worker.caring.case(EVENT, order)

    assert not isinstance(decided, Judged)
    assert case is not None
    assert case.order.state.value == "review"

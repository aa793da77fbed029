"""A review that nobody decides: what is set for that follows, while the money can still be taken (``fraud.review``)."""

from functools import partial

import pytest

from checkout.audit.money import LOOKED_MS, money_is_right
from checkout.fraud.review import Decision, Terms
from checkout.halls.seats import Status
from checkout.orders.caring import Caring, Decided, Judged
from checkout.orders.ports import Judgement
from checkout.orders.review import SHOP, Cautions, Word
from tests.checkout.orders.test_refunds import Suspicious
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, faults, money_of, shop, theirs_of

SEES = Suspicious(Judgement.REVIEW, Judgement.ALLOW)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
UNTIL_MS = DAY_MS - HOUR_MS
"""From the try on, with the terms below."""


def cautions(lapse: Decision) -> Cautions:
    """Rely on an authorisation for a day, and lapse an hour before."""
    return Cautions(Terms(HOUR_MS, lapse, DAY_MS))


async def looked_at(own: Shop, *waits_ms: int) -> list[str]:
    """Let time pass, and recovery look each time; returns the order's state after each look."""
    order = await own.order()
    await own.pay(order)
    states = []
    for wait_ms in waits_ms:
        own.scene.clock.advance(wait_ms)
        await own.worker.recovering.pass_by(own.scene.place)
        states.append((await own.look(order))["state"])
    return states


@pytest.mark.parametrize("lapse", list(Decision))
async def test_what_is_set_follows_when_nobody_decides(
    lapse: Decision, shop_url: str, store_url: str
) -> None:
    """Not a millisecond early; the seats go back and the money is let go, or it is taken."""
    async with shop(shop_url, store_url, judge=SEES, cautions=cautions(lapse)) as own:
        states = await looked_at(own, UNTIL_MS - 1, 1)
        order = (await own.worker.ordering.mine(EVENT, "ann"))[0]
        case = await own.worker.caring.case(EVENT, order["order"])
        late = await own.worker.caring.judge(EVENT, order["order"], Decision.RELEASE, Word("ida"))
        await own.settle(2)
        seats, wrong = own.scene.sql_seats(0, 1), await faults(own)

    assert states == ["review", "paid" if lapse is Decision.RELEASE else "refused"]
    assert case is not None
    assert case.review is not None
    assert (case.review.decision, case.review.by) == (lapse, SHOP)
    assert isinstance(late, Judged if lapse is Decision.RELEASE else Decided)
    assert seats == [Status.SOLD if lapse is Decision.RELEASE else Status.FREE] * 2
    assert own.bank.open_refs == []
    assert wrong == []


async def test_who_decides_too_late_hears_so_before_anybody_has_looked(shop_url: str, store_url: str) -> None:
    """That it has lapsed follows from the time, not from the look that acts on it."""
    async with shop(shop_url, store_url, judge=SEES, cautions=cautions(Decision.REFUSE)) as own:
        order = await own.order()
        await own.pay(order)
        own.scene.clock.advance(UNTIL_MS)
        late = await own.worker.caring.judge(EVENT, order["order"], Decision.RELEASE, Word("ida"))

    assert isinstance(late, Decided)
    assert late.review.decision is None


async def test_open_reviews_and_the_oldest_are_counted(shop_url: str, store_url: str) -> None:
    """While one waits, and no more when it is decided."""
    async with shop(shop_url, store_url, judge=SEES, cautions=cautions(Decision.REFUSE)) as own:
        shown: list[list[float]] = []
        registry = own.scene.metrics
        for waits in ((60_000,), (UNTIL_MS,)):
            if not shown:
                await looked_at(own, *waits)
            else:
                own.scene.clock.advance(waits[0])
                await own.worker.recovering.pass_by(own.scene.place)
            gauges = (registry.open_reviews, registry.oldest_review)
            shown.append([one.labels("main")._value.get() for one in gauges])

    assert shown == [[1, 60], [0, 0]]


async def test_without_the_lapse_the_checker_sees_an_order_that_never_ends(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: nobody acts on a lapsed review; I12 is violated from ten minutes after on, and not with the lapse."""

    async def never(_self: Caring, _event: str, _order: str) -> bool:
        return False

    found = {}
    for is_on in (False, True):
        with monkeypatch.context() as patch:
            if not is_on:
                patch.setattr(Caring, "lapse", never)
            async with shop(shop_url, store_url, judge=SEES, cautions=cautions(Decision.REFUSE)) as own:
                await looked_at(own, UNTIL_MS)
                await own.settle(2)
                books = money_of(own.scene)
                right = partial(money_is_right, books, theirs_of(own.bank), settled=True)
                from_ms = own.scene.clock.now_ms() + LOOKED_MS
                found[is_on] = [one.invariant for one in right(now_ms=from_ms)]

    assert found == {False: ["I12"], True: []}

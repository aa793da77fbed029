"""Money that goes back: all of it, a part, twice, at once, after a crash; disputes; cancelled events; reviews."""

import asyncio

import pytest

from checkout.fraud.review import Decision
from checkout.halls.seats import Status
from checkout.orders import returning
from checkout.orders.caring import Judged
from checkout.orders.order import Attempt, Order
from checkout.orders.ports import Judgement, Seen
from checkout.orders.refund import Refund, RefundState
from checkout.orders.returning import NoRefund, want_refund
from checkout.orders.review import Word
from checkout.orders.rows import Stale, refunds_of
from checkout.orders.service import No
from checkout.orders.store import NoAttempt
from tests.checkout.bank import losing
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, faults, shop

PRICE = 8400


async def refund(own: Shop, order: str, minor: int | None, key: str) -> Refund | No | NoRefund:
    """Have money go back."""
    return await own.worker.caring.refund(EVENT, order, minor, key, by="ann", reason="asked for")


async def test_all_goes_back_and_the_seats_with_it(shop_url: str, store_url: str) -> None:
    """The order is refunded, its seats are free everywhere, its buyer may buy again."""
    async with shop(shop_url, store_url) as own:
        order = await own.paid()
        done = await refund(own, order["order"], None, "r1")
        paper = await own.look(order)
        seats = (await own.scene.seats(0, 1), own.scene.sql_seats(0, 1))
        wrong = await faults(own)
        again = await own.paid("bob", 0, 1)

    assert isinstance(done, Refund)
    assert (done.state, done.amount.amount_minor) == (RefundState.DONE, PRICE)
    assert (paper["state"], paper["refunded_minor"]) == ("refunded", PRICE)
    assert own.bank.net_minor(order["order"]) == 0
    assert seats == ([Status.FREE] * 2, [Status.FREE] * 2)
    assert wrong == []
    assert again["state"] == "paid"


async def test_a_part_goes_back_and_the_seats_stay(shop_url: str, store_url: str) -> None:
    """Twice a part; what is left can still go back, and not more."""
    async with shop(shop_url, store_url) as own:
        order = await own.paid()
        parts = [await refund(own, order["order"], 1000, f"r{at}") for at in range(2)]
        too_much = await refund(own, order["order"], PRICE, "r9")
        paper = await own.look(order)
        seats = own.scene.sql_seats(0, 1)
        wrong = await faults(own)

    assert all(isinstance(one, Refund) and one.state is RefundState.DONE for one in parts)
    assert isinstance(too_much, NoRefund)
    assert too_much.left_minor == PRICE - 2000
    assert (paper["state"], paper["refunded_minor"]) == ("paid", 2000)
    assert seats == [Status.SOLD] * 2
    assert wrong == []


async def test_a_second_click_is_the_same_refund(shop_url: str, store_url: str) -> None:
    """F1: ten at once at two workers under one key; then two admins with keys of their own want it all."""
    async with shop(shop_url, store_url) as own:
        order = await own.paid()
        workers = (own.worker, own.new_worker())
        same = await asyncio.gather(
            *(workers[at % 2].caring.refund(EVENT, order["order"], 3000, "r1", by="ann") for at in range(10))
        )
        admins = await asyncio.gather(
            *(
                worker.caring.refund(EVENT, order["order"], PRICE - 3000, f"admin-{at}", by="bob")
                for at, worker in enumerate(workers)
            )
        )
        await own.settle(2)
        wrong = await faults(own)

    assert len(own.bank.refunds) == 2
    assert all(isinstance(one, Refund) for one in same)
    assert sum(isinstance(one, NoRefund) for one in admins) == 1
    assert own.bank.net_minor(order["order"]) == 0
    assert wrong == []


@pytest.mark.parametrize("read", ["find_order", "find_attempt", "refunds_of"])
async def test_a_refund_that_is_wanted_between_two_looks_is_seen(
    read: str, shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F1: another admin's wish is committed while one is being decided, after any of its statements (PostgreSQL)."""
    async with shop(shop_url, store_url) as own:
        order = (await own.paid())["order"]
        database, reads = own.scene.database, getattr(returning, read)

        def want(key: str) -> object:
            with database.writing() as connection:
                return want_refund(connection, order, None, key, own.scene.clock.now_ms(), "ann", "")

        def reading(*told: object) -> object:
            monkeypatch.setattr(returning, read, reads)
            found = reads(*told)
            if database.dialect == "postgresql":
                want("other")
            return found

        if database.dialect == "sqlite":
            # There one waits until the other has committed.
            want("other")
        monkeypatch.setattr(returning, read, reading)
        with pytest.raises((Stale, NoRefund)):
            want("own")
        with database.reading() as connection:
            wanted = refunds_of(connection, order)

    assert [(one.key, one.amount.amount_minor) for one in wanted] == [("other", PRICE)]


@pytest.mark.parametrize("lost", ["question", "answer"])
async def test_a_refund_whose_call_is_lost_is_made_once(lost: str, shop_url: str, store_url: str) -> None:
    """It stays wanted, and is asked for again under its key."""
    async with shop(shop_url, store_url) as own:
        order = await own.paid()
        setattr(own.bank, "before" if lost == "question" else "after", losing("refund"))
        first = await refund(own, order["order"], None, "r1")
        await own.settle(3)
        paper = await own.look(order)
        wrong = await faults(own)

    assert isinstance(first, Refund)
    assert first.state is RefundState.WANTED
    assert (paper["state"], len(own.bank.refunds)) == ("refunded", 1)
    assert wrong == []


async def test_what_a_provider_refuses_is_said(shop_url: str, store_url: str) -> None:
    """Somebody has given it back on the provider's own pages: the refund fails, and the order says how it stands."""
    async with shop(shop_url, store_url) as own:
        order = await own.paid()
        own.bank.set("pay-1", refunded_minor=PRICE)
        failed = await refund(own, order["order"], None, "r1")
        await own.worker.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
        paper = await own.look(order)
        wrong = await faults(own)

    assert isinstance(failed, Refund)
    assert failed.state is RefundState.FAILED
    assert paper["state"] == "refunded"
    assert wrong == []


async def test_nothing_goes_back_of_what_was_not_paid(shop_url: str, store_url: str) -> None:
    """An open order, an order that there is not, another event's."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        outcomes = [await refund(own, name, None, "r1") for name in (order["order"], "Onone")]

    assert isinstance(outcomes[0], NoRefund)
    assert outcomes[1] is No.UNKNOWN


async def test_a_dispute_is_in_the_books(shop_url: str, store_url: str) -> None:
    """F3: taken back by the bank, and won again: two movements, and the order stands."""
    async with shop(shop_url, store_url) as own:
        order = await own.paid()
        own.bank.set("pay-1", disputed_minor=PRICE)
        await own.worker.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
        _, (disputed,) = await own.rows(order)
        lost = await faults(own)
        own.bank.set("pay-1", disputed_minor=0)
        await own.worker.notices.hear("bank", b"n2:pay-1", {"signed": "yes"})
        _, (won,) = await own.rows(order)
        paper = await own.look(order)
        wrong = await faults(own)

    assert (disputed.disputed_minor, won.disputed_minor) == (PRICE, 0)
    assert paper["state"] == "paid"
    assert lost == wrong == []


async def test_a_cancelled_event_gives_everything_back(shop_url: str, store_url: str) -> None:
    """E3: paid orders are refunded, open ones ended, authorised money is let go."""
    async with shop(shop_url, store_url) as own:
        paid = await own.paid("ann", 0, 1)
        waiting = await own.order("bob", 4)
        await own.pay(waiting, "asks", buyer="bob")
        fresh = await own.order("cy", 5)
        await own.scene.catalogue.update_event(EVENT, {"state": "cancelled"})
        own.scene.clock.advance(10_000)
        await own.worker.recovering.end_cancelled()
        await own.settle(3)
        states = [(await own.look(one))["state"] for one in (paid, waiting, fresh)]
        wrong = await faults(own, settled=False)

    assert states == ["refunded", "cancelled", "cancelled"]
    assert sum(own.bank.net_minor(one["order"]) for one in (paid, waiting, fresh)) == 0
    assert own.bank.open_refs == []
    assert wrong == []


class Suspicious:
    """Wants a person to look, or lets nobody pay."""

    def __init__(self, before: Judgement, after: Judgement) -> None:
        """Say what is said."""
        self._before, self._after = before, after
        self.declines: list[str] = []

    async def before(self, order: Order, number: int, seen: Seen) -> Judgement:
        """Judge."""
        del order, number, seen
        return self._before

    async def after(self, order: Order, attempt: Attempt) -> Judgement:
        """Judge, the card being known."""
        assert attempt.fingerprint == "fp-1"
        del order
        return self._after

    async def declined(self, order: Order, attempt: Attempt) -> None:
        """Hear of a decline."""
        del order
        self.declines.append(str(attempt.decline))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("agrees", [True, False])
async def test_a_person_looks_before_the_money_is_taken(
    when: str, agrees: bool, shop_url: str, store_url: str
) -> None:
    """The seats are sold and the money authorised; it is taken, or let go and the seats with it."""
    judge = Suspicious(
        Judgement.REVIEW if when == "before" else Judgement.ALLOW,
        Judgement.REVIEW if when == "after" else Judgement.ALLOW,
    )
    async with shop(shop_url, store_url, judge=judge) as own:
        order = await own.order()
        waiting = await own.pay(order)
        await own.settle(rounds=20)
        meanwhile = (own.bank.net_minor(order["order"]), own.scene.sql_seats(0, 1))
        decision = Decision.RELEASE if agrees else Decision.REFUSE
        second = await own.pay(order, key="k2")
        done = [
            await own.worker.caring.judge(EVENT, order["order"], decision, Word("ida", "Looked fine."))
            for _ in range(2)
        ]
        paper = await own.look(order)
        await own.settle(2)
        wrong = await faults(own)

    assert (waiting["state"], waiting["phase"]) == ("review", "review")
    assert meanwhile == (0, [Status.SOLD] * 2)
    assert second is NoAttempt.UNDER_WAY
    assert paper["state"] == ("paid" if agrees else "refused")
    assert own.bank.net_minor(order["order"]) == (PRICE if agrees else 0)
    assert all(isinstance(one, Judged) for one in done)
    assert [one.again for one in done if isinstance(one, Judged)] == [False, True]
    assert own.bank.open_refs == []
    assert wrong == []


async def test_a_person_looks_also_where_the_bank_has_asked_first(shop_url: str, store_url: str) -> None:
    """What was said before the bank was asked holds at another worker that goes on with the try."""
    async with shop(shop_url, store_url, judge=Suspicious(Judgement.REVIEW, Judgement.ALLOW)) as own:
        order = await own.order()
        await own.pay(order, "asks")
        own.bank.authorise("pay-1")
        told = await own.new_worker().ordering.find(EVENT, "ann", order["order"], look=True)
        wrong = await faults(own)

    assert told is not None
    assert (told.paper["state"], own.bank.net_minor(order["order"])) == ("review", 0)
    assert wrong == []


async def test_a_card_that_is_blocked_pays_nothing_and_hears_no_reason(shop_url: str, store_url: str) -> None:
    """Known only when the money is authorised: it is let go, the seats stay reserved, the buyer hears of a decline."""
    async with shop(shop_url, store_url, judge=Suspicious(Judgement.ALLOW, Judgement.BLOCK)) as own:
        order = await own.order()
        paper = await own.pay(order)
        seats = own.scene.sql_seats(0, 1)

    assert (paper["state"], paper["phase"], paper["decline"]) == ("open", "declined", "declined")
    assert own.bank.open_refs == []
    assert seats == [Status.RESERVED] * 2

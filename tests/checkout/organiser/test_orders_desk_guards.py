"""Guards of the organiser's desk, each taken out: money goes back twice, or is taken of what nobody let through."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection

from checkout.fraud.review import Decision, Terms
from checkout.halls.seats import Status
from checkout.orders import caring, returning
from checkout.orders.caring import Caring
from checkout.orders.order import OrderState
from checkout.orders.ports import Judgement
from checkout.orders.refund import Refund
from checkout.orders.review import NOBODY_DECIDED, SHOP, Cautions, Word
from checkout.orders.rows import refunds_of
from checkout.organiser import orders_web
from checkout.payments.port import Capability
from tests.checkout.bank import busy
from tests.checkout.order_desks import OrderDesk, order_desk
from tests.checkout.orders.test_mutants import Lenient
from tests.checkout.orders.test_refunds import Suspicious
from tests.checkout.reservations import EVENT
from tests.checkout.tills import faults

PRICE, PART = 8400, 5000
SEES = Suspicious(Judgement.REVIEW, Judgement.ALLOW)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
UNTIL_MS = DAY_MS - HOUR_MS
ON_POSTGRES = pytest.mark.parametrize(
    "shop_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
BOTH_WAYS = pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "mutant"])


def cautions(lapse: Decision) -> Cautions:
    """Rely on an authorisation for a day, and lapse an hour before."""
    return Cautions(Terms(HOUR_MS, lapse, DAY_MS))


async def parts_at_once(desk: OrderDesk, order: str) -> list[int]:
    """Have two organisers give back a part each, at two workers, at the same moment; returns the answers."""
    async with (other := desk.beside()).client:
        told = await asyncio.gather(
            desk.refund(order, "ida", amount_minor=PART), other.refund(order, "bo", amount_minor=PART)
        )
    return sorted(answer.status_code for answer in told)


@BOTH_WAYS
async def test_of_two_parts_at_once_that_are_too_much_one_goes_back(
    is_guarded: bool, shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F1: by a bank that counts nothing; without the cap both go back, and more than was taken."""
    async with order_desk(shop_url, store_url, bank=Lenient) as desk:
        order = (await desk.shop.paid())["order"]
        if not is_guarded:
            monkeypatch.setattr(returning, "refunds_of", lambda *_: ())
            desk.shop.bank.before = busy("refund", 2)
        told = await parts_at_once(desk, order)
        monkeypatch.undo()
        await desk.shop.settle(3)
        left = desk.shop.bank.net_minor(order)
        wrong = await faults(desk.shop)

    assert told == ([200, 409] if is_guarded else [202, 202])
    assert left == (PRICE - PART if is_guarded else PRICE - 2 * PART)
    assert (wrong == []) is is_guarded


@ON_POSTGRES
@BOTH_WAYS
async def test_of_two_parts_that_are_counted_before_either_is_written_one_goes_back(
    is_guarded: bool, shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F1: the slower one finds the payment's version changed; the mutant is without it, and without the log."""
    both, calls = threading.Barrier(2), itertools.count()

    def slow(connection: Connection, order: str) -> list[Refund]:
        found = refunds_of(connection, order)
        # Whoever was slower counts once more, by itself.
        if next(calls) < 2:
            both.wait(30)
        return found

    async with order_desk(shop_url, store_url, bank=Lenient) as desk:
        order = (await desk.shop.paid())["order"]
        monkeypatch.setattr(returning, "refunds_of", slow)
        if not is_guarded:
            desk.shop.bank.before = busy("refund", 2)
            monkeypatch.setattr(returning, "touch_attempt", lambda _connection, was: was)
            monkeypatch.setattr(returning, "tell", lambda *_: None)
        told = await parts_at_once(desk, order)
        monkeypatch.undo()
        await desk.shop.settle(3)
        left = desk.shop.bank.net_minor(order)

    assert told == ([200, 409] if is_guarded else [202, 202])
    assert left == (PRICE - PART if is_guarded else PRICE - 2 * PART)


@BOTH_WAYS
async def test_a_second_click_gives_nothing_back_twice(
    is_guarded: bool, shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request key, one refund; where the key that came is ignored, each click is a refund."""
    numbers: Iterator[int] = iter(range(100))
    if not is_guarded:
        monkeypatch.setattr(orders_web, "idempotency_key", lambda _scope: f"own-{next(numbers)}")
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        clicks = [(await desk.refund(order, "k1", amount_minor=1000)).status_code for _ in range(3)]
        left = desk.shop.bank.net_minor(order)

    assert clicks == [200] * 3
    assert left == PRICE - (1000 if is_guarded else 3000)


@BOTH_WAYS
async def test_another_wish_under_a_known_key_is_no_answer_to_it(
    is_guarded: bool, shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """422; without the body at the key an organiser would hear of a refund that is not the one that was wanted."""
    if not is_guarded:
        monkeypatch.setattr(caring, "once_for", lambda *_: None)
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        await desk.refund(order, "k1", amount_minor=1000)
        other = await desk.refund(order, "k1", amount_minor=2000)
        elsewhere = await desk.refund((await desk.shop.paid("bob", 4))["order"], "k1", amount_minor=500)

    assert (other.status_code == 422) is is_guarded
    assert (elsewhere.status_code, elsewhere.json()["amount_minor"]) == (200, 500)


@BOTH_WAYS
async def test_what_goes_back_by_itself_is_not_given_back_once_more(
    is_guarded: bool, shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that takes at once, an order that is refused, and an organiser who asks for a refund as well."""
    any_state = SimpleNamespace(**{**OrderState.__members__, "PAID": OrderState.REFUSED})
    async with order_desk(shop_url, store_url, bank=AtOnce, judge=SEES) as desk:
        paper = await desk.shop.order()
        await desk.shop.pay(paper)
        early = await desk.refund(paper["order"], "k0", amount_minor=1000)
        desk.shop.bank.before = busy("refund", 2)
        await desk.ask("POST", f"/orders/{paper['order']}/refuse", {})
        if not is_guarded:
            monkeypatch.setattr(returning, "OrderState", any_state)
        late = await desk.refund(paper["order"], "k1")
        monkeypatch.undo()
        await desk.shop.settle()
        left = desk.shop.bank.net_minor(paper["order"])

    assert (early.status_code, early.json()["left_minor"]) == (409, 0)
    assert late.status_code == (409 if is_guarded else 202)
    assert left == (0 if is_guarded else -PRICE)


class AtOnce(Lenient):
    """A bank that authorises nothing: it takes the money at once, and gives back whatever it is asked to."""

    def __init__(self, *told: Any) -> None:
        super().__init__(*told, capabilities=frozenset({Capability.PARTIAL_REFUND}))


# ------------------------------------------------------------------------------------------ reviews


@BOTH_WAYS
async def test_a_review_that_lapses_takes_no_money_where_it_is_to_be_refused(
    is_guarded: bool, shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant lets through whatever nobody has decided."""
    async with order_desk(shop_url, store_url, judge=SEES, cautions=cautions(Decision.REFUSE)) as desk:
        paper = await desk.shop.order()
        await desk.shop.pay(paper)
        if not is_guarded:
            desk.shop.worker.caring._terms = cautions(Decision.RELEASE).terms
        desk.shop.scene.clock.advance(UNTIL_MS)
        await desk.shop.worker.recovering.pass_by(desk.shop.scene.place)
        told = (await desk.ask("GET", f"/orders/{paper['order']}")).json()
        taken, seats = desk.shop.bank.net_minor(paper["order"]), desk.shop.scene.sql_seats(0, 1)
        left = (await desk.ask("GET", "/reviews")).json()["reviews"]

    assert (told["state"] == "refused") is is_guarded
    assert (taken == 0) is is_guarded
    assert (seats == [Status.FREE] * 2) is is_guarded
    assert told["review"]["by"] == SHOP
    assert left == []


@pytest.mark.parametrize("decision", list(Decision))
@pytest.mark.parametrize("faster", ["person", "lapse"])
async def test_of_a_person_and_a_lapse_at_the_same_moment_one_decides(
    faster: str, decision: Decision, shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked while it was open to them; who writes first counts, the other one hears so or does nothing."""
    lapse = Decision.REFUSE if decision is Decision.RELEASE else Decision.RELEASE
    doing = Caring._do
    async with order_desk(shop_url, store_url, judge=SEES, cautions=cautions(lapse)) as desk:
        paper = await desk.shop.order()
        await desk.shop.pay(paper)
        order, second = paper["order"], desk.shop.new_worker()
        desk.shop.scene.clock.advance(UNTIL_MS - 1)
        lapsed: list[bool] = []
        answers = []

        async def between(own: Caring, till: Any, name: str, what: Decision, word: Word) -> bool:
            monkeypatch.setattr(Caring, "_do", doing)
            if word is NOBODY_DECIDED:
                desk.shop.scene.clock.advance(-1)
                answers.append(await desk.ask("POST", f"/orders/{order}/{decision.value}", {}))
                desk.shop.scene.clock.advance(1)
            else:
                desk.shop.scene.clock.advance(1)
                lapsed.append(await second.caring.lapse(EVENT, order))
            return await doing(own, till, name, what, word)

        monkeypatch.setattr(Caring, "_do", between)
        if faster == "lapse":
            answers.append(await desk.ask("POST", f"/orders/{order}/{decision.value}", {}))
        else:
            desk.shop.scene.clock.advance(1)
            lapsed.append(await second.caring.lapse(EVENT, order))
        told = (await desk.ask("GET", f"/orders/{order}")).json()
        await desk.shop.settle(2)
        wrong = await faults(desk.shop)

    (answer,) = answers
    what = decision if faster == "person" else lapse
    assert lapsed == [faster == "lapse"]
    assert answer.status_code == (200 if faster == "person" else 409)
    assert (told["review"]["decision"], told["review"]["by"]) == (
        what.value,
        "ida" if faster == "person" else SHOP,
    )
    assert told["state"] == ("paid" if what is Decision.RELEASE else "refused")
    assert desk.shop.bank.net_minor(order) == (PRICE if what is Decision.RELEASE else 0)
    assert wrong == []


@pytest.mark.parametrize("first", list(Decision))
async def test_of_two_organisers_at_once_one_decides(first: Decision, shop_url: str, store_url: str) -> None:
    """At two workers: one is told, the other one is refused, and the money is where the one has said."""
    second = Decision.REFUSE if first is Decision.RELEASE else Decision.RELEASE
    async with order_desk(shop_url, store_url, judge=SEES) as desk:
        paper = await desk.shop.order()
        await desk.shop.pay(paper)
        order = paper["order"]
        async with (other := desk.beside()).client:
            told = await asyncio.gather(
                desk.ask("POST", f"/orders/{order}/{first.value}", {}),
                other.ask("POST", f"/orders/{order}/{second.value}", {}),
            )
        await desk.shop.settle(2)
        decided = (await desk.ask("GET", f"/orders/{order}")).json()
        wrong = await faults(desk.shop)

    assert sorted(answer.status_code for answer in told) == [200, 409]
    won = first if told[0].status_code == 200 else second
    assert decided["review"]["decision"] == won.value
    assert desk.shop.bank.net_minor(order) == (PRICE if won is Decision.RELEASE else 0)
    assert wrong == []


# --------------------------------------------------------------------------------- an event's end


async def test_the_end_of_an_event_is_over_when_the_last_refund_is(shop_url: str, store_url: str) -> None:
    """One that has failed and is tried again moves until its provider has answered."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        desk.shop.bank.set("pay-1", captured_minor=0)
        await desk.ask("POST", "/cancel", {"confirm": EVENT})
        desk.shop.scene.clock.advance(5_000)
        await desk.shop.worker.recovering.end_cancelled()
        desk.shop.bank.set("pay-1", captured_minor=PRICE)
        await desk.shop.worker.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
        told = [(await desk.ask("GET", "/cancellation")).json()]
        desk.shop.bank.before = busy("refund")
        retried = await desk.ask("POST", f"/orders/{order}/refunds/shop:event-cancelled/retry")
        told.append((await desk.ask("GET", "/cancellation")).json())
        await desk.shop.settle(3)
        told.append((await desk.ask("GET", "/cancellation")).json())

    assert (retried.status_code, retried.json()["refund"]) == (202, "shop:event-cancelled:1")
    assert [one["refunds"] for one in told] == [
        {"failed": 1}, {"failed": 1, "wanted": 1}, {"done": 1, "failed": 1},
    ]  # fmt: skip
    assert [(one["left"], one["moving"], one["is_done"]) for one in told] == [
        (0, 0, True), (0, 1, False), (0, 0, True),
    ]  # fmt: skip

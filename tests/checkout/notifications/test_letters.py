"""What is told when: each change of an order that people are told of puts its message, in the same transaction."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from checkout.fraud.review import Decision
from checkout.holds.places import OnePlace
from checkout.notifications.message import Kind, Outcome, Result, Send, SendState
from checkout.notifications.store import mark, spread, take
from checkout.orders import letters
from checkout.orders.order import Attempt, Order
from checkout.orders.ports import Judgement, Trusting
from checkout.orders.review import Word
from checkout.organiser.importing import Importing
from checkout.organiser.letters_web import LettersDesk
from checkout.organiser.reporting import Reporting
from checkout.organiser.service import Organising
from checkout.organiser.web import OrganiserWeb
from checkout.payments.port import PaymentState
from checkout.tables import ORDERS, OUTBOX
from kernel.backoff import LONGEST_MS
from tests.checkout.bank import losing
from tests.checkout.notifications.posting import Noting, Scene
from tests.checkout.organisers import TOKEN, TOKENS
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, shop


def told(own: Shop) -> list[tuple[str, str]]:
    """Return what was put: kind and subject, in order."""
    with own.scene.database.reading() as connection:
        rows = connection.execute(sa.select(OUTBOX.c.kind, OUTBOX.c.subject).order_by(OUTBOX.c.created_ms))
        return [(row.kind, row.subject) for row in rows]


def facts_of(own: Shop, kind: Kind) -> list[str]:
    """Return the bodies of a kind."""
    with own.scene.database.reading() as connection:
        query = sa.select(OUTBOX.c.body).where(OUTBOX.c.kind == kind.value).order_by(OUTBOX.c.body)
        return list(connection.scalars(query))


async def test_a_paid_order_is_told_once(shop_url: str, store_url: str) -> None:
    """However often somebody looks at it afterwards."""
    async with shop(shop_url, store_url) as own:
        order = await own.paid()
        await own.pay(order, key="k2")
        await own.settle()

        assert told(own) == [("order-paid", order["order"])]
        assert facts_of(own, Kind.ORDER_PAID) == ['{"amount_minor":8400,"currency":"EUR"}']


async def test_refunds_are_told_each_with_its_amount(shop_url: str, store_url: str) -> None:
    """A part, then the rest: the second one is all that was left; a repeat under a key tells nothing new."""
    async with shop(shop_url, store_url) as own:
        order = await own.paid()
        for amount, key in ((1000, "r1"), (1000, "r1"), (None, "r2")):
            await own.worker.caring.refund(EVENT, order["order"], amount, key, by="ann")
        await own.settle()

        assert facts_of(own, Kind.ORDER_REFUNDED) == [
            '{"amount_minor":1000,"currency":"EUR","whole":false}',
            '{"amount_minor":7400,"currency":"EUR","whole":true}',
        ]


async def test_money_that_could_not_be_taken_is_told(shop_url: str, store_url: str) -> None:
    """C5: the authorisation is over between sale and capture."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        own.bank.before = losing("capture", 3)
        await own.pay(order)
        own.bank.set("pay-1", state=PaymentState.VOIDED)
        await own.settle(4)

        assert told(own) == [("payment-failed", order["order"])]


class Doubting(Trusting):
    """A judge that has a person look at everything."""

    async def after(self, order: Order, attempt: Attempt) -> Judgement:
        """Doubt."""
        del order, attempt
        return Judgement.REVIEW


@pytest.mark.parametrize(
    ("decision", "kind"), [(Decision.RELEASE, "order-paid"), (Decision.REFUSE, "order-refused")]
)
async def test_a_review_and_its_end_are_told(
    decision: Decision, kind: str, shop_url: str, store_url: str
) -> None:
    """First that somebody looks, then what came of it."""
    async with shop(shop_url, store_url, judge=Doubting()) as own:
        order = await own.order()
        await own.pay(order)
        await own.worker.caring.judge(EVENT, order["order"], decision, Word("ida", "Called."))
        await own.settle()

        assert sorted(told(own)) == sorted([("order-review", order["order"]), (kind, order["order"])])


async def test_a_cancelled_event_is_told_to_who_has_paid(shop_url: str, store_url: str) -> None:
    """That it does not take place, and then that the money is back; who has not paid hears nothing."""
    async with shop(shop_url, store_url) as own:
        paid = await own.paid("ann", 0, 1)
        await own.order("ben", 2, 3)
        await own.scene.catalogue.update_event(EVENT, {"state": "cancelled"})
        await own.worker.recovering.end_cancelled()
        await own.settle()
        await own.worker.recovering.end_cancelled()

        kinds = {kind for kind, subject in told(own) if subject == paid["order"]}
        assert len(told(own)) == 3
        assert kinds == {"order-paid", "event-cancelled", "order-refunded"}


async def test_an_order_that_was_never_paid_ends_in_silence(shop_url: str, store_url: str) -> None:
    """Given up, or out of time."""
    async with shop(shop_url, store_url) as own:
        given_up = await own.order("ann", 0, 1)
        await own.worker.ordering.give_up(EVENT, "ann", given_up["order"])
        await own.order("ben", 2, 3)
        await own.settle(30)

        assert told(own) == []


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "mutant"])
async def test_no_order_is_paid_without_its_message(
    is_guarded: bool, tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C3: a death before the commit takes both; a message put afterwards, in a commit of its own, is lost (mutant)."""
    url = f"sqlite:///{tmp_path}/shop.db"
    lost: list[str] = []

    def dying(*_given: Any) -> bool:
        lost.append("put")
        raise RuntimeError("the process is no more")

    def later(*_given: Any) -> None:
        lost.append("put")

    async with shop(url, store_url) as own:
        order = await own.order()
        if is_guarded:
            monkeypatch.setattr(letters, "put", dying)
        else:
            monkeypatch.setattr(letters, "put", later)
        try:
            await own.pay(order)
        except RuntimeError:
            assert is_guarded
        with own.scene.database.reading() as connection:
            is_paid = connection.scalar(sa.select(ORDERS.c.state)) == "paid"
        monkeypatch.undo()
        if is_guarded:
            await own.settle()

        assert lost
        assert is_paid is not is_guarded
        assert [kind for kind, _ in told(own)] == (["order-paid"] if is_guarded else [])


async def test_a_mail_server_that_is_down_is_not_noticed_by_who_pays(shop_url: str, store_url: str) -> None:
    """Row 33: ten minutes of orders are paid meanwhile; everything arrives afterwards, once for each order."""
    async with shop(shop_url, store_url) as own:
        scene, is_down = Scene(own.scene.database, own.scene.clock), [True]

        def answer(_send: Send) -> Result:
            return Result(Outcome.AWAY, "down") if is_down[0] else Result(Outcome.SENT)

        channel = Noting(answer=answer)
        relay, orders = scene.relay(channel), []
        for number in range(10):
            order = await own.paid(f"fan{number}", 2 * number, 2 * number + 1)
            orders.append(order["order"])
            await scene.passed(relay, channel, 2, 5_000)
        assert scene.states() == {"waiting": 10}
        is_down[0] = False
        channel.noted.clear()
        scene.clock.advance(LONGEST_MS)
        await scene.passed(relay, channel)

        assert sorted(channel.noted) == sorted(f"order-paid.{order}" for order in orders)


# ------------------------------------------------------------------------------ the organiser


async def dead_letter(own: Shop, order: str) -> None:
    """Have a mail given up."""
    with own.scene.database.writing() as connection:
        now_ms = own.scene.clock.now_ms()
        spread(connection, ["mail", "webhook.1"], now_ms, 10, lambda _: True)
        (send,) = take(connection, "mail", now_ms, now_ms + 1, 10, lambda _: True).sends
        mark(connection, send, SendState.DEAD, 1, now_ms, "550 5.1.1")
    assert send.message.subject == order


async def test_an_organiser_sees_dead_letters_and_sends_one_again(shop_url: str, store_url: str) -> None:
    """Row 74: each channel's state is there; what is sent again waits, and is no dead letter any more."""
    async with shop(shop_url, store_url) as own:
        order = (await own.paid())["order"]
        await dead_letter(own, order)
        scene, places = own.scene, OnePlace(own.scene.place)
        web = OrganiserWeb(
            scene.catalogue,
            Importing(scene.catalogue),
            Organising(scene.catalogue, places),
            Reporting(scene.catalogue, places, scene.clock),
            TOKENS,
            LettersDesk(scene.catalogue, places, scene.clock).routes,
        )
        base, key = f"http://shop/organiser/api/events/{EVENT}", {"authorization": f"Bearer {TOKEN}"}
        letter = f"{base}/letters/order-paid.{order}/mail/again"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(web), headers=key) as client:
            dead = (await client.get(f"{base}/letters")).json()["letters"]
            about = (await client.get(f"{base}/orders/{order}/letters")).json()["letters"]
            nobody = await client.post(letter, headers={"authorization": "Bearer x"})
            again = await client.post(letter)
            once_more = await client.post(letter)
            left = (await client.get(f"{base}/letters")).json()["letters"]

    assert (nobody.status_code, once_more.status_code) == (401, 404)
    assert once_more.json()["code"] == "letter-unknown"
    assert [(one["letter"], one["channel"], one["why"]) for one in dead] == [
        (f"order-paid.{order}", "mail", "550 5.1.1")
    ]
    assert {one["channel"]: one["state"] for one in about} == {"mail": "dead", "webhook.1": "waiting"}
    assert again.status_code == 202
    assert left == []

"""What providers send of their own accord: early, twice, shuffled, forged, or about something else."""

import asyncio
from itertools import permutations

import pytest
import sqlalchemy as sa

from checkout.money import Money
from checkout.orders.notices import Effect
from checkout.payments.port import Forged, PaymentState
from checkout.tables import NOTICES
from kernel.errors import Unavailable
from tests.checkout.bank import losing
from tests.checkout.tills import Shop, faults, shop

SIGNED = {"signed": "yes"}


async def notices(own: Shop) -> list[tuple[str, str]]:
    """Read what was written down: id and state."""
    with own.scene.database.reading() as connection:
        rows = connection.execute(sa.select(NOTICES.c.id, NOTICES.c.state).order_by(NOTICES.c.id))
        return [(row.id, row.state) for row in rows]


async def test_a_notice_that_overtakes_the_answer_is_the_same_step(shop_url: str, store_url: str) -> None:
    """P9: it comes while the bank's answer is still on its way; the order is sold and taken once."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()

        async def early(name: str) -> None:
            if name == "confirm":
                own.bank.after = None
                await own.new_worker().notices.hear("bank", b"n1:pay-1", SIGNED)

        own.bank.after = early
        paper = await own.pay(order)
        await own.settle(2)
        wrong = await faults(own)
        written = await notices(own)

    assert paper["state"] == "paid"
    assert [name for name, _ in own.bank.calls].count("capture") <= 2
    assert own.bank.captures(order["order"]) == 1
    assert written == [("n1", "done")]
    assert wrong == []


@pytest.mark.parametrize("order_of", list(permutations((b"n1", b"n2", b"n3")))[:6])
async def test_notices_twice_and_shuffled_have_one_effect(
    order_of: tuple[bytes, ...], shop_url: str, store_url: str
) -> None:
    """P10: each three times, at two workers, in any order."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        own.bank.authorise("pay-1")
        workers = (own.worker, own.new_worker())
        effects = await asyncio.gather(
            *(
                workers[at % 2].notices.hear("bank", id_ + b":pay-1", SIGNED)
                for id_ in order_of
                for at in range(3)
            )
        )
        paper = await own.look(order)
        wrong = await faults(own)

    told = [effect for one in effects for effect in one]
    assert (told.count(Effect.DONE), told.count(Effect.KNOWN)) == (3, 6)
    assert (paper["state"], own.bank.captures(order["order"])) == ("paid", 1)
    assert wrong == []


async def test_a_notice_three_days_later_is_known(shop_url: str, store_url: str) -> None:
    """P12: SQL remembers, for good, and nothing is asked of the bank."""
    async with shop(shop_url, store_url) as own:
        await own.paid()
        first = await own.worker.notices.hear("bank", b"n1:pay-1", SIGNED)
        calls = len(own.bank.calls)
        own.scene.clock.advance(3 * 86_400_000)
        again = await own.new_worker().notices.hear("bank", b"n1:pay-1", SIGNED)

    assert (first, again) == ([Effect.DONE], [Effect.KNOWN])
    assert len(own.bank.calls) == calls


async def test_a_notice_without_effect_is_sent_again(shop_url: str, store_url: str) -> None:
    """The payment cannot be looked at: nothing is written down, and the sender hears so."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        own.bank.authorise("pay-1")
        own.bank.before = losing("fetch")
        with pytest.raises(Unavailable):
            await own.worker.notices.hear("bank", b"n1:pay-1", SIGNED)
        between = await notices(own)
        again = await own.worker.notices.hear("bank", b"n1:pay-1", SIGNED)
        paper = await own.look(order)

    assert between == []
    assert again == [Effect.DONE]
    assert paper["state"] == "paid"


@pytest.mark.parametrize(
    ("body", "headers", "fault"),
    [(b"n1:pay-1", {}, Forged), (b"n1:pay-1", {"signed": "no"}, Forged), (b"nothing", SIGNED, ValueError)],
)
async def test_what_is_not_signed_or_not_readable_changes_nothing(
    body: bytes, headers: dict[str, str], fault: type[Exception], shop_url: str, store_url: str
) -> None:
    """P13: refused, and not written down."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        own.bank.authorise("pay-1")
        with pytest.raises(fault):
            await own.worker.notices.hear("bank", body, headers)
        paper = await own.look(order)
        written = await notices(own)

    assert paper["phase"] == "action"
    assert written == []


@pytest.mark.parametrize("what", ["nobody's payment", "another amount", "another order"])
async def test_what_cannot_be_is_put_aside(what: str, shop_url: str, store_url: str) -> None:
    """P13: acknowledged, written down for a person, and the order is as it was; a repeat is known."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        body = b"n1:pay-1"
        match what:
            case "nobody's payment":
                body = b"n1:pay-99"
            case "another amount":
                own.bank.set("pay-1", amount=Money(1, "EUR"), state=PaymentState.AUTHORISED)
            case "another order":
                own.bank.set("pay-1", order="Oelse", state=PaymentState.AUTHORISED)
        first = await own.worker.notices.hear("bank", body, SIGNED)
        again = await own.worker.notices.hear("bank", body, SIGNED)
        paper = await own.look(order)
        written = await notices(own)

    assert (first, again) == ([Effect.QUARANTINED], [Effect.KNOWN])
    assert paper["phase"] == "action"
    assert written == [("n1", "quarantined")]


async def test_without_notices_the_order_is_found(shop_url: str, store_url: str) -> None:
    """P14: the look at what stands still finds it within a minute."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        own.bank.authorise("pay-1")
        await own.settle(rounds=2)
        paper = await own.look(order)

    assert paper["state"] == "paid"


async def test_remembering_in_a_cache_is_noticed(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: what was handled is remembered by the worker and not by SQL."""
    monkeypatch.setattr("checkout.orders.notices.is_known", lambda *_a, **_k: False)
    monkeypatch.setattr("checkout.orders.store.note", lambda *_a, **_k: None)

    with pytest.raises(AssertionError):
        await test_a_notice_three_days_later_is_known(shop_url, store_url)

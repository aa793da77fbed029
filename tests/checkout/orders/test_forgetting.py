"""Keys of requests are forgotten when they are old; a repeat of one charges nobody, and refunds nothing twice."""

from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from checkout.holds.places import OnePlace, Place
from checkout.metrics import Metrics
from checkout.orders import forgetting as module
from checkout.orders.forgetting import KEEP_MS, MOST, Forgetting
from checkout.orders.refund import Refund
from checkout.orders.service import No, NoAttempt, Told
from checkout.tables import IDEMPOTENCY
from kernel.errors import Unavailable
from tests.checkout.reservations import EVENT
from tests.checkout.tills import NOBODY_SEEN, Shop, shop

BODY = b'{"amount_minor":100}'


@dataclass
class Forgetter:
    """A worker that forgets, and what it counts."""

    own: Shop
    places: OnePlace

    def __post_init__(self) -> None:
        """Count anew."""
        self.registry = CollectorRegistry()
        self.work = Forgetting(self.places, self.own.scene.clock, Metrics(self.registry))

    async def forget(self) -> int:
        """Forget once."""
        return await self.work.pass_by(self.own.scene.place)

    def left(self) -> list[str]:
        """Return the keys that are remembered."""
        with self.own.scene.database.reading() as connection:
            return sorted(connection.scalars(sa.select(IDEMPOTENCY.c.key)))

    @property
    def counted(self) -> float:
        """Read the metric."""
        name, labels = "waitroom_shop_request_keys", {"place": self.own.scene.place.name}
        return self.registry.get_sample_value(name, labels) or 0.0


def forgetter(own: Shop) -> Forgetter:
    """Make one."""
    return Forgetter(own, OnePlace(own.scene.place))


async def test_keys_are_forgotten_when_they_are_old_and_not_before(shop_url: str, store_url: str) -> None:
    """At the very millisecond; of a paid order, of one that came to nothing, and of its refunds."""
    async with shop(shop_url, store_url) as own:
        keys = forgetter(own)
        paid = await own.paid("ann", 0)
        await own.worker.caring.refund(EVENT, paid["order"], 100, "r1", by="desk", body=BODY)
        given_up = await own.order("bob", 4)
        await own.pay(given_up, "no-funds", key="b1", buyer="bob")
        await own.worker.ordering.give_up(EVENT, "bob", given_up["order"])
        before = keys.left()

        own.scene.clock.advance(KEEP_MS - 1)
        young = await keys.forget()
        own.scene.clock.advance(1)
        old = await keys.forget()
        again = await keys.forget()

        assert len(before) == 3
        assert (young, old, again) == (0, 3, 0)
        assert keys.left() == []
        assert keys.counted == 0


async def test_a_repeat_of_a_forgotten_key_charges_nobody_and_refunds_nothing_twice(
    shop_url: str, store_url: str
) -> None:
    """It is told that the order is paid; the refund is the one that there is, whatever the body says."""
    async with shop(shop_url, store_url) as own:
        keys = forgetter(own)
        order = await own.paid("ann", 0)
        first = await own.worker.caring.refund(EVENT, order["order"], 100, "r1", by="desk", body=BODY)
        own.scene.clock.advance(KEEP_MS)
        assert await keys.forget() == 2

        repeats = [
            await own.worker.ordering.pay(EVENT, "ann", order["order"], "ok", key, NOBODY_SEEN)
            for key in ("k", "k1", "other")
        ]
        other = await own.worker.caring.refund(EVENT, order["order"], 700, "r1", by="desk", body=b"other")
        again = await own.worker.caring.refund(EVENT, order["order"], 100, "r1", by="desk", body=BODY)
        await own.settle()
        _, attempts = await own.rows(order)

        assert repeats == [NoAttempt.PAID] * 3
        assert own.bank.captures(order["order"]) == 1
        assert len(attempts) == 1
        assert isinstance(first, Refund)
        assert isinstance(other, Refund)
        assert other.amount == first.amount
        assert again is No.OTHER_BODY
        assert attempts[0].refunded_minor == 100


async def _declined_and_repeated(own: Shop, keys: Forgetter) -> int:
    """Have a try declined, time pass with the order still open, and the same request come again; count the tries."""
    order = await own.order("ann", 0)
    await own.pay(order, "no-funds", key="k1")
    # As if the order had been left open for a week: no rule may lean on that it is not.
    with own.scene.database.writing() as connection:
        connection.execute(sa.update(IDEMPOTENCY).values(created_ms=IDEMPOTENCY.c.created_ms - KEEP_MS))
    await keys.forget()
    told = await own.worker.ordering.pay(EVENT, "ann", order["order"], "no-funds", "k1", NOBODY_SEEN)
    assert isinstance(told, Told)
    _, attempts = await own.rows(order)
    return len(attempts)


async def test_the_keys_of_an_order_that_can_be_paid_are_never_forgotten(
    shop_url: str, store_url: str
) -> None:
    """However old: a repeat gets the try that there is."""
    async with shop(shop_url, store_url) as own:
        assert await _declined_and_repeated(own, forgetter(own)) == 1


async def test_forgotten_by_age_alone_a_repeat_would_ask_the_bank_again(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: whatever is old goes; the same request then begins a second try."""
    monkeypatch.setattr(module, "is_over", lambda _: True)
    async with shop(shop_url, store_url) as own:
        assert await _declined_and_repeated(own, forgetter(own)) == 2


class Moving(OnePlace):
    """Places of which the event is on its way."""

    def of(self, event: str) -> Place:
        """It is nowhere."""
        raise Unavailable("event-moving", f"{event} is being moved.")


async def test_an_event_that_is_being_moved_and_what_is_not_ours_is_left_alone(
    shop_url: str, store_url: str
) -> None:
    """The copy must be what the original is; and a probe of databases is no key."""
    async with shop(shop_url, store_url) as own:
        await own.paid("ann", 0)
        probe = {"scope": "probe", "key": "p", "body_hash": "", "state": "", "created_ms": 0}
        with own.scene.database.writing() as connection:
            connection.execute(sa.insert(IDEMPOTENCY), probe)
        own.scene.clock.advance(KEEP_MS)
        moving = Forgetter(own, Moving(own.scene.place))
        nothing = await moving.forget()
        here = forgetter(own)
        gone = await here.forget()

        assert (nothing, gone) == (0, 1)
        assert here.left() == ["p"]
        assert (moving.counted, here.counted) == (2, 1)


async def test_many_keys_are_forgotten_in_one_look(shop_url: str, store_url: str) -> None:
    """More than are read at a time, with some among them that stay."""
    async with shop(shop_url, store_url) as own:
        open_order = (await own.order("ann", 0))["order"]
        rows = [
            {
                "scope": f"{EVENT}:{open_order if number % 100 == 0 else 'Onone'}:pay", "key": f"k{number}",
                "body_hash": "", "state": "1", "created_ms": number // 3,
            }
            for number in range(2 * MOST + 7)
        ]  # fmt: skip
        with own.scene.database.writing() as connection:
            connection.execute(sa.insert(IDEMPOTENCY), rows)
        keys = forgetter(own)
        gone = await keys.forget()

        assert len(keys.left()) == 11
        assert gone == len(rows) - 11

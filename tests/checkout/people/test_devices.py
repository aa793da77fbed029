"""Devices: browsers that are told of an order: sealed, few, told to their owner, erased with what is personal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from checkout.holds.places import OnePlace
from checkout.people.contacts import DAY_MS, Contacts, Purging
from checkout.people.devices import MOST, Devices
from checkout.people.keys import PeopleKeys
from checkout.people.personal import Personal
from checkout.people.rotating import Rotation
from checkout.tables import META, ORDERS, PUSH_DEVICES
from kernel.sealing import Vault, Where
from kernel.webpush import PushHosts, Subscription, read_subscription
from tests.checkout.people.sealed import keys_in
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, shop
from tests.kernel.push_service import Browser

HOST = "https://fcm.googleapis.com/fcm/send/"


@dataclass
class Kept:
    """A shop that has browsers told."""

    own: Shop
    keys: PeopleKeys
    devices: Devices
    personal: Personal
    begun: set[str]

    @property
    def purging(self) -> Purging:
        """Erase what is over."""

        async def begun(_: int) -> frozenset[str]:
            return frozenset(self.begun)

        scene = self.own.scene
        return Purging(OnePlace(scene.place), begun, 30, scene.clock, scene.metrics)

    def dump(self) -> str:
        """Write down every row of every table."""
        with self.own.scene.database.reading() as connection:
            return "\n".join(
                str(tuple(row))
                for table in META.sorted_tables
                for row in connection.execute(sa.select(table))
            )

    def count(self) -> int:
        """Count the rows."""
        with self.own.scene.database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(PUSH_DEVICES)) or 0


@asynccontextmanager
async def keeping(url: str, store_url: str, folder: Path) -> AsyncIterator[Kept]:
    """Open it."""
    async with shop(url, store_url) as own:
        places, keys = OnePlace(own.scene.place), keys_in(folder)
        devices = Devices(places, keys, own.scene.clock, own.scene.metrics)
        contacts = Contacts(places, keys, own.scene.clock, own.scene.metrics)
        yield Kept(own, keys, devices, Personal(places, contacts, [devices]), set())


def browser(name: str) -> Subscription:
    """Subscribe a browser."""
    return read_subscription(Browser().subscription(f"{HOST}{name}"), "key", PushHosts())


async def test_a_browser_is_kept_once_and_read_again(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """The same again is the same browser, with what is new of it."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        one, anew = browser("one"), browser("one")
        await kept.devices.put(EVENT, "O1", one, "en")
        await kept.devices.put(EVENT, "O1", anew, "de")
        await kept.devices.put(EVENT, "O2", one, "en")
        found = await kept.devices.of(EVENT, "O1")

        assert [(device.subscription, device.language) for device in found] == [(anew, "de")]
        assert await kept.devices.of("winter", "O1") == []


async def test_an_order_has_a_few_browsers_the_newest(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """One more takes the place of the oldest, whoever subscribes again and again."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        for number in range(MOST + 3):
            await kept.devices.put(EVENT, "O1", browser(str(number)), "en")
            kept.own.scene.clock.advance(1)
        found = [device.subscription.endpoint for device in await kept.devices.of(EVENT, "O1")]

        assert found == [f"{HOST}{number}" for number in range(3, MOST + 3)]


async def test_a_dump_tells_no_browser(
    shop_url: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealed, and found by an index; the mutant that seals nothing is seen."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        one = browser("one")
        await kept.devices.put(EVENT, "O1", one, "en")
        secrets = (one.endpoint, one.auth, one.p256dh, "fcm.googleapis.com")
        assert not [secret for secret in secrets if secret in kept.dump()]

        def plain(vault: Vault, text: str, where: Where) -> str:
            return text

        monkeypatch.setattr(Vault, "seal", plain)
        await kept.devices.put(EVENT, "O2", one, "en")
        assert one.endpoint in kept.dump()


async def test_a_row_that_does_not_open_keeps_no_other_from_being_told(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """An envelope that was moved to another order opens nothing."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        await kept.devices.put(EVENT, "O1", browser("one"), "en")
        await kept.devices.put(EVENT, "O1", browser("two"), "en")
        (first, _) = await kept.devices.of(EVENT, "O1")
        moved = sa.update(PUSH_DEVICES).where(PUSH_DEVICES.c.device == first.name).values(subject="O2")
        with kept.own.scene.database.writing() as connection:
            connection.execute(moved)

        assert await kept.devices.of(EVENT, "O2") == []
        assert len(await kept.devices.of(EVENT, "O1")) == 1


async def test_a_buyer_is_told_what_is_kept_and_has_it_erased(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """With the rest of what is personal; one browser alone by its address, or when its service knows it no more."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        order = (await kept.own.order())["order"]
        for name in ("one", "two", "three", "four"):
            await kept.devices.put(EVENT, order, browser(name), "pl")
        told = await kept.personal.told(EVENT, order)
        forgotten = await kept.devices.forget(EVENT, order, f"{HOST}one")
        twice = await kept.devices.forget(EVENT, order, f"{HOST}one")
        (gone, *_) = await kept.devices.of(EVENT, order)
        await kept.devices.gone(EVENT, order, gone.name)
        erased = await kept.personal.erase(EVENT, order, "buyer")
        after = await kept.personal.told(EVENT, order)

        assert {row["endpoint"] for row in told["devices"]} == {
            f"{HOST}{name}" for name in ("one", "two", "three", "four")
        }
        assert told["devices"][0]["language"] == "pl"
        assert (forgotten, twice, erased["devices"], after["devices"]) == (1, 0, 2, None)
        assert kept.count() == 0


async def test_browsers_go_with_the_order_and_with_the_event(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """A day after the order came to nothing, and so long after the event; nobody needs a contact for that."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        order = (await kept.own.order())["order"]
        await kept.devices.put(EVENT, order, browser("one"), "en")
        await kept.devices.put(EVENT, "other", browser("two"), "en")
        with kept.own.scene.database.writing() as connection:
            connection.execute(sa.update(ORDERS).where(ORDERS.c.id == order).values(state="lapsed"))
        await kept.purging.purge()
        before = kept.count()
        kept.own.scene.clock.advance(3 * DAY_MS)
        await kept.purging.purge()
        after = kept.count()
        kept.begun.add(EVENT)
        await kept.purging.purge()

        assert (before, after, kept.count()) == (2, 1, 0)


async def test_a_rotation_seals_browsers_anew(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """With addresses and names; afterwards no value needs the old key."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        await kept.devices.put(EVENT, "O1", browser("one"), "en")
        rotation = Rotation(kept.keys, {"main": kept.own.scene.database}, lambda: ("", False))
        rotated = rotation.begin(2_000_000)
        rotation.seal(rotated)

        assert rotated.sealed == 1
        assert kept.keys.document.active.name in kept.dump()
        assert len(await kept.devices.of(EVENT, "O1")) == 1

"""Contacts: kept beside the order, sealed, found, told, erased; the books and the log stand whatever is erased."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from checkout.eventlog.verifying import verify
from checkout.holds.places import OnePlace
from checkout.people import contacts as module
from checkout.people.contacts import DAY_MS, Contact, Contacts, Purging
from checkout.people.personal import KEPT, Personal
from checkout.tables import CONTACTS, EVENT_LOG, META, MONEY, ORDERS
from kernel.errors import Unavailable
from tests.checkout.people.sealed import keys_in
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, faults, shop

ANN = Contact("annabel@example.org", "de", name="Annabel Quaverton")


@dataclass
class Kept:
    """A shop with contacts."""

    own: Shop
    contacts: Contacts
    personal: Personal
    begun: set[str]

    @property
    def purging(self) -> Purging:
        """Erase what is 30 days old; which events have begun a test says."""

        async def begun(until_ms: int) -> frozenset[str]:
            assert until_ms == self.own.scene.clock.now_ms() - 30 * DAY_MS
            return frozenset(self.begun)

        scene = self.own.scene
        return Purging(OnePlace(scene.place), begun, 30, scene.clock, scene.metrics)

    def dump(self) -> str:
        """Write down every row of every table, as a dump of the database would."""
        with self.own.scene.database.reading() as connection:
            return "\n".join(
                str(tuple(row))
                for table in META.sorted_tables
                for row in connection.execute(sa.select(table))
            )


@asynccontextmanager
async def keeping(url: str, store_url: str, folder: Path) -> AsyncIterator[Kept]:
    """Open a shop that keeps contacts."""
    async with shop(url, store_url) as own:
        places = OnePlace(own.scene.place)
        contacts = Contacts(places, keys_in(folder), own.scene.clock, own.scene.metrics)
        yield Kept(own, contacts, Personal(places, contacts), set())


async def test_a_contact_is_kept_changed_and_told(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """Before the order is paid and after; the last word counts."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        order = await kept.own.order()
        nobody = await kept.contacts.of(EVENT, order["order"])
        assert await kept.contacts.put(EVENT, "ann", order["order"], ANN)
        first = await kept.contacts.of(EVENT, order["order"])
        await kept.own.pay(order)
        assert await kept.contacts.put(EVENT, "ann", order["order"], Contact("ann@example.com", "en"))
        second = await kept.contacts.of(EVENT, order["order"])

    assert nobody is None
    assert first == ANN
    assert first is not None
    assert first.wants == {"order"}
    assert second == Contact("ann@example.com", "en")


async def test_nobody_writes_a_contact_of_somebody_elses_order(
    shop_url: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another buyer, another event, no order, no name of one. The mutant that does not ask writes it."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        order = (await kept.own.order())["order"]
        for event, buyer, name in (
            (EVENT, "bob", order),
            ("winter", "ann", order),
            (EVENT, "ann", "Onone"),
            (EVENT, "ann", "O\0"),
            ("\0", "ann", order),
        ):
            assert not await kept.contacts.put(event, buyer, name, ANN)
            assert not await kept.contacts.owns(event, buyer, name)
        assert await kept.contacts.owns(EVENT, "ann", order)
        assert await kept.contacts.of(EVENT, order) is None
        monkeypatch.setattr(module, "_order", lambda *_: sa.select(ORDERS.c.id))
        assert await kept.contacts.put(EVENT, "bob", order, ANN)


async def test_a_dump_tells_no_address_and_no_name(
    shop_url: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed row 27, on both databases; the mutant that seals nothing is seen."""
    words = ("annabel", "example.org", "quaverton")
    async with keeping(shop_url, store_url, tmp_path) as kept:
        order = await kept.own.paid()
        await kept.contacts.put(EVENT, "ann", order["order"], ANN)
        dump = kept.dump().lower()
        monkeypatch.setattr(kept.contacts._keys, "seal", lambda text, _where: text)
        await kept.contacts.put(EVENT, "ann", order["order"], ANN)
        bare = kept.dump().lower()

    assert order["order"].lower() in dump
    assert [word for word in words if word in dump] == []
    assert [word for word in words if word in bare] == list(words)


async def test_a_contact_that_was_moved_to_another_order_does_not_open(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """Whoever can write into the database cannot have somebody's tickets sent elsewhere by an address they know."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        mine, theirs = (await kept.own.order("ann", 0))["order"], (await kept.own.order("bob", 2))["order"]
        await kept.contacts.put(EVENT, "ann", mine, ANN)
        await kept.contacts.put(EVENT, "bob", theirs, Contact("bob@example.org", "en"))
        with kept.own.scene.database.writing() as connection:
            sealed = connection.scalar(sa.select(CONTACTS.c.email).where(CONTACTS.c.order_id == mine))
            connection.execute(sa.update(CONTACTS).where(CONTACTS.c.order_id == theirs).values(email=sealed))
        with pytest.raises(Unavailable) as caught:
            await kept.contacts.of(EVENT, theirs)

    assert caught.value.code == "contact-unreadable"


async def test_orders_are_found_by_an_address(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """In any capitals, without opening one; nobody's else."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        orders = [(await kept.own.order("ann", seat))["order"] for seat in (0, 2)]
        other = (await kept.own.order("bob", 4))["order"]
        for order in orders:
            await kept.contacts.put(EVENT, "ann", order, ANN)
        await kept.contacts.put(EVENT, "bob", other, Contact("bob@example.org", "en"))
        found = await kept.contacts.find("ANNABEL@Example.org")
        nobody = await kept.contacts.find("nobody@example.org")

    assert found == sorted((EVENT, order) for order in orders)
    assert nobody == []


async def test_erasing_keeps_the_books_and_the_log(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """Seed row 90: who the buyer is is gone; every order, every cent and every link of the chain is as it was."""
    tables = (ORDERS, MONEY, EVENT_LOG)
    async with keeping(shop_url, store_url, tmp_path) as kept:
        order = (await kept.own.paid())["order"]
        await kept.contacts.put(EVENT, "ann", order, ANN)
        database = kept.own.scene.database
        with database.reading() as connection:
            before = [connection.execute(sa.select(table)).all() for table in tables]
        told = await kept.personal.told(EVENT, order)
        gone = await kept.personal.erase(EVENT, order, "buyer")
        again = await kept.personal.erase(EVENT, order, "buyer")
        after_told = await kept.personal.told(EVENT, order)
        with database.reading() as connection:
            after = [connection.execute(sa.select(table)).all() for table in tables]
            checked = verify(connection, kept.own.scene.clock.now_ms())
        wrong = await faults(kept.own)

    assert told["contact"] == {
        "email": "annabel@example.org", "language": "de", "name": "Annabel Quaverton", "wants": ["order"],
    }  # fmt: skip
    assert (gone, again) == ({"contact": 1}, {"contact": 0})
    assert {**told, "contact": None} == after_told
    assert before == after
    assert all(before)
    assert checked.faults == []
    assert checked.entries > 0
    assert wrong == []


async def test_everything_that_is_kept_is_told(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """By kind; what cannot be erased says why. Each column of the order's tables is told, or is none of the buyer's."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        order = (await kept.own.paid())["order"]
        told = await kept.personal.told(EVENT, order)
        unknown = await kept.personal.told(EVENT, "Onone")

    assert set(told) == {
        "order", "seats", "payments", "refunds", "money", "checks", "reviews", "disputes", "log", "contact",
        "not_erased_on_demand",
    }  # fmt: skip
    assert told["order"]["buyer"] == "ann"
    assert [seat["seat"] for seat in told["seats"]] == [0, 1]
    assert [(one["card"], one["captured_minor"]) for one in told["payments"]] == [("visa 4242", 8400)]
    assert [entry["seq"] for entry in told["log"]] == list(range(1, len(told["log"]) + 1))
    assert told["not_erased_on_demand"] == KEPT
    assert unknown["order"] is None


class OtherRoom:
    """What another room would keep."""

    name = "tickets"
    held = 2

    async def told(self, event: str, order: str) -> object:
        """Tell it."""
        return {"holders": self.held, "of": f"{event}/{order}"}

    async def erase(self, event: str, order: str) -> int:
        """Erase it."""
        del event, order
        gone, self.held = self.held, 0
        return gone


async def test_what_other_rooms_keep_is_told_and_erased_with_it(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """They join by a port and need no change here."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        order = (await kept.own.order())["order"]
        personal = Personal(OnePlace(kept.own.scene.place), kept.contacts, [OtherRoom()])
        told = await personal.told(EVENT, order)
        gone = await personal.erase(EVENT, order, "ida")

    assert told["tickets"] == {"holders": 2, "of": f"{EVENT}/{order}"}
    assert gone == {"contact": 0, "tickets": 2}


async def test_contacts_are_erased_when_their_time_is_over(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """Of an event that began long ago all of them; before that only those of orders that came to nothing."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        paid = (await kept.own.paid("ann", 0))["order"]
        lapsed = await kept.own.order("bob", 2)
        for order, buyer in ((paid, "ann"), (lapsed["order"], "bob")):
            await kept.contacts.put(EVENT, buyer, order, ANN)
        await kept.own.settle(24)
        state = (await kept.own.look(lapsed))["state"]
        kept.own.scene.clock.set(lapsed["until_ms"] + DAY_MS)
        early = await kept.purging.purge()
        kept.own.scene.clock.advance(1)
        nothing_came = await kept.purging.purge()
        left = await kept.contacts.of(EVENT, paid)
        kept.begun.add(EVENT)
        over = await kept.purging.purge()
        gone = await kept.contacts.of(EVENT, paid)
        again = await kept.purging.purge()
        wrong = await faults(kept.own)

    assert state == "lapsed"
    assert (early, nothing_came, over, again) == (0, 1, 1, 0)
    assert left == ANN
    assert gone is None
    assert wrong == []
    assert kept.own.scene.metrics.contacts._tallies["purged"].count == 2


async def test_an_event_on_its_way_is_left_to_its_move(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """Neither where it was nor where it will be is anything erased; a copy that was left is the move's."""
    async with keeping(shop_url, store_url, tmp_path) as kept:
        order = (await kept.own.paid())["order"]
        await kept.contacts.put(EVENT, "ann", order, ANN)
        kept.begun.add(EVENT)
        place = kept.own.scene.place

        class Moving(OnePlace):
            def of(self, event: str) -> object:  # type: ignore[override]
                raise Unavailable("event-moving", f"{event} moves.")

        class Elsewhere(OnePlace):
            def of(self, event: str) -> object:  # type: ignore[override]
                return [event]

        purging = kept.purging
        counts = []
        for homes in (Moving(place), Elsewhere(place)):
            purging._homes = homes
            counts.append(await purging.purge())
        left = await kept.contacts.of(EVENT, order)

    assert counts == [0, 0]
    assert left == ANN

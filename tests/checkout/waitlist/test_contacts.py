"""Where those who wait are written to: sealed, for as long as they wait and no longer; no mailbox is filled."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from checkout.catalogue.selling import State
from checkout.database import ShopDatabase
from checkout.metrics import Metrics
from checkout.people.contacts import Contact
from checkout.tables import OUTBOX, WAITLIST, WAITLIST_CONTACTS
from checkout.waitlist import contacts as module
from checkout.waitlist import store as rows_module
from checkout.waitlist.contacts import ENTRIES_MOST, WaitlistContacts
from checkout.waitlist.store import EntryState, WaitlistRows
from kernel.errors import Refused
from tests.checkout.people.sealed import keys_in
from tests.checkout.waitlists import EVENT, OFFER_MS, TERMS, Scene, sold_out

ANN = Contact("Ann@example.org", "de")


@dataclass(frozen=True, slots=True)
class OneHome:
    """A shop with one database."""

    database: ShopDatabase
    name: str = "main"

    def of(self, event: str) -> "OneHome":
        """Return the one."""
        del event
        return self

    def all(self) -> Sequence["OneHome"]:
        """Return the one."""
        return (self,)


@dataclass
class Kept:
    """A hall that is sold out, and who waits for it."""

    scene: Scene
    contacts: WaitlistContacts
    asked: list[tuple[str, str]]

    def count(self) -> int:
        """Count addresses."""
        with self.scene.database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(WAITLIST_CONTACTS)) or 0


@asynccontextmanager
async def waiting(url: str, store_url: str, folder: Path) -> AsyncIterator[Kept]:
    """Open it; ann waits first, bob second."""
    async with sold_out(url, store_url) as scene:
        asked: list[tuple[str, str]] = []

        async def offered(event: str, message: str) -> None:
            asked.append((event, message))

        metrics = Metrics(CollectorRegistry())
        kept = WaitlistContacts(OneHome(scene.database), keys_in(folder), scene.clock, metrics, offered)
        await scene.join("ann", "bob")
        yield Kept(scene, kept, asked)


async def test_an_address_is_kept_sealed_and_found_by_the_entry(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """In their language; no column has it in plain; not of somebody else's entry, nor of who does not wait."""
    async with waiting(shop_url, store_url, tmp_path) as own:
        assert await own.contacts.put(EVENT, "ann", Contact("first@example.org", "en"))
        assert await own.contacts.put(EVENT, "ann", ANN)
        assert not await own.contacts.put(EVENT, "nobody", ANN)
        assert not await own.contacts.put("winter", "ann", ANN)
        with own.scene.database.reading() as connection:
            (row,) = connection.execute(sa.select(WAITLIST_CONTACTS)).mappings().all()
        found = await own.contacts.of(EVENT, "waitlist:1")
        others = [
            await own.contacts.of(EVENT, subject)
            for subject in ("waitlist:2", "waitlist:", "waitlist:x", "waitlist:٣", "O1")
        ]
        kept = await own.contacts.kept(EVENT, "bob")
        erased = [await own.contacts.erase(EVENT, "ann") for _ in range(2)]

    assert "example" not in json.dumps(dict(row)).lower()
    assert found == ANN
    assert others == [None] * 5
    assert kept is None
    assert erased == [1, 0]
    assert own.asked == []


async def _taken(scene: Scene) -> None:
    await scene.cancel(3)
    await scene.step()
    await scene.pay("ann")
    await scene.step()


async def _lapsed(scene: Scene) -> None:
    await scene.cancel(3)
    await scene.step()
    scene.clock.advance(OFFER_MS)
    await scene.step()


async def _left(scene: Scene) -> None:
    assert await scene.waitlist.leave(EVENT, "ann")


async def _over(scene: Scene) -> None:
    scene.programme.terms_now = replace(TERMS, window=replace(TERMS.window, state=State.CANCELLED))
    await scene.step()


ENDS = [(_taken, "taken"), (_lapsed, "lapsed"), (_left, "left"), (_over, "lapsed")]


@pytest.mark.parametrize(("end", "state"), ENDS)
async def test_what_ends_an_entry_takes_its_address(
    end: object, state: str, shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """Served, left, lapsed, the event called off."""
    async with waiting(shop_url, store_url, tmp_path) as own:
        await own.contacts.put(EVENT, "ann", ANN)
        await end(own.scene)  # type: ignore[operator]

        assert own.scene.states()["ann"] == state
        assert own.count() == 0
        assert await own.contacts.of(EVENT, "waitlist:1") is None


async def test_a_store_that_ends_entries_alone_keeps_addresses(
    shop_url: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: the entry ends and nothing else; what is left behind, only the look each hour takes."""

    def end(self: WaitlistRows, entry: rows_module.Entry, state: EntryState) -> bool:
        return self._change(entry, entry.state, state=state)

    monkeypatch.setattr(WaitlistRows, "end", end)
    async with waiting(shop_url, store_url, tmp_path) as own:
        await own.contacts.put(EVENT, "ann", ANN)
        await own.contacts.put(EVENT, "bob", ANN)
        await own.scene.waitlist.leave(EVENT, "ann")
        left = own.count()
        purged = await own.contacts.purge(frozenset())
        still = own.count()
        over = await own.contacts.purge(frozenset({EVENT}))

    assert (left, purged, still, over) == (2, 1, 1, 1)


async def test_many_entries_of_one_address_are_refused(
    shop_url: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has many admissions fills nobody's mailbox; in any capitals; one's own again is no further one."""
    async with waiting(shop_url, store_url, tmp_path) as own:
        buyers = [f"b{number}" for number in range(ENTRIES_MOST + 1)]
        await own.scene.join(*buyers)
        for number, buyer in enumerate(buyers[:-1]):
            mail = "Ann@Example.org".upper() if number % 2 else "ann@example.org"
            assert await own.contacts.put(EVENT, buyer, Contact(mail, "en"))
        assert await own.contacts.put(EVENT, buyers[0], ANN)
        with pytest.raises(Refused, match="often enough") as refused:
            await own.contacts.put(EVENT, buyers[-1], ANN)
        assert refused.value.code == "contact-busy"
        assert await own.contacts.put(EVENT, buyers[-1], Contact("other@example.org", "en"))
        await own.scene.waitlist.leave(EVENT, buyers[0])
        assert await own.contacts.put(EVENT, buyers[-1], ANN)

        monkeypatch.setattr(module, "ENTRIES_MOST", 10**6)
        assert await own.contacts.put(EVENT, "ann", ANN)  # the mutant: no bound, and one more


async def test_an_address_that_comes_while_the_offer_stands_has_it_sent(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """The message that was put with the offer, by its name; not for who only waits."""
    async with waiting(shop_url, store_url, tmp_path) as own:
        await own.scene.cancel(3)
        await own.scene.step()
        await own.contacts.put(EVENT, "bob", ANN)
        assert own.asked == []
        await own.contacts.put(EVENT, "ann", ANN)
        with own.scene.database.reading() as connection:
            rows = list(connection.execute(sa.select(OUTBOX.c.event_id, OUTBOX.c.message_id)))

    assert own.asked == [tuple(row) for row in rows]


async def test_addresses_are_found_told_and_forgotten(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """By the address, by the entry, by the account; each takes its own and no more."""
    async with waiting(shop_url, store_url, tmp_path) as own:
        await own.contacts.put(EVENT, "ann", ANN)
        await own.contacts.put(EVENT, "bob", ANN, "A1")
        found = await own.contacts.find("ANN@example.org")
        told = [await own.contacts.told(account) for account in ("A1", "A2")]
        gone = [await own.contacts.forget("A1"), await own.contacts.erase_entry(EVENT, 7)]
        left = await own.contacts.find("ann@example.org")
        gone += [await own.contacts.erase_entry(EVENT, 1)]
        with own.scene.database.reading() as connection:
            entries = connection.scalar(sa.select(sa.func.count()).select_from(WAITLIST))

    assert found == [(EVENT, 1), (EVENT, 2)]
    assert told == [[{"event": EVENT, "number": 2, "email": "Ann@example.org"}], []]
    assert gone == [1, 0, 1]
    assert left == [(EVENT, 1)]
    assert entries == 2

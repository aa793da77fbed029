"""Contacts of the waitlist: where whoever waits wants to be written to when it is their turn. Nobody has to say.

An address belongs to one entry, lies beside it in the event's database, sealed (``people.sealing``), and moves with it.
Of an account's own address the account is noted, so that it goes with the account.

* **Only while the entry stands.** Whatever ends an entry takes its address away in the same transaction (``store``):
  served, left, lapsed. A look each hour takes what the end of an event has left behind (``purge``).
* **Nobody's mailbox is filled.** A mail is sent for an offer and for nothing else. ``ENTRIES_MOST`` entries of an event
  may have the same address; one that is changed while an offer stands is written to once a minute at most
  (``notifications.store.afresh``).

Not here: what is sent (``notifications``), when an offer is made (``service``), orders' contacts (``people.contacts``).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, RowMapping

from checkout.database import ShopDatabase
from checkout.metrics import Metrics
from checkout.people.addresses import read_email, same_address
from checkout.people.columns import SEALED_WAITERS
from checkout.people.contacts import Contact, Homes
from checkout.people.keys import PeopleKeys
from checkout.tables import ORDERS, STANDS_IN_LINE, WAITLIST, WAITLIST_CONTACTS
from checkout.waitlist.store import offer_message
from kernel.clock import Clock
from kernel.database import take_turn
from kernel.errors import Refused, Unavailable
from kernel.sealing import CannotOpen

log = logging.getLogger(__name__)

ENTRIES_MOST = 4
"""So many entries of one event may have the same address: a family, and no flood."""

FIND_MOST = 100
SUBJECT = "waitlist:"
"""What the message about an entry is about: ``waitlist:7``."""

Asked = Callable[[str, str], Awaitable[None]]
_KEY = ("event_id", "number")
_LOCKS = int.from_bytes(b"wc", "big") << 32
_COLUMNS = WAITLIST_CONTACTS.c
_OF_ENTRY = (WAITLIST.c.event_id == _COLUMNS.event_id) & (WAITLIST.c.number == _COLUMNS.number)
_STANDS = sa.text(STANDS_IN_LINE)


class WaitlistContacts:
    """Where those who wait are written to, for one worker."""

    def __init__(
        self, homes: Homes, keys: PeopleKeys, clock: Clock, metrics: Metrics, offered: Asked | None = None
    ) -> None:
        """`offered` hears of the event and the message of an offer that stands, when its address is changed."""
        self._homes = homes
        self._keys = keys
        self._clock = clock
        self._metrics = metrics
        self._offered = offered

    async def of(self, event: str, subject: str) -> Contact | None:
        """Return where to write to for ``waitlist:<number>``; None if nobody has said. Raises ``Unavailable``."""
        number = subject.removeprefix(SUBJECT)
        if not number.isascii() or not number.isdecimal():
            return None
        own = (_COLUMNS.event_id == event) & (_COLUMNS.number == int(number))
        return await self._one(event, sa.select(WAITLIST_CONTACTS).where(own))

    async def kept(self, event: str, buyer: str) -> Contact | None:
        """Return where a buyer who waits wants to be written to. Raises ``Unavailable``."""
        return await self._one(event, _standing(event, buyer, WAITLIST_CONTACTS))

    async def put(self, event: str, buyer: str, contact: Contact, account: str = "") -> bool:
        """Keep an address, or another one; False for who does not wait.

        Raises ``Refused("contact-busy")`` where too many entries have this address, ``Unavailable``.
        """
        index = self._keys.index("email", same_address(contact.email))

        def write(connection: Connection) -> RowMapping | None:
            # One at a time for an address: two at once would both find room.
            take_turn(connection, _LOCKS | int(index[:8], 16))
            # Locked, so that whatever ends the entry takes this address away, too.
            entry = connection.execute(_entry(event, buyer).with_for_update()).mappings().first()
            if entry is None:
                return None
            if self._others(connection, event, entry["number"], index) >= ENTRIES_MOST:
                public = "This address waits for this event often enough. Please use another one."
                raise Refused("contact-busy", public, 409, max=ENTRIES_MOST)
            own = {"event_id": event, "number": entry["number"]}
            _put(connection, {
                **own, "email": self._keys.seal(contact.email, SEALED_WAITERS.where(own, "email")),
                "email_index": index, "language": contact.language, "account_id": account,
                "changed_ms": self._clock.now_ms(),
            })  # fmt: skip
            return entry

        entry = await self._homes.of(event).database.write(write)
        if entry is None:
            return False
        self._metrics.contacts.count("kept")
        if entry["hold_id"] is not None and self._offered is not None:
            await self._offered(event, offer_message(event, entry["number"], entry["hold_id"]))
        return True

    async def erase(self, event: str, buyer: str) -> int:
        """Forget a buyer's address; returns how many there were."""
        numbers = sa.select(WAITLIST.c.number).where(WAITLIST.c.event_id == event, WAITLIST.c.buyer == buyer)
        return await self._erased(event, (_COLUMNS.event_id == event) & _COLUMNS.number.in_(numbers))

    async def erase_entry(self, event: str, number: int) -> int:
        """Forget an entry's address; whoever calls has seen that it may. Returns how many there were."""
        return await self._erased(event, (_COLUMNS.event_id == event) & (_COLUMNS.number == number))

    async def find(self, email: str) -> Sequence[tuple[str, int]]:
        """Find the events and entries of an address, by its index. Raises ``ValueError`` for what is no address."""
        index = self._keys.index("email", same_address(read_email(email)))
        return [(row["event_id"], row["number"]) for row in await self._all(_COLUMNS.email_index == index)]

    async def told(self, account: str) -> list[dict[str, Any]]:
        """Tell what is kept of an account's waiting, as its owner reads it."""
        rows = await self._all(_COLUMNS.account_id == account)
        return [
            {"event": row["event_id"], "number": row["number"], "email": self._open(row).email}
            for row in rows
        ]

    async def forget(self, account: str) -> int:
        """Forget every address that is an account's; returns how many there were."""
        gone = 0
        for home in self._homes.all():
            gone += await asyncio.to_thread(_delete, home.database, _COLUMNS.account_id == account)
        self._metrics.contacts.count("erased", gone)
        return gone

    async def of_order(self, event: str, order: str) -> list[dict[str, Any]]:
        """Tell how the buyer of an order stands, or stood, on the waitlist, with the address while there is one."""
        query = (
            sa.select(
                WAITLIST.c.number, WAITLIST.c.wanted, WAITLIST.c.tier, WAITLIST.c.state, WAITLIST.c.created_ms,
                *(_COLUMNS[name] for name in ("event_id", "email", "language")),
            )
            .outerjoin_from(WAITLIST, WAITLIST_CONTACTS, _OF_ENTRY)
            .where(WAITLIST.c.event_id == event, WAITLIST.c.buyer == _buyer(event, order))
            .order_by(WAITLIST.c.number)
        )  # fmt: skip
        rows = await asyncio.to_thread(_rows, self._homes.of(event).database, query)
        return [
            {
                "number": row["number"], "count": row["wanted"], "tier": row["tier"], "state": row["state"],
                "created_ms": row["created_ms"], "email": self._open(row).email if row["email"] else None,
            }
            for row in rows
        ]  # fmt: skip

    async def erase_of_order(self, event: str, order: str) -> int:
        """Forget the address of whoever an order is of; returns how many there were."""
        numbers = sa.select(WAITLIST.c.number).where(
            WAITLIST.c.event_id == event, WAITLIST.c.buyer == _buyer(event, order)
        )
        return await self._erased(event, (_COLUMNS.event_id == event) & _COLUMNS.number.in_(numbers))

    async def purge(self, over: frozenset[str]) -> int:
        """Forget what belongs to events that are over, and to entries that do not stand; returns how many."""
        ended = ~sa.exists(sa.select(WAITLIST.c.number).where(_OF_ENTRY, _STANDS))
        events = sa.select(_COLUMNS.event_id).distinct().order_by(_COLUMNS.event_id)
        gone = 0
        for home in self._homes.all():
            for row in await asyncio.to_thread(_rows, home.database, events):
                event = row["event_id"]
                try:
                    if self._homes.of(event) is not home:
                        continue  # A copy that a move has made or left: it is the move's to take away.
                except (Refused, Unavailable):
                    continue  # It is on its way.
                which = _COLUMNS.event_id == event
                gone += await asyncio.to_thread(
                    _delete, home.database, which if event in over else which & ended
                )
        if gone:
            self._metrics.contacts.count("purged", gone)
            log.info("addresses of the waitlist were erased, their time was over", extra={"count": gone})
        return gone

    # ------------------------------------------------------------------------------------- SQL

    def _others(self, connection: Connection, event: str, number: int, index: str) -> int:
        same = (_COLUMNS.event_id == event) & (_COLUMNS.email_index == index) & (_COLUMNS.number != number)
        count = sa.select(sa.func.count()).select_from(WAITLIST_CONTACTS).where(same)
        return connection.scalar(count) or 0

    async def _one(self, event: str, query: sa.Select[Any]) -> Contact | None:
        rows = await asyncio.to_thread(_rows, self._homes.of(event).database, query)
        return self._open(rows[0]) if rows else None

    async def _all(self, which: sa.ColumnElement[bool]) -> list[RowMapping]:
        query = sa.select(WAITLIST_CONTACTS).where(which).order_by(*_KEY).limit(FIND_MOST)
        found: dict[tuple[str, int], RowMapping] = {}
        for home in self._homes.all():
            for row in await asyncio.to_thread(_rows, home.database, query):
                found.setdefault((row["event_id"], row["number"]), row)
        return [found[key] for key in sorted(found)][:FIND_MOST]

    async def _erased(self, event: str, which: sa.ColumnElement[bool]) -> int:
        gone = await asyncio.to_thread(_delete, self._homes.of(event).database, which)
        self._metrics.contacts.count("erased", gone)
        return gone

    def _open(self, row: RowMapping | Mapping[str, Any]) -> Contact:
        try:
            email = self._keys.open(row["email"], SEALED_WAITERS.where(row, "email"))
        except CannotOpen as error:
            log.error("a contact cannot be opened", extra={"where": str(error), "why": error.why.value})  # noqa: TRY400
            raise Unavailable(
                "contact-unreadable", "What is kept of this buyer cannot be read just now."
            ) from error
        return Contact(email, row["language"])


class WaitlistPart:
    """``people.personal.Part``: that the buyer of an order waits, or did, and where they are written to."""

    name = "waitlist"

    def __init__(self, contacts: WaitlistContacts) -> None:
        self._contacts = contacts

    async def told(self, event: str, order: str) -> object:
        """Tell each entry; None if there is none."""
        return await self._contacts.of_order(event, order) or None

    async def erase(self, event: str, order: str) -> int:
        """Forget the address. The entries stay: they name a random session, and somebody's place in the line."""
        return await self._contacts.erase_of_order(event, order)


def _buyer(event: str, order: str) -> sa.ScalarSelect[str]:
    own = (ORDERS.c.event_id == event) & (ORDERS.c.id == order)
    return sa.select(ORDERS.c.buyer).where(own).scalar_subquery()


def _entry(event: str, buyer: str) -> sa.Select[Any]:
    return sa.select(WAITLIST.c.number, WAITLIST.c.hold_id).where(
        WAITLIST.c.event_id == event, WAITLIST.c.buyer == buyer, _STANDS
    )


def _standing(event: str, buyer: str, table: sa.Table) -> sa.Select[Any]:
    joined = sa.select(table).join_from(table, WAITLIST, _OF_ENTRY)
    return joined.where(WAITLIST.c.event_id == event, WAITLIST.c.buyer == buyer, _STANDS)


def _rows(database: ShopDatabase, query: sa.Select[Any]) -> Sequence[RowMapping]:
    with database.reading() as connection:
        return connection.execute(query).mappings().all()


def _delete(database: ShopDatabase, which: sa.ColumnElement[bool]) -> int:
    with database.writing() as connection:
        return connection.execute(sa.delete(WAITLIST_CONTACTS).where(which)).rowcount


def _put(connection: Connection, row: dict[str, Any]) -> None:
    values = {name: value for name, value in row.items() if name not in _KEY}
    if connection.dialect.name == "sqlite":
        lite = sqlite.insert(WAITLIST_CONTACTS).values(row)
        connection.execute(lite.on_conflict_do_update(index_elements=_KEY, set_=values))
    else:
        post = postgresql.insert(WAITLIST_CONTACTS).values(row)
        connection.execute(post.on_conflict_do_update(index_elements=_KEY, set_=values))

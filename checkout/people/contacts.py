"""Contact: where a buyer's tickets go: an address, perhaps a name, and the language that they are written to in.

It belongs to an order, lies beside it in the event's database, sealed (``sealing``), and moves with it. Nobody has
to give one. It may be changed before the order is paid and afterwards.

* **Erased on demand** by its buyer or by an organiser, at once.
* **Erased by itself** so many days after the event began, and a day after an order came to nothing (``Purging``).

Not here: what is sent (``notifications``), everything else that is kept of a buyer (``personal``), HTTP (``web``).
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.metrics import Metrics
from checkout.people.addresses import read_email, same_address
from checkout.people.columns import SEALED_CONTACTS
from checkout.people.keys import PeopleKeys
from checkout.tables import CONTACTS, ORDERS, PUSH_DEVICES
from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.sealing import CannotOpen
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
PURGE_S = 3_600.0
LEFTOVER_MS = DAY_MS
"""So long after its time an order that came to nothing keeps its contact: money may still have to go back."""

CAME_TO_NOTHING = ("lapsed", "cancelled", "refused", "failed")
FIND_MOST = 100
"""Orders of one address that are told."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY = ("event_id", "order_id")


class Want(StrEnum):
    """What somebody wants to be written about."""

    ORDER = "order"
    """What belongs to the order: tickets, changes of the event, money that goes back."""
    REMINDER = "reminder"
    """A word on the day before."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Where to write to."""

    email: str
    language: str
    wants: frozenset[str] = frozenset({Want.ORDER})
    name: str = ""


class Home(Protocol):
    """Where an event is."""

    @property
    def name(self) -> str:
        """Name the place."""

    @property
    def database(self) -> ShopDatabase:
        """Give its database."""


class Homes(Protocol):
    """Where events are."""

    def of(self, event: str) -> Home:
        """Return the place of an event. May raise ``Unavailable``."""

    def all(self) -> Sequence[Home]:
        """Return every place."""


class Contacts:
    """Where buyers' tickets go, for one worker."""

    def __init__(
        self,
        homes: Homes,
        keys: PeopleKeys,
        clock: Clock,
        metrics: Metrics,
        otherwise: Callable[[str, str], Awaitable[Contact | None]] | None = None,
        changed: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        """`otherwise` tells where to write to for an order that has no contact of its own.

        `changed` hears of the event and order for which somebody has said where to write to.
        """
        self._otherwise = otherwise
        self._changed = changed
        self._homes = homes
        self._keys = keys
        self._clock = clock
        self._metrics = metrics

    async def of(self, event: str, order: str) -> Contact | None:
        """Return where to write to for an order; None if nobody has said. Raises ``Unavailable``."""
        found = await self.kept(event, order)
        if found is None and self._otherwise is not None:
            return await self._otherwise(event, order)
        return found

    async def kept(self, event: str, order: str) -> Contact | None:
        """Return the contact that was given for this very order. Raises ``Unavailable``."""
        if not _NAME.fullmatch(event) or not _NAME.fullmatch(order):
            return None
        return await asyncio.to_thread(self._read, self._homes.of(event).database, event, order)

    async def owns(self, event: str, buyer: str, order: str) -> bool:
        """Tell whether an order is this buyer's."""
        if not _NAME.fullmatch(event) or not _NAME.fullmatch(order):
            return False

        def look(database: ShopDatabase) -> bool:
            with database.reading() as connection:
                return connection.scalar(sa.select(sa.exists(_order(event, order, buyer)))) is True

        return await asyncio.to_thread(look, self._homes.of(event).database)

    async def put(self, event: str, buyer: str, order: str, contact: Contact) -> bool:
        """Keep a contact, or what is new of it; False if the buyer has no such order. Raises ``Unavailable``."""
        if not _NAME.fullmatch(event) or not _NAME.fullmatch(order):
            return False
        done = await asyncio.to_thread(
            self._write, self._homes.of(event).database, event, buyer, order, contact
        )
        if done:
            self._metrics.contacts.count("kept")
            if self._changed is not None:
                await self._changed(event, order)
        return done

    async def erase(self, event: str, order: str) -> int:
        """Forget a contact; returns how many there were. Whoever calls has seen that it may."""

        def forget(database: ShopDatabase) -> int:
            own = (CONTACTS.c.event_id == event) & (CONTACTS.c.order_id == order)
            with database.writing() as connection:
                return connection.execute(sa.delete(CONTACTS).where(own)).rowcount

        gone = await asyncio.to_thread(forget, self._homes.of(event).database)
        self._metrics.contacts.count("erased", gone)
        return gone

    async def find(self, email: str) -> Sequence[tuple[str, str]]:
        """Find the events and orders of an address, by its index. Raises ``ValueError`` for what is no address."""
        index = self._keys.index("email", same_address(read_email(email)))
        query = sa.select(CONTACTS.c.event_id, CONTACTS.c.order_id).where(CONTACTS.c.email_index == index)
        query = query.order_by(CONTACTS.c.event_id, CONTACTS.c.order_id).limit(FIND_MOST)

        def look(database: ShopDatabase) -> Sequence[tuple[str, str]]:
            with database.reading() as connection:
                return [(row.event_id, row.order_id) for row in connection.execute(query)]

        found: set[tuple[str, str]] = set()
        for home in self._homes.all():
            found.update(await asyncio.to_thread(look, home.database))
        return sorted(found)[:FIND_MOST]

    # ------------------------------------------------------------------------------------- SQL

    def _read(self, database: ShopDatabase, event: str, order: str) -> Contact | None:
        own = (CONTACTS.c.event_id == event) & (CONTACTS.c.order_id == order)
        with database.reading() as connection:
            row = connection.execute(sa.select(CONTACTS).where(own)).mappings().one_or_none()
        if row is None:
            return None
        try:
            email, name = (
                self._keys.open(row[column], SEALED_CONTACTS.where(row, column)) if row[column] else ""
                for column in ("email", "name")
            )
        except CannotOpen as error:
            log.error("a contact cannot be opened", extra={"where": str(error), "why": error.why.value})  # noqa: TRY400
            raise Unavailable(
                "contact-unreadable", "What is kept of this buyer cannot be read just now."
            ) from error
        return Contact(email, row["language"], name=name)

    def _write(self, database: ShopDatabase, event: str, buyer: str, order: str, contact: Contact) -> bool:
        with database.writing() as connection:
            if not connection.scalar(sa.select(sa.exists(_order(event, order, buyer)))):
                return False
            _put(connection, self._row(event, order, contact))
        return True

    def _row(self, event: str, order: str, contact: Contact) -> dict[str, str | int]:
        own = {"event_id": event, "order_id": order}
        sealed = {
            column: self._keys.seal(text, SEALED_CONTACTS.where(own, column)) if text else ""
            for column, text in (("email", contact.email), ("name", contact.name))
        }
        index = self._keys.index("email", same_address(contact.email))
        return {
            **own, **sealed, "email_index": index, "language": contact.language,
            "changed_ms": self._clock.now_ms(),
        }  # fmt: skip


class Purging:
    """Erases what has been kept long enough, in the background. Several workers may do so at once."""

    def __init__(
        self,
        homes: Homes,
        begun: Callable[[int], Awaitable[frozenset[str]]],
        days: int,
        clock: Clock,
        metrics: Metrics,
        sweep: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        """`begun` names the events that began before a moment; `days` after that their contacts go.

        `sweep` takes away what else is over: sessions, logins.
        """
        self._homes = homes
        self._begun = begun
        self._keep_ms = days * DAY_MS
        self._sweep = sweep
        self._clock = clock
        self._metrics = metrics

    async def run(self, every_s: float = PURGE_S) -> None:
        """Erase, for ever."""
        while not is_ending():
            try:
                await self.purge()
            except Unavailable as error:
                self._metrics.background_failures.count("purge")
                log.warning("contacts could not be erased", extra={"code": error.code})
            await asyncio.sleep(every_s)

    async def purge(self) -> int:
        """Erase once; returns how many contacts that were."""
        now_ms = self._clock.now_ms()
        begun = await self._begun(now_ms - self._keep_ms)
        gone = 0
        if self._sweep is not None:
            await self._sweep()
        for home in self._homes.all():
            for event in await asyncio.to_thread(_events, home.database):
                try:
                    if self._homes.of(event) is not home:
                        continue  # A copy that a move has made or left: it is the move's to take away.
                except Unavailable:
                    continue  # It is on its way.
                whole = event in begun
                contacts, devices = await asyncio.to_thread(
                    _purge, home.database, event, now_ms - LEFTOVER_MS, whole=whole
                )
                gone += contacts
                self._metrics.push_devices.count("purged", devices)
        if gone:
            self._metrics.contacts.count("purged", gone)
            log.info("contacts were erased, their time was over", extra={"count": gone})
        return gone


def _order(event: str, order: str, buyer: str) -> sa.Select[tuple[str]]:
    own = (ORDERS.c.id == order) & (ORDERS.c.event_id == event) & (ORDERS.c.buyer == buyer)
    return sa.select(ORDERS.c.id).where(own)


def _put(connection: Connection, row: dict[str, str | int]) -> None:
    values = {name: value for name, value in row.items() if name not in _KEY}
    if connection.dialect.name == "sqlite":
        lite = sqlite.insert(CONTACTS).values(row)
        connection.execute(lite.on_conflict_do_update(index_elements=_KEY, set_=values))
    else:
        post = postgresql.insert(CONTACTS).values(row)
        connection.execute(post.on_conflict_do_update(index_elements=_KEY, set_=values))


def _events(database: ShopDatabase) -> Sequence[str]:
    with database.reading() as connection:
        return list(
            connection.scalars(
                sa.union(sa.select(CONTACTS.c.event_id), sa.select(PUSH_DEVICES.c.event_id)).order_by(
                    "event_id"
                )
            )
        )


def _purge(database: ShopDatabase, event: str, over_ms: int, *, whole: bool) -> tuple[int, int]:
    """Erase contacts and devices; returns how many of each."""
    over = sa.select(ORDERS.c.id).where(
        ORDERS.c.event_id == event, ORDERS.c.state.in_(CAME_TO_NOTHING), ORDERS.c.until_ms < over_ms
    )
    contacts = sa.delete(CONTACTS).where(CONTACTS.c.event_id == event)
    devices = sa.delete(PUSH_DEVICES).where(PUSH_DEVICES.c.event_id == event)
    if not whole:
        contacts = contacts.where(CONTACTS.c.order_id.in_(over))
        devices = devices.where(PUSH_DEVICES.c.subject.in_(over))
    with database.writing() as connection:
        return connection.execute(contacts).rowcount, connection.execute(devices).rowcount

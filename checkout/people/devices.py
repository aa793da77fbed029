"""Device: a browser in which somebody wants to be told of an order, by Web Push.

A contact of another kind: it belongs to an order, lies beside it in the event's database, sealed (``sealing``), and
moves with it. A subscription is a consent of its own, for this order and in the language of the page where it was
given. An order has a few devices at most; one more takes the place of the oldest.

Erased by whoever has it, with the rest of what is personal of an order (``personal.Part``), by itself with contacts
(``contacts.Purging``), and when its push service says that it is no more.

Not here: what a subscription is (``kernel.webpush``), what is sent (``notifications.push``), who may
(``site.push_pages``).
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.metrics import Metrics
from checkout.people.columns import SEALED_DEVICES
from checkout.people.contacts import Homes
from checkout.people.keys import PeopleKeys
from checkout.tables import PUSH_DEVICES
from kernel.clock import Clock
from kernel.sealing import CannotOpen
from kernel.webpush import Subscription, stored_subscription

log = logging.getLogger(__name__)

MOST = 5
"""Devices of one order."""

_KEY = ("event_id", "subject", "device")


@dataclass(frozen=True, slots=True)
class Device:
    """One browser; `name` is what it is found by."""

    name: str
    subscription: Subscription = field(repr=False)
    language: str
    changed_ms: int = 0


class Devices:
    """The browsers that are told, for one worker."""

    name = "devices"

    def __init__(self, homes: Homes, keys: PeopleKeys, clock: Clock, metrics: Metrics) -> None:
        self._homes = homes
        self._keys = keys
        self._clock = clock
        self._metrics = metrics

    async def of(self, event: str, subject: str) -> Sequence[Device]:
        """Return the browsers that are told of an order, the oldest first. Raises ``Unavailable``."""
        return await asyncio.to_thread(self._read, self._homes.of(event).database, event, subject)

    async def put(self, event: str, subject: str, subscription: Subscription, language: str) -> None:
        """Keep a browser, or what is new of it. Whoever calls has seen that it may. Raises ``Unavailable``."""
        own = {"event_id": event, "subject": subject, "device": self._name(subscription.endpoint)}
        row = {
            **own,
            "subscription": self._keys.seal(subscription.text(), SEALED_DEVICES.where(own, "subscription")),
            "language": language,
            "changed_ms": self._clock.now_ms(),
        }
        await asyncio.to_thread(_write, self._homes.of(event).database, row)
        self._metrics.push_devices.count("kept")

    async def forget(self, event: str, subject: str, endpoint: str) -> int:
        """Forget one browser by its address; returns how many there were."""
        gone = await self._delete(event, subject, self._name(endpoint))
        self._metrics.push_devices.count("erased", gone)
        return gone

    async def gone(self, event: str, subject: str, name: str) -> None:
        """Forget a browser that its push service does not know any more."""
        self._metrics.push_devices.count("gone", await self._delete(event, subject, name))

    # --------------------------------------------------------------------- personal.Part

    async def told(self, event: str, order: str) -> object:
        """Tell everything that is kept; None if there is nothing."""
        return [
            {
                "endpoint": one.subscription.endpoint,
                "p256dh": one.subscription.p256dh,
                "auth": one.subscription.auth,
                "language": one.language,
                "changed_ms": one.changed_ms,
            }
            for one in await self.of(event, order)
        ] or None

    async def erase(self, event: str, order: str) -> int:
        """Forget all browsers of an order; returns how many there were."""
        gone = await self._delete(event, order)
        self._metrics.push_devices.count("erased", gone)
        return gone

    # ------------------------------------------------------------------------------------- SQL

    def _name(self, endpoint: str) -> str:
        return self._keys.index("push", endpoint)

    def _read(self, database: ShopDatabase, event: str, subject: str) -> list[Device]:
        query = sa.select(PUSH_DEVICES).where(_of(event, subject))
        query = query.order_by(PUSH_DEVICES.c.changed_ms, PUSH_DEVICES.c.device)
        with database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [device for row in rows if (device := self._opened(row)) is not None]

    def _opened(self, row: RowMapping) -> Device | None:
        """Open a row; what does not open is passed by: others are still told."""
        try:
            text = self._keys.open(row["subscription"], SEALED_DEVICES.where(row, "subscription"))
        except CannotOpen as error:
            log.error("a device cannot be opened", extra={"where": str(error), "why": error.why.value})  # noqa: TRY400
            return None
        return Device(row["device"], stored_subscription(text), row["language"], row["changed_ms"])

    async def _delete(self, event: str, subject: str, device: str | None = None) -> int:
        own = _of(event, subject)
        if device is not None:
            own &= PUSH_DEVICES.c.device == device

        def forget(database: ShopDatabase) -> int:
            with database.writing() as connection:
                return connection.execute(sa.delete(PUSH_DEVICES).where(own)).rowcount

        return await asyncio.to_thread(forget, self._homes.of(event).database)


def _of(event: str, subject: str) -> sa.ColumnElement[bool]:
    return (PUSH_DEVICES.c.event_id == event) & (PUSH_DEVICES.c.subject == subject)


def _write(database: ShopDatabase, row: dict[str, Any]) -> None:
    with database.writing() as connection:
        _put(connection, row)
        own = _of(row["event_id"], row["subject"])
        newest = sa.select(PUSH_DEVICES.c.device).where(own)
        newest = newest.where(PUSH_DEVICES.c.device != row["device"])
        newest = newest.order_by(PUSH_DEVICES.c.changed_ms.desc(), PUSH_DEVICES.c.device)
        if over := list(connection.scalars(newest))[MOST - 1 :]:
            connection.execute(sa.delete(PUSH_DEVICES).where(own, PUSH_DEVICES.c.device.in_(over)))


def _put(connection: Connection, row: dict[str, Any]) -> None:
    values = {name: value for name, value in row.items() if name not in _KEY}
    if connection.dialect.name == "sqlite":
        lite = sqlite.insert(PUSH_DEVICES).values(row)
        connection.execute(lite.on_conflict_do_update(index_elements=_KEY, set_=values))
    else:
        post = postgresql.insert(PUSH_DEVICES).values(row)
        connection.execute(post.on_conflict_do_update(index_elements=_KEY, set_=values))

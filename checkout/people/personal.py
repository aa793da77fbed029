"""Personal: everything that is kept of the buyer of one order: told on demand, and erased as far as it may be.

What may be erased is what tells who somebody is: the contact, and what other rooms keep (``Part``). What was sold, what
was paid, and the log of both stay: they name a buyer by a random session only, taxes and disputes need them, and the
log's chain would break. Paragraph by paragraph: docs/people.md.

Not here: who may ask (``web``: the buyer; ``organiser.people_web``: who helps one).
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.people.contacts import Contacts, Homes
from checkout.tables import (
    ATTEMPTS,
    DISPUTES,
    EVENT_LOG,
    MONEY,
    ORDERS,
    REFUNDS,
    RESERVATION_SEATS,
    REVIEWS,
    VERDICTS,
)

log = logging.getLogger(__name__)

KEPT = {
    "order": "what was bought, when and for how much, by a random session: for as long as the organiser keeps books",
    "payments": "tries to pay, with brand and last four digits of a card: for as long as a payment can be disputed",
    "log": "what happened to the order: a chain that nothing can be taken out of; it has no name and no address",
}
"""What is not erased, and why."""

_ORDER = (ORDERS, ("id", "event_id", "buyer", "state", "currency", "amount_minor", "created_ms", "until_ms"))
_BESIDE: Mapping[str, tuple[sa.Table, Sequence[str], str]] = {
    "payments": (
        ATTEMPTS,
        (
            "number", "provider", "state", "currency", "amount_minor", "captured_minor", "refunded_minor",
            "disputed_minor", "decline", "card", "fingerprint", "ref", "created_ms",
        ),
        "number",
    ),
    "refunds": (REFUNDS, ("key", "state", "currency", "amount_minor", "reason", "created_ms"), "created_ms"),
    "money": (MONEY, ("provider", "ref", "kind", "number", "currency", "amount_minor", "at_ms"), "at_ms"),
    "checks": (VERDICTS, ("attempt", "stage", "answer", "at_ms"), "at_ms"),
    "reviews": (REVIEWS, ("opened_ms", "lapses_ms", "decision", "note", "decided_ms"), "opened_ms"),
    "disputes": (DISPUTES, ("state", "reason", "currency", "amount_minor", "opened_ms", "changed_ms"), "opened_ms"),
}  # fmt: skip


class Part(Protocol):
    """What another room keeps of an order's buyer."""

    @property
    def name(self) -> str:
        """Name it, as a member of what is told."""

    async def told(self, event: str, order: str) -> object:
        """Tell it, as JSON; None if there is nothing."""

    async def erase(self, event: str, order: str) -> int:
        """Erase it; returns how much there was."""


class Personal:
    """Tells and erases."""

    def __init__(self, homes: Homes, contacts: Contacts, parts: Sequence[Part] = ()) -> None:
        self._homes = homes
        self._contacts = contacts
        self._parts = list(parts)

    async def told(self, event: str, order: str) -> dict[str, Any]:
        """Tell everything of an order that is there. Raises ``Unavailable``."""
        contact = await self._contacts.kept(event, order)
        plain = await asyncio.to_thread(_read, self._homes.of(event).database, event, order)
        plain["contact"] = None
        if contact is not None:
            plain["contact"] = {**asdict(contact), "wants": sorted(contact.wants)}
        for part in self._parts:
            plain[part.name] = await part.told(event, order)
        return plain | {"not_erased_on_demand": KEPT}

    async def erase(self, event: str, order: str, by: str) -> dict[str, int]:
        """Erase what may be; returns what there was of each. `by` names who asked, for the log."""
        gone = {"contact": await self._contacts.erase(event, order)}
        for part in self._parts:
            gone[part.name] = await part.erase(event, order)
        log.info(
            "what is personal was erased", extra={"event": event, "order": order, "by": by, "gone": gone}
        )
        return gone


def _read(database: ShopDatabase, event: str, order: str) -> dict[str, Any]:
    own = (ORDERS.c.id == order) & (ORDERS.c.event_id == event)
    with database.reading() as connection:
        found = _rows(connection, *_ORDER, own, "id")
        if not found:
            return {"order": None}
        reservation = connection.scalar(sa.select(ORDERS.c.reservation_id).where(own))
        plain: dict[str, Any] = {"order": found[0]}
        of_sale = RESERVATION_SEATS.c.reservation_id == reservation
        plain["seats"] = _rows(
            connection, RESERVATION_SEATS, ("seat", "price_minor", "active"), of_sale, "seat"
        )
        for name, (table, columns, order_by) in _BESIDE.items():
            plain[name] = _rows(connection, table, columns, table.c.order_id == order, order_by)
        entries = _rows(
            connection, EVENT_LOG, ("seq", "at_ms", "kind", "body"), EVENT_LOG.c.stream == reservation, "seq"
        )
    plain["log"] = [{**entry, "body": orjson.loads(entry["body"])} for entry in entries]
    return plain


def _rows(
    connection: Connection, table: sa.Table, columns: Sequence[str], own: sa.ColumnElement[bool], by: str
) -> list[dict[str, Any]]:
    # By the whole key after that, so that equal moments have an order.
    ordered = [table.c[by], *table.primary_key.columns]
    query = sa.select(*(table.c[name] for name in columns)).where(own).order_by(*ordered)
    return [dict(zip(columns, row, strict=True)) for row in connection.execute(query)]

"""Finding: orders of an event, a page at a time, and all that is written beside one of them.

The list comes from the read-only engine, which may lag (``database.listing``): it decides nothing, and whoever acts on
an order sees it first as it is now (``beside``, ``orders.caring``). Each statement reads one event's rows by an index,
and one page of them. Last four digits are looked for in the tries of the event's orders. Not here: HTTP and JSON.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from checkout.holds.places import Place, Places
from checkout.orders.order import OrderState
from checkout.organiser.pages import Page, Wish, cut, is_name, is_number, is_word_of
from checkout.tables import ATTEMPTS, DISPUTES, EVENT_LOG, MONEY, ORDERS, VERDICTS

PARAMETERS = {
    "state": is_word_of(OrderState),
    "buyer": is_name,
    "card": lambda text: len(text) == 4 and is_number(text),
    "from_ms": is_number,
    "until_ms": is_number,
}
KEY = (int, str)
LOG_MOST = 500
"""Entries of one order that are told; an order has some ten, one with a dozen tries some fifty."""

Rows = Sequence[RowMapping]

SHOWN = sa.case((ORDERS.c.paid_by > 0, ORDERS.c.paid_by), else_=ORDERS.c.attempt)
"""The try that people mean: the one that the order was sold to, else the last."""

_ORDERS = sa.select(
    ORDERS,
    ATTEMPTS.c.card,
    ATTEMPTS.c.captured_minor,
    ATTEMPTS.c.refunded_minor,
    ATTEMPTS.c.disputed_minor,
).join_from(
    ORDERS, ATTEMPTS, (ATTEMPTS.c.order_id == ORDERS.c.id) & (ATTEMPTS.c.number == SHOWN), isouter=True
)


@dataclass(frozen=True, slots=True)
class Beside:
    """What is written beside an order: movements of money, the log, what the fraud checks said, disputes."""

    money: Rows
    log: Rows
    verdicts: Rows
    disputes: Rows


class Finding:
    """Looks for orders, for organisers."""

    def __init__(self, places: Places) -> None:
        self._places = places

    async def orders(self, event: str, wish: Wish) -> Page[RowMapping]:
        """Find a page of an event's orders, the newest first."""
        return await asyncio.to_thread(_listed, self._places.of(event), event, wish)

    async def beside(self, event: str, order: str, reservation: str) -> Beside:
        """Read what is written beside an order, as it is now."""
        return await asyncio.to_thread(_beside, self._places.of(event), order, reservation)


def asked(query: sa.Select[Any], wish: Wish) -> sa.Select[Any]:
    """Narrow a query of orders down to those that are asked for (``PARAMETERS``)."""
    if "state" in wish.words:
        query = query.where(ORDERS.c.state == wish.words["state"])
    if "buyer" in wish.words:
        query = query.where(ORDERS.c.buyer == wish.words["buyer"])
    if "card" in wish.words:
        own = ATTEMPTS.alias("tries")
        tries = sa.exists().where(own.c.order_id == ORDERS.c.id, own.c.card.like(f"% {wish.words['card']}"))
        query = query.where(tries)
    if (from_ms := wish.number("from_ms")) is not None:
        query = query.where(ORDERS.c.created_ms >= from_ms)
    if (until_ms := wish.number("until_ms")) is not None:
        query = query.where(ORDERS.c.created_ms < until_ms)
    return query


def _listed(place: Place, event: str, wish: Wish) -> Page[RowMapping]:
    query = asked(_ORDERS.where(ORDERS.c.event_id == event), wish)
    if wish.after:
        query = query.where(sa.tuple_(ORDERS.c.created_ms, ORDERS.c.id) < sa.tuple_(*wish.after))
    query = query.order_by(ORDERS.c.created_ms.desc(), ORDERS.c.id.desc()).limit(wish.limit + 1)
    with place.database.listing() as connection:
        rows = connection.execute(query).mappings().all()
    return cut(rows, wish.limit, lambda row: (row["created_ms"], row["id"]))


def _beside(place: Place, order: str, reservation: str) -> Beside:
    def rows(connection: Connection, query: sa.Select[Any]) -> Rows:
        return connection.execute(query).mappings().all()

    entries = sa.select(EVENT_LOG.c.seq, EVENT_LOG.c.at_ms, EVENT_LOG.c.kind, EVENT_LOG.c.body)
    entries = entries.where(EVENT_LOG.c.stream == reservation).order_by(EVENT_LOG.c.seq).limit(LOG_MOST)
    with place.database.reading() as connection:
        return Beside(
            money=rows(
                connection,
                sa.select(MONEY).where(MONEY.c.order_id == order).order_by(MONEY.c.at_ms, MONEY.c.number),
            ),
            log=rows(connection, entries),
            verdicts=rows(
                connection, sa.select(VERDICTS).where(VERDICTS.c.order_id == order).order_by(VERDICTS.c.at_ms)
            ),
            disputes=rows(
                connection,
                sa.select(DISPUTES).where(DISPUTES.c.order_id == order).order_by(DISPUTES.c.opened_ms),
            ),
        )

"""Takings: what the sales of events have come to, in each currency: as JSON, and as a table.

The database adds up whole minor units, from the movements of money (``order_money``) that follow from what providers
have told. A report comes from the read-only engine, which may lag; it decides nothing.

* *captured*, *refunded*, *disputed*: what was taken, given back, taken back by buyers' banks and not won again.
* *net*: what is left of it.
* *open*: sold, authorised, and not taken yet, also what waits for a person.
* *refunds wanted*: promised, and not done yet; it is in *net* still.

Not here: HTTP.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, fields

import sqlalchemy as sa

from checkout.holds.places import Place, Places
from checkout.orders.order import OrderState
from checkout.orders.refund import RefundState
from checkout.orders.store import Movement
from checkout.organiser.sheets import piece
from checkout.tables import MONEY, ORDERS, REFUNDS


@dataclass(frozen=True, slots=True)
class Takings:
    """What one event has come to in one currency; amounts are whole minor units."""

    event: str
    currency: str
    captured_minor: int = 0
    refunded_minor: int = 0
    disputed_minor: int = 0
    net_minor: int = 0
    open_minor: int = 0
    refunds_wanted_minor: int = 0


COLUMNS = tuple(one.name for one in fields(Takings))
_OPEN = (OrderState.CONFIRMED.value, OrderState.REVIEW.value)
_MOVED = sa.select(
    MONEY.c.event_id, MONEY.c.currency, MONEY.c.kind, sa.func.sum(MONEY.c.amount_minor)
).group_by(MONEY.c.event_id, MONEY.c.currency, MONEY.c.kind)
_SOLD = (
    sa.select(ORDERS.c.event_id, ORDERS.c.currency, sa.literal("open"), sa.func.sum(ORDERS.c.amount_minor))
    .where(ORDERS.c.state.in_(_OPEN))
    .group_by(ORDERS.c.event_id, ORDERS.c.currency)
)
_WANTED = (
    sa.select(
        REFUNDS.c.event_id, REFUNDS.c.currency, sa.literal("wanted"), sa.func.sum(REFUNDS.c.amount_minor)
    )
    .where(REFUNDS.c.state == RefundState.WANTED.value)
    .group_by(REFUNDS.c.event_id, REFUNDS.c.currency)
)


class Counting:
    """Adds up, for organisers."""

    def __init__(self, places: Places) -> None:
        self._places = places

    async def of(self, event: str) -> list[Takings]:
        """Add up one event, by currency."""
        return await asyncio.to_thread(_takings, self._places.of(event), event)

    async def all(self) -> list[Takings]:
        """Add up every event that has moved money, by event and currency."""
        found: list[Takings] = []
        for place in self._places.all():
            found += await asyncio.to_thread(_takings, place)
        return sorted(found, key=lambda one: (one.event, one.currency))


def table(takings: Iterable[Takings]) -> bytes:
    """Write takings as CSV (UTF-8, a header, a line for each event and currency)."""
    return piece([COLUMNS, *([getattr(one, name) for name in COLUMNS] for one in takings)])


def _takings(place: Place, event: str | None = None) -> list[Takings]:
    sums: dict[tuple[str, str], dict[str, int]] = {}
    with place.database.listing() as connection:
        for query, table in ((_MOVED, MONEY), (_SOLD, ORDERS), (_WANTED, REFUNDS)):
            own = query if event is None else query.where(table.c.event_id == event)
            for where, currency, kind, total in connection.execute(own):
                sums.setdefault((where, currency), {})[kind] = int(total)
    return [_of(where, currency, kinds) for (where, currency), kinds in sorted(sums.items())]


def _of(event: str, currency: str, kinds: dict[str, int]) -> Takings:
    # Movements are signed as they look from us: what goes away is below zero.
    captured, refunded, disputed = (kinds.get(kind.value, 0) for kind in Movement)
    return Takings(
        event=event,
        currency=currency,
        captured_minor=captured,
        refunded_minor=-refunded,
        disputed_minor=-disputed,
        net_minor=captured + refunded + disputed,
        open_minor=kinds.get("open", 0),
        refunds_wanted_minor=kinds.get("wanted", 0),
    )

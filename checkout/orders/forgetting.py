"""Forgetting: the keys under which buyers and organisers have asked are forgotten when they are old and of no more use.

A key makes a repeat the same wish (``orders.service``, ``orders.keys``). It is forgotten ``KEEP_MS`` after it came, and
only when no repeat could begin anything any more:

* **To pay**: when its order is not open. A try is begun for an open order alone, and an order that is not open never is
  again, so a repeat of a forgotten key is told how the order stands (paid, over) and charges nobody. The provider's
  memory for keys does not matter here: what it would be asked for anew is never asked for.
* **To refund**: the refund itself has the key, and stays with the books. A repeat is the same refund still; what is
  forgotten is only that another body under the key is refused.

An event that is being moved is left alone, so that the copy is what the original is. Several workers may do so at once.
Not here: keys of holds (they lie in the store, and lapse there).
"""

import asyncio
import logging
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from checkout.holds.places import Place, Places
from checkout.metrics import Metrics
from checkout.orders.order import OrderState
from checkout.tables import IDEMPOTENCY, ORDERS
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

KEEP_MS = 7 * 86_400_000
"""Beyond this a repeat is no repeat any more."""

EVERY_S = 3_600.0
MOST = 500
_PAY, _REFUND = "pay", "refund"
_COLUMNS = IDEMPOTENCY.c
_AT = (_COLUMNS.created_ms, _COLUMNS.scope, _COLUMNS.key)
_OLD = sa.select(*_AT).where(_COLUMNS.created_ms <= sa.bindparam("before")).order_by(*_AT).limit(MOST)
_GONE = sa.delete(IDEMPOTENCY).where(
    _COLUMNS.scope == sa.bindparam("of_scope"), _COLUMNS.key == sa.bindparam("of_key")
)


class Forgetting:
    """One worker's forgetting."""

    def __init__(self, places: Places, clock: Clock, metrics: Metrics) -> None:
        self._places = places
        self._clock = clock
        self._metrics = metrics

    async def run(self, every_s: float = EVERY_S) -> None:
        """Forget, for ever."""
        while not is_ending():
            for place in self._places.all():
                try:
                    await self.pass_by(place)
                except Unavailable as error:
                    self._metrics.background_failures.count("keys")
                    log.warning("keys could not be forgotten", extra={"code": error.code})
            await asyncio.sleep(every_s)

    async def pass_by(self, place: Place) -> int:
        """Forget what may be forgotten at a place; returns how many keys that were."""
        before_ms = self._clock.now_ms() - KEEP_MS
        gone, last = 0, None
        while True:
            rows = await asyncio.to_thread(_old, place, before_ms, last)
            if not rows:
                break
            last = rows[-1]
            # What is none of these two is not ours.
            rows = [row for row in rows if row["scope"].count(":") == 2 and _wish(row) in {_PAY, _REFUND}]
            here = {event for event in {_event(row) for row in rows} if self._is_here(place, event)}
            gone += await asyncio.to_thread(_forget, place, [row for row in rows if _event(row) in here])
        self._metrics.request_keys.labels(place.name).set(await asyncio.to_thread(_count, place))
        return gone

    def _is_here(self, place: Place, event: str) -> bool:
        try:
            return self._places.of(event).name == place.name
        except (Refused, Unavailable):
            return False


def is_over(state: str | None) -> bool:
    """Tell whether nobody can begin to pay an order of this state any more; None for one that is not there."""
    return state != OrderState.OPEN.value


def _old(place: Place, before_ms: int, last: RowMapping | None) -> Sequence[RowMapping]:
    """Read the next keys that are old, by age."""
    query = _OLD
    if last is not None:
        bound = [sa.literal(last[one.name], one.type) for one in _AT]
        query = query.where(sa.tuple_(*_AT) > sa.tuple_(*bound))
    with place.database.reading() as connection:
        return connection.execute(query, {"before": before_ms}).mappings().all()


def _forget(place: Place, rows: Sequence[RowMapping]) -> int:
    """Delete those of the keys that are of no more use."""
    if not rows:
        return 0
    with place.database.writing() as connection:
        states = _states(connection, {_order(row) for row in rows if _wish(row) == _PAY})
        over = [row for row in rows if _wish(row) == _REFUND or is_over(states.get(_order(row)))]
        if over:
            connection.execute(_GONE, [{"of_scope": row["scope"], "of_key": row["key"]} for row in over])
        return len(over)


def _states(connection: Connection, orders: set[str]) -> dict[str, str]:
    query = sa.select(ORDERS.c.id, ORDERS.c.state).where(ORDERS.c.id.in_(sorted(orders)))
    return {row.id: row.state for row in connection.execute(query)}


def _count(place: Place) -> int:
    with place.database.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(IDEMPOTENCY)) or 0


def _event(row: RowMapping) -> str:
    return str(row["scope"]).partition(":")[0]


def _order(row: RowMapping) -> str:
    return str(row["scope"]).split(":")[1]


def _wish(row: RowMapping) -> str:
    return str(row["scope"]).rpartition(":")[2]

"""Caring: what whoever looks after a sale does with an order: see all of it, give money back, let it through or not.

Money that goes back is wanted under a key, written down, and then asked for (``orders.refunding``); what was captured
is the most that can be wanted, however many want it at once. Not here: the buyer's acts (``orders.service``), HTTP.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from checkout.holds.places import Place, Places
from checkout.orders.order import Attempt, Order
from checkout.orders.refund import Refund
from checkout.orders.rows import Stale, attempts_of, find_order, refunds_of
from checkout.orders.rule import Happening
from checkout.orders.service import RACES, No, Ordering, Till
from checkout.orders.store import NoRefund, want_refund
from checkout.orders.store import release as let_through
from kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class Case:
    """An order with its attempts and refunds, for whoever looks after it."""

    order: Order
    attempts: tuple[Attempt, ...]
    refunds: tuple[Refund, ...]


class Caring:
    """Use cases of who looks after a sale, for one worker."""

    def __init__(
        self, places: Places, tills: Callable[[Place], Till], ordering: Ordering, clock: Clock
    ) -> None:
        self._places = places
        self._tills = tills
        self._ordering = ordering
        self._clock = clock

    async def case(self, event: str, order_id: str) -> Case | None:
        """Return all that there is of an order."""
        till = self._till(event)

        def read(connection: Connection) -> Case | None:
            order = find_order(connection, order_id)
            if order is None or order.event != event:
                return None
            return Case(
                order, tuple(attempts_of(connection, order_id)), tuple(refunds_of(connection, order_id))
            )

        return await till.group.read(read)

    async def refund(
        self, event: str, order_id: str, amount_minor: int | None, key: str, *, by: str, reason: str = ""
    ) -> Refund | No | NoRefund:
        """Have money go back; None for all that is there. A repeat under the same key is the same refund."""
        till = self._till(event)
        if await self.case(event, order_id) is None:
            return No.UNKNOWN
        for _ in range(RACES):
            wanting = partial(
                want_refund,
                order_id_=order_id,
                amount_minor=amount_minor,
                key=key,
                now_ms=self._clock.now_ms(),
                by=by,
                reason=reason,
            )
            try:
                refund = await till.group.write(wanting)
            except NoRefund as none:
                return none
            except (Stale, IntegrityError):
                continue
            return await till.refunding.give_back(refund)
        raise Stale

    async def judge(self, event: str, order_id: str, *, release: bool) -> Order | No:
        """Let an order through that a person has looked at, or not."""
        till = self._till(event)
        happening = Happening.RELEASED if release else Happening.REFUSED
        if not release:
            closed = await self._ordering.end(till, order_id, happening)
            return closed or No.OVER

        def released(connection: Connection) -> Order | None:
            order = find_order(connection, order_id)
            if order is None or order.event != event:
                return None
            return let_through(connection, order, self._clock.now_ms())

        for _ in range(RACES):
            try:
                order = await till.group.write(released)
            except Stale:
                continue
            if order is None:
                return No.OVER
            found = await till.driving.again(order_id, order.paid_by, look=False)
            return found[0] if found else order
        raise Stale

    def _till(self, event: str) -> Till:
        return self._tills(self._places.of(event))

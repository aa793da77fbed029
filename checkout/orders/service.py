"""Ordering: a buyer makes an order of a reservation, pays it, looks at it, gives it up.

* **One wish, one order.** An order has the id of its reservation, so a repeat names the same. A try to pay has the
  request's key: the row that says which try it became is written in the transaction that begins it. The same key again
  gets the same try, whatever has become of it meanwhile; another body under the key is refused.
* **A try at a time.** While a bank is being asked, another try is told to wait; a try that waits for its buyer (3-D
  Secure in a tab that was closed) is let go when another begins.

What is told is a value; HTTP is ``orders.web``. Not here: what a try does (``orders.driving``), what stands still
(``orders.recovering``), money that goes back (``orders.caring``).
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from checkout.catalogue.reading import CatalogueReader
from checkout.catalogue.selling import State
from checkout.grouping import Grouping
from checkout.holds.places import Place, Places
from checkout.metrics import Metrics
from checkout.orders.driving import SOON_MS, Driving
from checkout.orders.order import Attempt, Order, OrderState, is_order_id
from checkout.orders.papers import OrderPaper, paper
from checkout.orders.ports import Hall, Judge, Judgement, Seen
from checkout.orders.refunding import Refunding
from checkout.orders.review import Word
from checkout.orders.rows import (
    Stale,
    attempts_of,
    find_order,
    orders_of,
)
from checkout.orders.rule import Happening, step
from checkout.orders.store import (
    NoAttempt,
    NotSold,
    close,
    new_attempt,
    open_order,
)
from checkout.sales.store import SalesStore
from checkout.tables import IDEMPOTENCY
from kernel.clock import Clock
from kernel.errors import Refused
from kernel.gcra import Rate, conforms, spent
from kernel.tracing import current, derived, is_recording, span, written

RACES = 8
"""Times that a change is tried again because somebody else was faster."""

LOOKS = Rate(interval_us=2_000_000, burst=5)
"""How often a worker asks a provider about one order because somebody looks at it."""

LOOKED_MOST = 10_000
"""Orders of which a worker knows how often it asked; above that it forgets those that may be asked for in full."""


@dataclass(frozen=True, slots=True)
class Told:
    """The order, as it stands now. ``is_new``: this request made it, or began the try."""

    paper: OrderPaper
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Blocked:
    """This buyer does not pay here; nothing was asked of a bank."""


class No(StrEnum):
    """Why there is no order, or none of this buyer."""

    UNKNOWN = "unknown"
    OVER = "over"
    OTHER_BODY = "other-body"


OpenOutcome = Told | No
PayOutcome = Told | NoAttempt | Blocked | No


@dataclass(frozen=True, slots=True)
class Till:
    """What one place needs so that its orders can be paid."""

    place: Place
    group: Grouping
    driving: Driving
    refunding: Refunding
    sales: SalesStore


class Ordering:
    """Use cases of orders, for one worker."""

    def __init__(
        self,
        catalogue: CatalogueReader,
        places: Places,
        tills: Callable[[Place], Till],
        judge: Judge,
        hall: Hall,
        provider_of: Callable[[Order], str],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """`provider_of` names who takes the money of an order."""
        self._catalogue = catalogue
        self._places = places
        self._tills = tills
        self._judge = judge
        self._hall = hall
        self._provider_of = provider_of
        self._clock = clock
        self._metrics = metrics
        self._looked_us: dict[str, int] = {}

    # ---------------------------------------------------------------------------- the buyer's

    async def open(self, event: str, buyer: str, reservation: str) -> OpenOutcome:
        """Make the order of a reservation. Raises ``Refused("event-unknown")``, ``Unavailable``."""
        known = await self._catalogue.known(event)
        till = self._till(event)
        found = await asyncio.to_thread(till.sales.find, event, buyer, reservation)
        if found is None:
            return No.UNKNOWN
        if known.event.state is State.CANCELLED:
            return No.OVER
        try:
            order, is_new = await till.group.write(
                partial(open_order, reservation=found, now_ms=self._clock.now_ms())
            )
        except NotSold:
            return No.OVER
        if is_new:
            self._metrics.orders.count("opened")
            self._metrics.funnel.count("ordered")
            return Told(paper(order, None), is_new=True)
        return Told(await self._paper_of(till, order))

    async def pay(
        self, event: str, buyer: str, order_id: str, method: str, key: str, seen: Seen
    ) -> PayOutcome:
        """Try to pay an order, as far as it goes now. Raises as `open` does."""
        links = [derived("claim", buyer)] if is_recording() else ()
        try:
            with span("order pay", links=links):
                outcome = await self._pay(event, buyer, order_id, method, key, seen)
        except Refused:
            raise
        except Exception:
            self._metrics.payments.count("away")
            raise
        self._metrics.payments.count("answered")
        return outcome

    async def _pay(
        self, event: str, buyer: str, order_id: str, method: str, key: str, seen: Seen
    ) -> PayOutcome:
        await self._catalogue.known(event)
        till = self._till(event)
        order = await self._own(till, event, buyer, order_id)
        if order is None:
            return No.UNKNOWN
        scope, body = f"{event}:{order_id}:pay", hashlib.sha256(method.encode()).hexdigest()
        before = await till.group.read(partial(_known_key, scope=scope, key=key))
        if before is None:
            judgement = await self._judge.before(order, order.attempt + 1, seen)
            if judgement is Judgement.BLOCK:
                self._metrics.orders.count("blocked")
                return Blocked()
            review = judgement is Judgement.REVIEW
            begun = await self._begin(till, order, method, scope, key, body, review=review)
            if isinstance(begun, NoAttempt):
                return begun
            if not isinstance(begun, _Key):
                order, attempt = await till.driving.drive(*begun)
                return Told(paper(order, attempt), is_new=True)
            before = begun
        if before.body != body:
            return No.OTHER_BODY
        found = await till.driving.again(order_id, before.number, look=False)
        return No.UNKNOWN if found is None else Told(paper(*found))

    async def find(self, event: str, buyer: str | None, order_id: str, *, look: bool = False) -> Told | None:
        """Return an order; `buyer` None for whoever has its link.

        `look`: ask the provider about what is open, unless it was asked too often (``LOOKS``).
        """
        await self._catalogue.known(event)
        till = self._till(event)
        order = await self._own(till, event, buyer, order_id)
        if order is None:
            return None
        if look and order.state is OrderState.OPEN and order.attempt and self._may_look(order.id):
            found = await till.driving.again(order.id, order.attempt)
            if found is not None:
                return Told(await self._paper_of(till, found[0]))
        return Told(await self._paper_of(till, order))

    def _may_look(self, order_id: str) -> bool:
        """Tell whether a provider may be asked again: whoever loads a page over and over spends nobody's calls."""
        now_us = self._clock.now_ms() * 1000
        if len(self._looked_us) >= LOOKED_MOST:
            self._looked_us = {one: at_us for one, at_us in self._looked_us.items() if at_us > now_us}
        at_us = self._looked_us.get(order_id, now_us)
        if not conforms(at_us, LOOKS, now_us):
            return False
        self._looked_us[order_id] = spent(at_us, LOOKS, now_us)
        return True

    async def mine(self, event: str, buyer: str) -> list[OrderPaper]:
        """Return a buyer's orders, the newest first."""
        await self._catalogue.known(event)
        till = self._till(event)
        orders = await till.group.read(partial(orders_of, event=event, buyer=buyer))
        return [await self._paper_of(till, order) for order in orders]

    async def give_up(self, event: str, buyer: str, order_id: str) -> Told | No:
        """Give an order up that is not paid; what is over stays so."""
        await self._catalogue.known(event)
        till = self._till(event)
        order = await self._own(till, event, buyer, order_id)
        if order is None:
            return No.UNKNOWN
        if order.state not in {OrderState.OPEN, OrderState.CANCELLED, OrderState.LAPSED}:
            return No.OVER
        closed = await self.end(till, order.id, Happening.GIVEN_UP)
        return Told(await self._paper_of(till, closed or order))

    # ------------------------------------------------------------------------------- anybody's

    async def end(
        self, till: Till, order_id: str, happening: Happening, word: Word | None = None
    ) -> Order | None:
        """End an order, and let go of the money of all its tries; None when it cannot end so. `word`: who refused."""
        for _ in range(RACES):
            order = await till.group.read(partial(find_order, id_=order_id))
            if order is None or step(order.state, happening) is None:
                return None
            try:
                closed = await till.group.write(
                    partial(close, order=order, happening=happening, at_ms=self._clock.now_ms(), word=word)
                )
            except Stale:
                continue
            self._metrics.orders.count(closed.order.state.value)
            if closed.freed is not None:
                if order.state is not OrderState.PAID:
                    self._metrics.funnel.count("abandoned")
                await self._hall.freed(
                    closed.order, closed.freed, was_sold=order.state is not OrderState.OPEN
                )
            for number in range(1, closed.order.attempt + 1):
                await till.driving.again(order_id, number, look=False)
            return closed.order
        return None

    async def _begin(
        self, till: Till, order: Order, method: str, scope: str, key: str, body: str, *, review: bool
    ) -> "tuple[Order, Attempt] | NoAttempt | _Key":
        provider, trace = self._provider_of(order), written(current())
        for _ in range(RACES):
            now_ms = self._clock.now_ms()

            def begin(
                connection: Connection, now_ms: int = now_ms
            ) -> tuple[Order, Attempt] | NoAttempt | _Key:
                known = _known_key(connection, scope, key)
                if known is not None:
                    return known
                begun = new_attempt(
                    connection,
                    order.id,
                    provider,
                    method,
                    now_ms,
                    now_ms + SOON_MS,
                    review=review,
                    trace=trace,
                )
                if isinstance(begun, NoAttempt):
                    # What stands in the way may be what this very key began since it was looked for.
                    return _known_key(connection, scope, key) or begun
                row = {"scope": scope, "key": key, "body_hash": body, "created_ms": now_ms}
                connection.execute(_NEW_KEY, {**row, "state": str(begun[1].number)})
                return begun

            try:
                return await till.group.write(begin)
            except (Stale, IntegrityError):
                continue
        return NoAttempt.UNDER_WAY

    async def _own(self, till: Till, event: str, buyer: str | None, order_id: str) -> Order | None:
        if not is_order_id(order_id):
            return None
        order = await till.group.read(partial(find_order, id_=order_id))
        if order is None or order.event != event or buyer not in {None, order.buyer}:
            return None
        return order

    async def _paper_of(self, till: Till, order: Order) -> OrderPaper:
        attempts = await till.group.read(partial(attempts_of, order=order.id)) if order.attempt else []
        number = order.paid_by or order.attempt
        return paper(order, next((one for one in attempts if one.number == number), None))

    def _till(self, event: str) -> Till:
        return self._tills(self._places.of(event))


# ---------------------------------------------------------------------------------------- keys


@dataclass(frozen=True, slots=True)
class _Key:
    """A key that was used: the body that came with it, and the try that it became."""

    body: str
    number: int


_NEW_KEY = sa.insert(IDEMPOTENCY)
_KEY = sa.select(IDEMPOTENCY.c.body_hash, IDEMPOTENCY.c.state).where(
    IDEMPOTENCY.c.scope == sa.bindparam("of_scope"), IDEMPOTENCY.c.key == sa.bindparam("of_key")
)


def _known_key(connection: Connection, scope: str, key: str) -> _Key | None:
    row = connection.execute(_KEY, {"of_scope": scope, "of_key": key}).one_or_none()
    return None if row is None else _Key(row.body_hash, int(row.state))

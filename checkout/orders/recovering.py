"""Recovering: sees to it that no order stays where a crash, a lost answer or a silent provider has left it.

Each second, at every place:

1. **What stands still.** Attempts whose time to look has come are taken for a while (so that one worker looks, not all)
   and driven: their provider is asked first. That is what resolves a process that died anywhere, a notice that never
   came, and a bank's page that a buyer never came back from.
2. **Refunds** that are wanted and have not been answered.
3. **Orders whose time is over**: their seats go back, and what was authorised for them is let go.
4. **Reviews that nobody has decided in time**: what is set for that follows, while the money can still be taken.
5. **Cancelled events**: what is open is ended, what is paid is given back.
6. **Paid orders without a ticket**: they are older than tickets are; they get theirs.

And every ``STRAYS_EVERY_S`` the providers are asked what they have had since then that we may not know of: payments of
a database that was put back to an older state, or of a crash between an answer and its commit. Money that belongs to no
order of ours goes back. Not here: what an attempt does next (``orders.rule``, ``orders.driving``).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

from sqlalchemy.exc import IntegrityError

from checkout.catalogue.reading import CatalogueReader
from checkout.catalogue.selling import State
from checkout.holds.places import Place, Places
from checkout.metrics import Metrics
from checkout.orders.cancelled_rows import CANCELLED_KEY, to_end
from checkout.orders.caring import Caring
from checkout.orders.order import OrderState
from checkout.orders.review import SHOP
from checkout.orders.review_rows import reviews_due, reviews_open, without_review
from checkout.orders.rows import (
    find_order,
    find_refund,
    orders_due,
)
from checkout.orders.rule import Happening
from checkout.orders.service import Ordering, Till
from checkout.orders.strays import SETTLED_MS, Strays
from checkout.orders.work import ATTEMPT, lease, left
from checkout.payments.port import NotNow, Provider, Refusal, Unclear
from checkout.tickets.issuing import make_up
from checkout.tickets.rows import without_tickets
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

LEASE_MS = 20_000
"""So long an attempt that one worker looks at is left alone by the others."""

AT_ONCE = 32
MOST = 256
STRAYS_EVERY_S = 300.0
STRAYS_FIRST_S = 10.0
STRAYS_BACK_MS = 3 * 3_600_000
MADE_UP_EVERY_MS = 60_000


class Recovering:
    """One worker's look at what stands still."""

    def __init__(
        self,
        catalogue: CatalogueReader,
        places: Places,
        tills: Callable[[Place], Till],
        ordering: Ordering,
        caring: Caring,
        providers: Mapping[str, Provider],
        strays: Strays,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._catalogue = catalogue
        self._places = places
        self._tills = tills
        self._ordering = ordering
        self._caring = caring
        self._providers = providers
        self._strays = strays
        self._clock = clock
        self._metrics = metrics
        self._few = asyncio.Semaphore(AT_ONCE)
        self._looked_ms: dict[str, int] = {}
        self._made_up_ms: dict[str, int] = {}

    async def run(self, every_s: float = 1.0) -> None:
        """Look, for ever."""
        strays_s = time.monotonic() + STRAYS_FIRST_S
        while not is_ending():
            for place in self._places.all():
                try:
                    await self.pass_by(place)
                except Unavailable as error:
                    self._failed("orders", error.code)
            try:
                await self.end_cancelled()
            except Unavailable as error:
                self._failed("orders", error.code)
            if time.monotonic() >= strays_s:
                strays_s = time.monotonic() + STRAYS_EVERY_S
                await self.look_for_strays()
            await asyncio.sleep(every_s)

    async def pass_by(self, place: Place) -> int:
        """Look at all that stands still at a place; returns how many attempts and orders that were."""
        till, done = self._tills(place), 0
        while True:
            now_ms = self._clock.now_ms()
            due = await till.group.write(partial(lease, now_ms=now_ms, until_ms=now_ms + LEASE_MS, most=MOST))
            await self._all(self._again(till, *one) for one in due)
            done += len(due)
            if len(due) < MOST:
                break
        done += await self._over(till)
        done += await self._lapsed(till)
        done += await self._made_up(till)
        self._metrics.open_attempts.labels(place.name).set(await till.group.read(left))
        await self._count_reviews(till)
        return done

    async def end_cancelled(self) -> int:
        """End the orders of cancelled events, and give back what was paid; returns how many orders that were."""
        done = 0
        for known in await self._catalogue.all():
            if known.event.state is not State.CANCELLED:
                continue
            event = known.event.id
            till = self._tills(self._places.of(event))
            ids = await till.group.read(partial(to_end, event=event, most=MOST))
            await self._all(self._cancel(till, event, id_) for id_ in ids)
            done += len(ids)
        return done

    async def look_for_strays(self) -> int:
        """Ask the providers what they have that we may not know of."""
        done, now_ms = 0, self._clock.now_ms()
        for provider in self._providers.values():
            since_ms = self._looked_ms.get(provider.name, now_ms - STRAYS_BACK_MS)
            try:
                done += await self._strays.look(provider, since_ms)
                # What was too young to be judged comes up once more.
                self._looked_ms[provider.name] = now_ms - 2 * SETTLED_MS
            except (Unclear, NotNow, Refusal, Unavailable) as error:
                self._failed("strays", type(error).__name__)
        return done

    # --------------------------------------------------------------------------------- the parts

    async def _again(self, till: Till, order_id: str, kind: str, name: str) -> None:
        if kind == ATTEMPT:
            await till.driving.again(order_id, int(name))
            return
        refund = await till.group.read(partial(find_refund, order=order_id, key=name))
        if refund is not None:
            await till.refunding.give_back(refund)

    async def _over(self, till: Till) -> int:
        due = await till.group.read(
            partial(orders_due, state=OrderState.OPEN, now_ms=self._clock.now_ms(), most=MOST)
        )
        await self._all(self._ordering.end(till, one, Happening.TIME_OVER) for one in due)
        return len(due)

    async def _lapsed(self, till: Till) -> int:
        old = await till.group.read(partial(without_review, most=MOST))
        await self._all(self._caring.take_up(event, order_id) for event, order_id in old)
        due = await till.group.read(partial(reviews_due, now_ms=self._clock.now_ms(), most=MOST))
        await self._all(self._caring.lapse(event, order_id) for event, order_id in due)
        return len(due)

    async def _made_up(self, till: Till) -> int:
        """Make the tickets that paid orders are without; now and then, because it looks through all of them."""
        now_ms, name = self._clock.now_ms(), till.place.name
        if now_ms < self._made_up_ms.get(name, 0):
            return 0
        self._made_up_ms[name] = now_ms + MADE_UP_EVERY_MS
        done = 0
        while True:
            left_ = await till.group.read(partial(without_tickets, most=MOST))
            made = 0
            for event, order, reservation in left_:
                making = partial(
                    make_up, event=event, order=order, reservation=reservation, at_ms=self._clock.now_ms()
                )
                try:
                    made += await till.group.write(making)
                except IntegrityError:
                    # Another worker was faster.
                    log.info("somebody else makes an order's tickets", extra={"order": order})
            done += made
            self._metrics.tickets.count += made
            if len(left_) < MOST or not made:
                return done

    async def _count_reviews(self, till: Till) -> None:
        count, opened_ms = await till.group.read(reviews_open)
        age_ms = 0 if opened_ms is None else max(0, self._clock.now_ms() - opened_ms)
        self._metrics.open_reviews.labels(till.place.name).set(count)
        self._metrics.oldest_review.labels(till.place.name).set(age_ms / 1000)

    async def _cancel(self, till: Till, event: str, order_id: str) -> None:
        order = await till.group.read(partial(find_order, id_=order_id))
        if order is None:
            return
        if order.state is OrderState.PAID:
            reason = "The event is cancelled."
            await self._caring.refund(event, order_id, None, CANCELLED_KEY, by=SHOP, reason=reason)
        else:
            await self._ordering.end(till, order_id, Happening.GIVEN_UP)

    async def _all(self, works: Iterable[Awaitable[object]]) -> None:
        async def one(work: Awaitable[object]) -> None:
            async with self._few:
                try:
                    await work
                except (Unavailable, Refused) as error:
                    self._failed("orders", error.code)
                except (Unclear, NotNow, Refusal) as error:
                    self._failed("orders", type(error).__name__)

        await asyncio.gather(*(one(work) for work in works))

    def _failed(self, task: str, code: str) -> None:
        self._metrics.background_failures.count(task)
        log.warning("an order could not be looked at", extra={"task": task, "code": code})

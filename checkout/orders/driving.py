"""Driving: takes an attempt as far as it can be taken now, one act after the other (``orders.rule``).

Whoever has a reason to, drives: the request that pays, a notice of the provider, the look at what stands still. What
was learnt is written before, or together with, whatever follows from it:

* before the bank is asked, the payment's name is committed, and that it is about to be asked (``ASKED``);
* before the money is taken, the order is sold;
* an attempt whose provider does not answer stays as it is written, with a time at which it is looked at again.

So a process may die anywhere, and two may drive the same attempt: each change names the version that it was decided on,
the slower one looks again, and a provider does what has the same key once. ``crashpoint`` marks where the tests
let a process die. Not here: what is due (``orders.recovering``), what a buyer is told (``orders.service``).
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.exc import IntegrityError

from checkout.grouping import Grouping
from checkout.metrics import Metrics
from checkout.orders.cards import CardFull
from checkout.orders.order import NEVER_MS, Attempt, AttemptState, Goal, Order, OrderState
from checkout.orders.ports import Hall, Judge, Judgement
from checkout.orders.review import UNMINDFUL, Cautions
from checkout.orders.rows import Stale, find_attempt, find_order
from checkout.orders.rule import Act, Happening, hears, next_act
from checkout.orders.store import NotSold, close, sell, settle, write_attempt
from checkout.payments.port import (
    KEY_KEPT_MS,
    Charge,
    Decline,
    Notice,
    NotNow,
    Provider,
    Refusal,
    Unclear,
)
from kernel.clock import Clock
from kernel.crashing import crashpoint
from kernel.tracing import continuing

log = logging.getLogger(__name__)

STEPS_MOST = 24
"""Acts of one drive; a table that led round in circles would end here, and be noticed."""

SOON_MS = 5_000
"""So long whoever drives may take between two writes; then somebody else looks."""

ACTION_MS = 20_000
"""So often a buyer at the bank's page is looked after, in case no notice comes."""

PROCESSING_MS = 10_000
FIRST_MS, LONGEST_MS = 1_000, 300_000
"""Pauses after troubles: twice as long each time."""

TROUBLES_MOST = 2
"""So often one drive goes on after an answer that did not come."""

CAPTURES_MOST = 3
"""So often a provider may refuse to take what it says is authorised."""


@dataclass(slots=True)
class Drive:
    """One attempt under way. ``was``: as it is written; ``now``: as it is known."""

    order: Order
    was: Attempt
    now: Attempt
    trouble: Exception | None = None
    troubles: int = 0
    is_over: bool = False


class Driving:
    """One worker's way to the providers."""

    def __init__(
        self,
        group: Grouping,
        providers: Mapping[str, Provider],
        judge: Judge,
        hall: Hall,
        clock: Clock,
        metrics: Metrics,
        return_url: str,
        dice: random.Random | None = None,
        cautions: Cautions = UNMINDFUL,
    ) -> None:
        """`return_url`: where the bank's page sends buyers back to, with ``{event}`` and ``{order}``."""
        self._cautions = cautions
        self._group = group
        self._providers = providers
        self._judge = judge
        self._hall = hall
        self._clock = clock
        self._metrics = metrics
        self._return_url = return_url
        self._dice = dice or random.Random()  # noqa: S311 (spreads pauses)
        self._locks: dict[str, asyncio.Lock] = {}
        self._acts: dict[Act, Callable[[Drive], Awaitable[None]]] = {
            Act.CREATE: self._create,
            Act.CONFIRM: self._confirm,
            Act.LOOK: self._look,
            Act.SELL: self._sell,
            Act.CAPTURE: self._capture,
            Act.SETTLE: self._settle,
            Act.LOSE: self._lose,
            Act.BACK: self._back,
            Act.TURN: self._turn,
            Act.VOID: self._void,
            Act.REFUND: self._give_back,
            Act.WAIT: self._wait,
            Act.NOTHING: self._rest,
        }

    async def drive(self, order: Order, attempt: Attempt, *, look: bool = False) -> tuple[Order, Attempt]:
        """Take an attempt as far as it goes. `look`: ask its provider first."""
        lock = self._locks.setdefault(order.id, asyncio.Lock())
        try:
            async with lock:
                with continuing(attempt.trace, "order work", attributes={"waitroom.attempt": attempt.number}):
                    return await self._drive(order, attempt, look=look)
        finally:
            if not lock.locked():
                self._locks.pop(order.id, None)

    async def rest(self, order_id: str) -> bool:
        """Wait until nobody of this worker is at an order; tells whether somebody was."""
        lock = self._locks.get(order_id)
        if lock is None or not lock.locked():
            return False
        async with lock:
            return True

    async def again(
        self, order_id: str, number: int, *, look: bool = True, notice: tuple[Notice, str] | None = None
    ) -> tuple[Order, Attempt] | None:
        """Look at an attempt anew, and take it as far as it goes; None when there is none.

        `notice`: written down together with what it leads to. Raises ``IntegrityError`` if it is known.
        """
        found = await self.read(order_id, number)
        if found is None:
            return None
        order, attempt = found
        if notice is not None:
            with continuing(attempt.trace, "order notice"):
                attempt = await self._hear(attempt, notice)
                return await self.drive(order, attempt)
        return await self.drive(order, attempt, look=look)

    async def _hear(self, attempt: Attempt, notice: tuple[Notice, str]) -> Attempt:
        """Fetch what a notice is about, and write both down; raises what the provider does."""
        for _ in range(STEPS_MOST):
            told = await self._providers[attempt.provider].fetch(attempt.ref or notice[0].ref)
            writing = partial(
                write_attempt,
                was=attempt,
                now=hears(attempt, told),
                at_ms=self._clock.now_ms(),
                notice=notice,
            )
            try:
                written = await self._group.write(writing)
            except Stale:
                found = await self.read(attempt.order, attempt.number)
                if found is None:
                    raise
                attempt = found[1]
                continue
            crashpoint("notice.written")
            return written
        raise Stale

    async def read(self, order_id: str, number: int) -> tuple[Order, Attempt] | None:
        """Read an attempt and its order; None when there is none."""
        return await self._group.read(
            lambda connection: (
                (order, attempt)
                if (order := find_order(connection, order_id)) is not None
                and (attempt := find_attempt(connection, order_id, number)) is not None
                else None
            )
        )

    # ------------------------------------------------------------------------------- the loop

    async def _drive(self, order: Order, attempt: Attempt, *, look: bool) -> tuple[Order, Attempt]:
        drive = Drive(order, attempt, attempt)
        act = Act.LOOK if look and attempt.ref else self._next(drive)
        for _ in range(STEPS_MOST):
            try:
                await self._acts[act](drive)
            except Stale:
                found = await self.read(order.id, attempt.number)
                if found is None:
                    raise
                drive.order, drive.was = found
                drive.now = drive.was
            except (Unclear, NotNow) as error:
                drive.trouble = error
                self._metrics.payment_troubles.count(type(error).__name__.lower())
                drive.troubles += 1
                if act is Act.CONFIRM and isinstance(error, Unclear) and drive.troubles < TROUBLES_MOST:
                    # What the bank said can be read; a second question would be another one.
                    act = Act.LOOK
                    continue
                await self._pause(drive, act)
                break
            if drive.is_over:
                break
            act = self._next(drive)
        else:
            log.error("an attempt goes round in circles", extra={"order": order.id, "act": str(act)})
            await self._pause(drive, act)
        return drive.order, drive.now

    async def _look(self, drive: Drive) -> None:
        drive.now = hears(drive.now, await self._provider(drive).fetch(drive.now.ref))
        if drive.now.state is AttemptState.OPEN and drive.now.goal is Goal.PAY and not drive.now.method:
            # With nothing to pay with it will never be paid.
            await self._write(drive, goal=Goal.UNDO)

    async def _settle(self, drive: Drive) -> None:
        drive.order, drive.was, tickets = await self._group.write(
            lambda connection: settle(connection, drive.order, drive.was, drive.now, self._clock.now_ms())
        )
        drive.now = drive.was
        crashpoint("settle.after")
        self._metrics.orders.count("paid")
        self._metrics.funnel.count("paid")
        self._metrics.tickets.count += tickets

    async def _lose(self, drive: Drive) -> None:
        await self._close(drive, Happening.CAPTURE_LOST)

    async def _back(self, drive: Drive) -> None:
        await self._close(drive, Happening.ALL_BACK)

    async def _turn(self, drive: Drive) -> None:
        is_declined = drive.now.state is AttemptState.DECLINED and drive.now.goal is Goal.PAY
        await self._write(drive, goal=Goal.UNDO, due_ms=self._in_ms(SOON_MS))
        if is_declined:
            self._metrics.declines.count(str(drive.now.decline or Decline.GENERIC))
            await self._judge.declined(drive.order, drive.now)

    # ------------------------------------------------------------------------------- the acts

    async def _create(self, drive: Drive) -> None:
        now = drive.now
        if self._clock.now_ms() - now.created_ms >= KEY_KEPT_MS:
            if not await self._find(drive):
                await self._write(drive, state=AttemptState.UNMADE)
            return
        charge = Charge(now.event, now.order, now.number, now.amount, now.key("create"))
        crashpoint("create.before")
        try:
            told = await self._provider(drive).create(charge)
        except Refusal as refusal:
            log.error("a provider makes no payment", extra={"order": now.order, "code": refusal.code})  # noqa: TRY400
            await self._write(drive, state=AttemptState.UNMADE, decline=Decline.PROCESSING)
            return
        except Unclear:
            # A provider may keep a failure under the key: each repeat hears of nothing else, though there is a payment.
            if not now.tries or not await self._find(drive):
                raise
            return
        crashpoint("create.after")
        drive.now = hears(now, told)

    async def _find(self, drive: Drive) -> bool:
        """Look for a payment whose name was never written down; False when the provider has none."""
        now = drive.now
        async for told in self._provider(drive).list_since(now.created_ms - SOON_MS):
            if (told.order, told.attempt) == (now.order, now.number):
                drive.now = hears(now, told)
                return True
        return False

    async def _confirm(self, drive: Drive) -> None:
        now = drive.now
        await self._write(
            drive, state=AttemptState.ASKED, asked=now.asked + 1, due_ms=self._in_ms(SOON_MS), ref=now.ref
        )
        crashpoint("confirm.before")
        now = drive.now
        url = self._return_url.format(event=now.event, order=now.order)
        try:
            told = await self._provider(drive).confirm(
                now.ref, now.method, url, now.key(f"confirm:{now.asked}")
            )
        except Refusal as refusal:
            log.warning("a payment is not confirmed", extra={"order": now.order, "code": refusal.code})
            told = await self._provider(drive).fetch(now.ref)
            drive.now = hears(now, told)
            if drive.now.state is AttemptState.OPEN:
                # As asked it will never be; another try is another attempt.
                drive.now = replace(drive.now, decline=drive.now.decline or Decline.PROCESSING)
                await self._write(drive, goal=Goal.UNDO)
            return
        crashpoint("confirm.after")
        drive.now = hears(now, told)

    async def _sell(self, drive: Drive) -> None:
        verdict = await self._judge.after(drive.order, drive.now)
        if verdict is Judgement.BLOCK:
            drive.now = replace(drive.now, decline=Decline.FRAUD)
            await self._write(drive, goal=Goal.UNDO)
            return
        is_review = drive.now.review or verdict is Judgement.REVIEW
        happening = Happening.SOLD_FOR_REVIEW if is_review else Happening.SOLD
        now = replace(drive.now, method="", due_ms=self._in_ms(SOON_MS))
        crashpoint("sell.before")
        try:
            drive.order, drive.was = await self._group.write(
                lambda connection: sell(
                    connection, drive.order, drive.was, now, happening, self._clock.now_ms(), self._cautions
                )
            )
        except CardFull:
            self._metrics.orders.count("card-full")
            drive.now = replace(drive.now, decline=Decline.CARD_FULL)
            await self._write(drive, goal=Goal.UNDO)
            return
        except NotSold:
            # The seats have gone back: the time is over, or they were given back.
            await self._close(drive, Happening.TIME_OVER)
            return
        drive.now = drive.was
        crashpoint("sell.after")
        self._metrics.orders.count("review" if is_review else "sold")
        await self._hall.sold(drive.order)

    async def _capture(self, drive: Drive) -> None:
        now = drive.now
        crashpoint("capture.before")
        try:
            told = await self._provider(drive).capture(now.ref, now.amount, now.key("capture"))
        except Refusal as refusal:
            log.warning("authorised money is not taken", extra={"order": now.order, "code": refusal.code})
            drive.now = hears(now, await self._provider(drive).fetch(now.ref))
            if drive.now.state is AttemptState.AUTHORISED:
                if now.tries + 1 >= CAPTURES_MOST:
                    await self._close(drive, Happening.CAPTURE_LOST)
                else:
                    await self._pause(drive, Act.CAPTURE)
            return
        crashpoint("capture.after")
        drive.now = hears(now, told)

    async def _void(self, drive: Drive) -> None:
        now, provider = drive.now, self._provider(drive)
        crashpoint("void.before")
        try:
            drive.now = hears(now, await provider.void(now.ref, now.key("void")))
        except Refusal as refusal:
            drive.now = hears(now, await provider.fetch(now.ref))
            if self._next(drive) is Act.VOID:
                log.warning("a payment cannot be let go", extra={"order": now.order, "code": refusal.code})
                await self._pause(drive, Act.VOID)
        crashpoint("void.after")

    async def _give_back(self, drive: Drive) -> None:
        """Give back all that is there, of an attempt that was not wanted."""
        now, provider = drive.now, self._provider(drive)
        left = replace(now.amount, amount_minor=now.captured_minor - now.refunded_minor)
        crashpoint("refund.before")
        try:
            await provider.refund(now.ref, left, now.key(f"undo:{now.refunded_minor}"))
        except Refusal as refusal:
            log.warning("money cannot be given back", extra={"order": now.order, "code": refusal.code})
        crashpoint("refund.after")
        drive.now = hears(now, await provider.fetch(now.ref))
        if drive.now.refunded_minor == now.refunded_minor:
            # Taken on and not done yet, or refused.
            await self._pause(drive, Act.REFUND)

    async def _close(self, drive: Drive, happening: Happening) -> None:
        was_sold = drive.order.state is not OrderState.OPEN
        was_paid = drive.order.state is OrderState.PAID
        if drive.was != drive.now:
            await self._write(drive)
        closed = await self._group.write(
            partial(close, order=drive.order, happening=happening, at_ms=self._clock.now_ms())
        )
        crashpoint("close.after")
        self._metrics.orders.count(closed.order.state.value)
        if closed.freed is not None:
            if not was_paid:
                self._metrics.funnel.count("abandoned")
            await self._hall.freed(closed.order, closed.freed, was_sold=was_sold)
        found = await self.read(drive.order.id, drive.now.number)
        if found is not None:
            drive.order, drive.was = found
            drive.now = drive.was

    # --------------------------------------------------------------------------------- writing

    async def _write(self, drive: Drive, **fields: object) -> None:
        now = replace(drive.now, **fields)  # type: ignore[arg-type]
        drive.was = drive.now = await self._group.write(
            lambda connection: write_attempt(connection, drive.was, now, self._clock.now_ms())
        )

    async def _wait(self, drive: Drive) -> None:
        """Write what is known, and when to look again."""
        pause_ms = {AttemptState.ACTION: ACTION_MS, AttemptState.PROCESSING: PROCESSING_MS}
        await self._write(drive, due_ms=self._in_ms(pause_ms.get(drive.now.state, LONGEST_MS)), tries=0)
        drive.is_over = True

    async def _rest(self, drive: Drive) -> None:
        """Write what is known; nobody has to look again."""
        if drive.was != drive.now or drive.now.due_ms != NEVER_MS:
            await self._write(drive, due_ms=NEVER_MS)
        drive.is_over = True

    async def _pause(self, drive: Drive, act: Act) -> None:
        """Leave it for later: twice as long each time."""
        tries = drive.now.tries + 1
        retry_s = getattr(drive.trouble, "retry_s", 0.0)
        pause = max(int(pause_ms(tries) * self._dice.uniform(0.5, 1.0)), int(retry_s * 1000))
        log.info("an attempt waits", extra={"order": drive.now.order, "act": str(act), "pause_ms": pause})
        drive.is_over = True
        try:
            await self._write(drive, tries=tries, due_ms=self._in_ms(pause))
        except (Stale, IntegrityError):
            # Somebody else is at it.
            log.info("somebody else is at an attempt", extra={"order": drive.now.order})

    def _next(self, drive: Drive) -> Act:
        return next_act(drive.order, drive.now, self._clock.now_ms())

    def _provider(self, drive: Drive) -> Provider:
        return self._providers[drive.now.provider]

    def _in_ms(self, pause_ms: int) -> int:
        return self._clock.now_ms() + pause_ms


def pause_ms(tries: int) -> int:
    """Tell how long to wait after so many troubles one after the other."""
    return int(min(LONGEST_MS, FIRST_MS * 2 ** min(tries - 1, 16)))

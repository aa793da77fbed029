"""Caring: what whoever looks after a sale does with an order: see all of it, give money back, let it through or not.

* **Refunds.** Money that goes back is wanted under a key, written down, and then asked for (``orders.refunding``); what
  was captured, and is neither back nor with the buyer's bank, is the most that can be wanted, however many want it at
  once. One that has failed is tried again as a refund of its own, whose key follows from the failed one's: two who try
  again at once want the same.
* **Reviews.** One decision counts (``fraud.review``): the same again is the same, the other one changes nothing. Where
  nobody has decided in time, what is set for that follows, before the authorisation is over. An order that has waited
  since before reviews were written down gets its own (``take_up``).

Not here: the buyer's acts (``orders.service``), HTTP (``organiser``), when it is looked (``orders.recovering``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from checkout.fraud.review import CaseState, Decision, Otherwise, Terms, TooLate, decide
from checkout.fraud.review import state as state_of
from checkout.holds.places import Place, Places
from checkout.orders.cancelled_rows import Progress, progress
from checkout.orders.keys import OtherBody, once_for
from checkout.orders.order import Attempt, Order, OrderState
from checkout.orders.projection import TAKEN_UP
from checkout.orders.projection import Told as Entry
from checkout.orders.refund import Refund, RefundState
from checkout.orders.returning import NoRefund, want_refund
from checkout.orders.review import NOBODY_DECIDED, UNMINDFUL, Review, Word, case_of
from checkout.orders.review_rows import find_review, open_review
from checkout.orders.rows import Stale, attempts_of, find_attempt, find_order, find_refund, refunds_of
from checkout.orders.rule import Happening
from checkout.orders.service import RACES, No, Ordering, Till
from checkout.orders.store import release as let_through
from checkout.orders.store import tell
from kernel.clock import Clock

AGAIN = ":"
"""Stands in the key of a refund that tries a failed one again, before the number of the try; in no key from outside."""


@dataclass(frozen=True, slots=True)
class Case:
    """An order with its attempts, refunds and review, for whoever looks after it."""

    order: Order
    attempts: tuple[Attempt, ...]
    refunds: tuple[Refund, ...]
    review: Review | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """An order that somebody has decided on; `again` when it had been decided like this before."""

    order: Order
    review: Review
    again: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """It is decided already, the other way, or by time (``review.by``)."""

    review: Review


class NotFailed(Exception):
    """The refund has not failed, so it is not tried again."""


class Caring:
    """Use cases of who looks after a sale, for one worker."""

    def __init__(
        self,
        places: Places,
        tills: Callable[[Place], Till],
        ordering: Ordering,
        clock: Clock,
        terms: Terms = UNMINDFUL.terms,
    ) -> None:
        """`terms`: what follows for a review that nobody decides."""
        self._places = places
        self._tills = tills
        self._ordering = ordering
        self._clock = clock
        self._terms = terms

    async def case(self, event: str, order_id: str) -> Case | None:
        """Return all that there is of an order."""
        return await self._till(event).group.read(partial(_case, event=event, order_id=order_id))

    async def progress(self, event: str) -> Progress:
        """Tell how far the end of a cancelled event has come."""
        return await self._till(event).group.read(partial(progress, event=event))

    # ------------------------------------------------------------------------------------ refunds

    async def refund(
        self,
        event: str,
        order_id: str,
        amount_minor: int | None,
        key: str,
        *,
        by: str,
        reason: str = "",
        body: bytes = b"",
    ) -> Refund | No | NoRefund:
        """Have money go back; None for all that is there. A repeat under the same key is the same refund.

        `body`: what came with the key, where it came from outside; another body under it is refused.
        """
        if await self.case(event, order_id) is None:
            return No.UNKNOWN

        def wanting(connection: Connection) -> Refund:
            now_ms = self._clock.now_ms()
            if body:
                once_for(connection, f"{event}:{order_id}:refund", key, body, now_ms)
            return want_refund(connection, order_id, amount_minor, key, now_ms, by, reason)

        try:
            return await self._want(self._till(event), wanting)
        except OtherBody:
            return No.OTHER_BODY

    async def retry(
        self, event: str, order_id: str, key: str, *, by: str
    ) -> Refund | No | NoRefund | NotFailed:
        """Want a refund again that has failed. The provider is asked anew, under a key of its own."""

        def wanting(connection: Connection) -> Refund:
            failed = find_refund(connection, order_id, key)
            if failed is None or failed.event != event:
                raise LookupError
            if failed.state is not RefundState.FAILED:
                raise NotFailed
            amount, now_ms = failed.amount.amount_minor, self._clock.now_ms()
            return want_refund(connection, order_id, amount, next_key(key), now_ms, by, failed.reason)

        try:
            return await self._want(self._till(event), wanting)
        except LookupError:
            return No.UNKNOWN
        except NotFailed as reason:
            return reason

    async def _want(self, till: Till, wanting: Callable[[Connection], Refund]) -> Refund | NoRefund:
        for _ in range(RACES):
            try:
                refund = await till.group.write(wanting)
            except NoRefund as none:
                return none
            except (Stale, IntegrityError):
                continue
            return await till.refunding.give_back(refund)
        raise Stale

    # ------------------------------------------------------------------------------------ reviews

    async def judge(self, event: str, order_id: str, decision: Decision, word: Word) -> Judged | Decided | No:
        """Let an order through that a person has looked at, or not; the buyer's page says which."""
        till = self._till(event)
        for _ in range(RACES):
            case = await self.case(event, order_id)
            if case is None:
                return No.UNKNOWN
            if case.review is None:
                return No.OVER
            now_ms = self._clock.now_ms()
            outcome = decide(case_of(case.review, case.order.amount), decision, word.by, word.note, now_ms)
            if isinstance(outcome, Otherwise | TooLate):
                return Decided(case.review)
            if outcome.again:
                return Judged(case.order, case.review, again=True)
            if case.order.state is not OrderState.REVIEW:
                return No.OVER
            if await self._do(till, order_id, decision, word):
                done = await self.case(event, order_id)
                if done is not None and done.review is not None:
                    return Judged(done.order, done.review)
        raise Stale

    async def lapse(self, event: str, order_id: str) -> bool:
        """End a review that nobody has decided in time, as is set; tells whether this did."""
        case = await self.case(event, order_id)
        if case is None or case.review is None:
            return False
        if state_of(case_of(case.review, case.order.amount), self._clock.now_ms()) is not CaseState.LAPSED:
            return False
        return await self._do(self._till(event), order_id, self._terms.lapse, NOBODY_DECIDED)

    async def take_up(self, event: str, order_id: str) -> bool:
        """Write a review down for an order in review that has none; tells whether this did."""

        def taking(connection: Connection) -> bool:
            order = find_order(connection, order_id)
            attempt = None if order is None else find_attempt(connection, order_id, order.paid_by)
            if order is None or attempt is None or order.state is not OrderState.REVIEW:
                return False
            now_ms, told = self._clock.now_ms(), Entry()
            told.review(None, open_review(connection, attempt, self._terms, now_ms))
            tell(connection, told.draft(TAKEN_UP, now_ms))
            return True

        try:
            return await self._till(event).group.write(taking)
        except IntegrityError:
            # Another worker has.
            return False

    async def _do(self, till: Till, order_id: str, decision: Decision, word: Word) -> bool:
        """Do what was decided; False when somebody was faster."""
        if decision is Decision.REFUSE:
            return await self._ordering.end(till, order_id, Happening.REFUSED, word) is not None

        def released(connection: Connection) -> Order | None:
            order = find_order(connection, order_id)
            return None if order is None else let_through(connection, order, self._clock.now_ms(), word)

        try:
            order = await till.group.write(released)
        except Stale:
            return False
        if order is None:
            return False
        await till.driving.again(order_id, order.paid_by, look=False)
        return True

    def _till(self, event: str) -> Till:
        return self._tills(self._places.of(event))


def _case(connection: Connection, event: str, order_id: str) -> Case | None:
    order = find_order(connection, order_id)
    if order is None or order.event != event:
        return None
    return Case(
        order,
        tuple(attempts_of(connection, order_id)),
        tuple(refunds_of(connection, order_id)),
        find_review(connection, order_id),
    )


def next_key(key: str) -> str:
    """Name the refund that tries this one again: ``k``, ``k:1``, ``k:2``."""
    first, mark, number = key.rpartition(AGAIN)
    if mark and number.isascii() and number.isdigit():
        return f"{first}{AGAIN}{int(number) + 1}"
    return f"{key}{AGAIN}1"

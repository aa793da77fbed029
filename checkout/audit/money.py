"""Money: what must be true of orders and payments, told from our rows and from the provider's own books.

* **I3** an order is sold exactly when money of it is with us, in the end: what is over has no money and nothing
  authorised, what is paid has its price, and owns its reservation's seats.
* **I4** of one order at most one payment has money; a provider has no payment twice under one name of ours.
* **I11** our books add up: each payment's movements are what its attempt says, and what its provider says.
* **I12** nothing stands open once everything had time to be resolved.

Nothing here shares a line with what it checks. What compares with the provider needs quiescence (`settled`). Not here:
how rows are read (``audit.checking``), seats (``audit.invariants``).
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from checkout.audit.invariants import Violation

SOLD = frozenset({"review", "confirmed", "paid"})
MOVING = frozenset({"open", "confirmed"})
"""States that an order leaves by itself; a review waits for a person, until it lapses."""
LOOKED_MS = 600_000
"""So long after that moment something has followed."""


@dataclass(frozen=True, slots=True)
class PaidOrder:
    """A row of ``orders``, and the state of its reservation."""

    id: str
    state: str
    amount_minor: int
    currency: str
    paid_by: int
    reservation_state: str | None
    until_ms: int = 0
    """Until then it may be paid."""
    lapses_ms: int | None = None
    """When its review lapses, if there is one."""


@dataclass(frozen=True, slots=True)
class Try:
    """A row of ``order_attempts``; ``is_open``: something is left to be done with it."""

    order: str
    number: int
    provider: str
    ref: str
    captured_minor: int
    refunded_minor: int
    disputed_minor: int
    is_open: bool

    @property
    def net_minor(self) -> int:
        """Count what is with us."""
        return self.captured_minor - self.refunded_minor - self.disputed_minor


@dataclass(frozen=True, slots=True)
class Theirs:
    """A payment in the provider's books. ``is_held``: it has, or may still get, money that it has not taken."""

    provider: str
    ref: str
    order: str
    captured_minor: int
    refunded_minor: int
    disputed_minor: int
    is_held: bool

    @property
    def net_minor(self) -> int:
        """Count what is with us, as they say."""
        return self.captured_minor - self.refunded_minor - self.disputed_minor


@dataclass(frozen=True, slots=True)
class MoneyBooks:
    """What SQL says of an event's money."""

    orders: tuple[PaidOrder, ...] = ()
    tries: tuple[Try, ...] = ()
    moved: tuple[tuple[str, str, int], ...] = ()
    """(provider, ref, amount) of each movement."""
    refunds_wanted: tuple[str, ...] = ()
    """Orders for which a refund waits."""


def money_is_right(
    books: MoneyBooks, theirs: Sequence[Theirs] | None, *, settled: bool, now_ms: int | None = None
) -> list[Violation]:
    """Put all of it to what was read; `theirs` None: the provider was not asked.

    An order that may still be paid at `now_ms` may be open, with what its tries hold; None: none may.
    """
    found = _adds_up(books)
    found += _one_payment(books)
    if settled:
        early = {order.id for order in waiting(books, now_ms)}
        found += _sold_is_paid(books)
        found += _nothing_open(books, early)
        found += _reviews_end(books, now_ms)
        if theirs is not None:
            found += _books_agree(books, theirs, early)
    return found


def waiting(books: MoneyBooks, now_ms: int | None) -> list[PaidOrder]:
    """Return the orders that may still be paid; None: nobody waits any more."""
    if now_ms is None:
        return []
    return [order for order in books.orders if order.state == "open" and now_ms < order.until_ms]


def _nets(books: MoneyBooks) -> dict[str, int]:
    nets: dict[str, int] = defaultdict(int)
    for one in books.tries:
        nets[one.order] += one.net_minor
    return nets


def _sold_is_paid(books: MoneyBooks) -> list[Violation]:
    found, nets = [], _nets(books)
    disputed = {one.order for one in books.tries if one.disputed_minor}
    for order in books.orders:
        net = nets[order.id]
        is_sold = order.state in SOLD
        if order.state == "paid" and not 0 < net <= order.amount_minor and order.id not in disputed:
            found.append(Violation("I3", f"order {order.id} is paid, and {net} of it are there", (order,)))
        if not is_sold and net:
            found.append(
                Violation("I3", f"order {order.id} is {order.state}, and {net} of it are with us", (order,))
            )
        if is_sold is not (order.reservation_state == "sold"):
            sentence = f"order {order.id} is {order.state}, and its reservation is {order.reservation_state}"
            found.append(Violation("I3", sentence, (order,)))
    known = {order.id for order in books.orders}
    found += [
        Violation("I3", f"there is money of order {order}, which there is not", (order, net))
        for order, net in nets.items()
        if net and order not in known
    ]
    return found


def _one_payment(books: MoneyBooks) -> list[Violation]:
    having: dict[str, list[int]] = defaultdict(list)
    for one in books.tries:
        if one.net_minor > 0 and not one.is_open:
            having[one.order].append(one.number)
    return [
        Violation("I4", f"order {order} is paid {len(numbers)} times", (order, *numbers))
        for order, numbers in having.items()
        if len(numbers) > 1
    ]


def _adds_up(books: MoneyBooks) -> list[Violation]:
    moved: dict[tuple[str, str], int] = defaultdict(int)
    for provider, ref, amount in books.moved:
        moved[provider, ref] += amount
    found = []
    for one in books.tries:
        sum_minor = moved.pop((one.provider, one.ref), 0)
        if one.ref and sum_minor != one.net_minor:
            sentence = f"the movements of payment {one.ref} come to {sum_minor}, its row says {one.net_minor}"
            found.append(Violation("I11", sentence, (one,)))
    found += [
        Violation("I11", f"{amount} moved for payment {ref}, which there is not", (provider, ref))
        for (provider, ref), amount in moved.items()
        if amount
    ]
    return found


def _nothing_open(books: MoneyBooks, early: Container[str]) -> list[Violation]:
    found = [
        Violation("I12", f"order {order.id} is still {order.state}", (order,))
        for order in books.orders
        if order.state in MOVING and order.id not in early
    ]
    found += [
        Violation("I12", f"attempt {one.number} of order {one.order} is not settled", (one,))
        for one in books.tries
        if one.is_open and one.order not in early and not _is_reviewed(books.orders, one)
    ]
    found += [
        Violation("I12", f"a refund of order {order} waits", (order,)) for order in books.refunds_wanted
    ]
    return found


def _reviews_end(books: MoneyBooks, now_ms: int | None) -> list[Violation]:
    """Find reviews that have lapsed and that nothing has followed for; `now_ms` None: nobody looks at the time."""
    return [
        Violation("I12", f"the review of order {order.id} has lapsed, and nothing has followed", (order,))
        for order in books.orders
        if now_ms is not None
        and order.state == "review"
        and (order.lapses_ms is None or order.lapses_ms + LOOKED_MS <= now_ms)
    ]


def _is_reviewed(orders: Iterable[PaidOrder], one: Try) -> bool:
    return any(
        order.state == "review" and order.paid_by == one.number for order in orders if order.id == one.order
    )


def _books_agree(books: MoneyBooks, theirs: Sequence[Theirs], early: Container[str]) -> list[Violation]:
    """Compare with the provider; tries of `early` orders may hold money that nobody takes yet."""
    found = []
    ours = {(one.provider, one.ref): one for one in books.tries if one.ref}
    states = {order.id: order.state for order in books.orders}
    for one in theirs:
        known = ours.get((one.provider, one.ref))
        if known is None:
            if one.net_minor or one.is_held:
                found.append(
                    Violation("I11", f"we do not know payment {one.ref} of order {one.order}", (one,))
                )
            continue
        if known.net_minor != one.net_minor:
            sentence = f"payment {one.ref}: {known.net_minor} here, {one.net_minor} at the provider"
            found.append(Violation("I11", sentence, (known, one)))
        if one.is_held and states.get(known.order) not in SOLD and known.order not in early:
            sentence = (
                f"order {known.order} is {states.get(known.order)}, and payment {one.ref} still holds money"
            )
            found.append(Violation("I3", sentence, (known, one)))
    having = Counter((one.provider, one.ref) for one in theirs if one.net_minor > 0 or one.is_held)
    found += [
        Violation("I4", f"payment {ref} is at the provider {times} times", (provider, ref))
        for (provider, ref), times in having.items()
        if times > 1
    ]
    there = {(one.provider, one.ref) for one in theirs}
    found += [
        Violation("I11", f"the provider does not know payment {ref}", (one,))
        for (provider, ref), one in ours.items()
        if (provider, ref) not in there and one.net_minor
    ]
    return found

"""Checks of what was paid: one order, one payment, the seats that were paid for, and books that are right.

What buyers were told is held against the provider's books and against the shop's own, once the shop had time to settle
what was left behind (``Plan.settle_s``). Where a buyer never heard how a try ended, paid or not are both right, twice
is not. Judged only where the shop takes money; without books only what was told can be compared.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

from gateway.crowd.observed import Observed
from gateway.crowd.paying import Last, Purchase
from gateway.crowd.seats.booked import Booked, Payment
from gateway.crowd.verdict import State, Verdict, verdict

NO_BOOKS = "the books could not be read: name the installation's folder (--books)"
NO_LEDGER = "the provider's books could not be read: name its address (--sandbox-url)"


def order_once(observed: Observed) -> Verdict:
    """A reservation is one order, a key one try, and what was told in the end stays so."""
    purchases = observed.shop.purchases
    found = [f"fan {one.fan}: {fault}" for one in purchases for fault in one.faults]
    orders = Counter(one.order for one in purchases if one.order)
    found += [
        f"order {order} was made of {count} reservations" for order, count in orders.items() if count > 1
    ]
    asked = sum(one.asked for one in purchases)
    return verdict(
        "order-once",
        "A reservation is one order, and what was told of it in the end stays so.",
        found,
        f"{len(orders):,} orders, {asked:,} requests to pay",
        seen=len(orders),
    )


def charged_once(observed: Observed) -> Verdict:
    """Who was told "paid" has paid the price, once; who was told otherwise has paid nothing."""
    name, promise = "charged-once", "Who is told that it is paid has paid the price once, all others nothing."
    purchases, booked = observed.shop.purchases, observed.shop.booked
    if purchases and (booked is None or booked.payments is None):
        return Verdict(name, promise, State.NOT_JUDGED, NO_BOOKS if booked is None else NO_LEDGER)
    payments: dict[str, list[Payment]] = defaultdict(list)
    for payment in (booked.payments if booked else None) or ():
        payments[payment.order].append(payment)
    may_hold = booked.waiting | booked.reviewed if booked else frozenset()
    found = [
        f"fan {one.fan}, order {one.order}: {fault}"
        for one in purchases
        if one.order
        for fault in _charged(one, payments[one.order], may_hold=one.order in may_hold)
    ]
    told = Counter(one.last for one in purchases)
    detail = f"{told[Last.PAID]:,} told paid, {told[Last.FREE]:,} told not, {told[Last.OPEN]:,} did not hear the end"
    if told[Last.REVIEW]:
        detail += f", {told[Last.REVIEW]:,} are looked at by a person"
    return verdict(name, promise, found, detail, seen=len(purchases))


def _charged(one: Purchase, payments: Sequence[Payment], *, may_hold: bool) -> Iterator[str]:
    taken = [payment.net_minor for payment in payments if payment.net_minor]
    if len(taken) > 1:
        yield f"charged {len(taken)} times: {taken} (minor units)"
    is_open = one.may_be_paid or one.last is Last.REVIEW
    sums = {0, one.total_minor} if is_open else {one.total_minor if one.last is Last.PAID else 0}
    if sum(taken) not in sums:
        yield f"told {one.last}, charged {sum(taken)} of {one.total_minor} (minor units)"
    held = sum(payment.is_held for payment in payments)
    if held and not may_hold:
        yield f"told {one.last}, and {held} payments still hold money"


def paid_is_owned(observed: Observed) -> Verdict:
    """Who was told "paid" has exactly the seats that were reserved; who was told otherwise has none of them."""
    name, promise = "paid-is-owned", "Who is told that it is paid has the seats, and nobody else has them."
    purchases, booked = observed.shop.purchases, observed.shop.booked
    if booked is None:
        return Verdict(name, promise, State.NOT_JUDGED, NO_BOOKS if purchases else "")
    found: list[str] = []
    owners: dict[tuple[str, int], list[str]] = defaultdict(list)
    for one in purchases:
        seats = booked.owned.get(one.order, ())
        for seat in seats:
            owners[one.event, seat].append(one.order)
        is_owner = one.last is Last.PAID or one.order in booked.reviewed
        if is_owner and set(seats) != set(one.seats):
            found.append(f"fan {one.fan} has paid for the seats {list(one.seats)} and has {list(seats)}")
        if one.last not in {Last.PAID, Last.REVIEW} and not one.may_be_paid and seats:
            found.append(f"fan {one.fan} was told {one.last}, and has the seats {list(seats)}")
    found += [
        f"seat {seat} of {event} is sold with {' and '.join(orders)}"
        for (event, seat), orders in owners.items()
        if len(orders) > 1
    ]
    paid = sum(one.last is Last.PAID for one in purchases)
    return verdict(name, promise, found, f"{paid:,} orders, {len(owners):,} seats sold", seen=len(purchases))


def books_right(observed: Observed) -> Verdict:
    """Every invariant holds over SQL and its log, the store and the provider's books, and no order stands open."""
    name, promise = "books-right", "The shop's books are right, and agree with the provider's."
    booked = observed.shop.booked
    if booked is None:
        return Verdict(name, promise, State.NOT_JUDGED, NO_BOOKS if observed.shop.purchases else "")
    detail = ", ".join(f"{count:,} {what}" for what, count in booked.looked_at.items())
    if booked.payments is None:
        detail += f"; {NO_LEDGER}"
    if booked.reviewed:
        detail += f"; {len(booked.reviewed):,} orders wait for a person"
    if booked.waiting:
        detail += f"; {len(booked.waiting):,} orders may still be paid"
    return verdict(name, promise, booked.violations, detail, seen=sum(booked.looked_at.values()))


PAID_CHECKS: Sequence[Callable[[Observed], Verdict]] = (order_once, charged_once, paid_is_owned, books_right)


def judge_paid(observed: Observed) -> list[Verdict]:
    """Run the checks of what was paid; none where the shop takes no money."""
    return [check(observed) for check in PAID_CHECKS] if observed.shop.takes_money else []


def is_settled(observed: Observed, booked: Booked) -> bool:
    """True when nothing is left that could still become right by itself."""
    return not booked.violations and all(check.state is not State.RED for check in judge_paid(observed))

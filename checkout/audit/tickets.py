"""Tickets: what must be true of them, told from our rows: who has paid has a ticket, and nobody else has one.

* **I5** a ticket that counts belongs to a seat of a paid order; a seat has one at most. Once everything had time, each
  seat of a paid order has one, unless the organiser has withdrawn it.

Nothing here shares a line with what it checks. Not here: how rows are read (``audit.checking``).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from checkout.audit.invariants import Violation

COUNTING = frozenset({"valid", "used"})


@dataclass(frozen=True, slots=True)
class KeptTicket:
    """A row of ``tickets``."""

    id: str
    order: str
    seat: int
    issue: int
    state: str
    why: str


@dataclass(frozen=True, slots=True)
class TicketBooks:
    """What SQL says of an event's tickets: the seats of each paid order, and every ticket."""

    paid: Mapping[str, frozenset[int]]
    tickets: Sequence[KeptTicket]


def entitled(books: TicketBooks, *, settled: bool) -> list[Violation]:
    """I5: put to what was read."""
    found = []
    counting: dict[int, list[KeptTicket]] = defaultdict(list)
    newest: dict[tuple[str, int], KeptTicket] = {}
    for one in books.tickets:
        if one.state in COUNTING:
            counting[one.seat].append(one)
        last = newest.get((one.order, one.seat))
        if last is None or last.issue < one.issue:
            newest[one.order, one.seat] = one
    for seat, tickets in sorted(counting.items()):
        if len(tickets) > 1:
            found.append(
                Violation("I5", f"seat {seat} has {len(tickets)} tickets that count", tuple(tickets))
            )
        found += [
            Violation("I5", f"ticket {one.id} counts, and order {one.order} has not paid seat {seat}", (one,))
            for one in tickets
            if seat not in books.paid.get(one.order, frozenset())
        ]
    if settled:
        for order, seats in sorted(books.paid.items()):
            for seat in sorted(seats):
                own = newest.get((order, seat))
                if own is None or (own.state not in COUNTING and own.why != "withdrawn"):
                    found.append(
                        Violation(
                            "I5", f"order {order} has paid seat {seat} and has no ticket for it", (own,)
                        )
                    )
    return found

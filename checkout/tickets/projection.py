"""Tickets projection: what is written into the log of a sale about its tickets, and what its entries come to.

An order's entries tell of its tickets as well, in the same body, because they change in the same transaction: they are
made when it is paid and revoked when it is over. What happens to a ticket afterwards are entries of its own kinds::

    tickets-made  ticket-given  ticket-reissued  ticket-withdrawn  ticket-used

Each body tells the fields that have changed, by the ticket's id: ``{"tickets": {"3f…": {"state": "revoked", …}}}``.
Pure. Not here: the statements (``tickets.rows``).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from checkout.eventlog.entries import Body, Draft, Entry
from checkout.eventlog.projecting import Projected, Projection, Rows
from checkout.tables import TICKETS
from checkout.tickets.ticket import Ticket

OWN = ("tickets-made", "ticket-given", "ticket-reissued", "ticket-withdrawn", "ticket-used")
MADE, GIVEN, REISSUED, WITHDRAWN, USED = OWN
OF_ORDERS = ("order-paid", "order-closed")
NAME = "tickets"

Change = tuple[Ticket | None, Ticket]
"""A ticket before (None: there was none) and after."""

State = dict[str, dict[str, Any]]


def ticket_row(ticket: Ticket) -> dict[str, Any]:
    """Write a ticket as its row."""
    return {
        "id": ticket.id,
        "event_id": ticket.event,
        "order_id": ticket.order,
        "reservation_id": ticket.reservation,
        "seat": ticket.seat,
        "issue": ticket.issue,
        "holder": ticket.holder,
        "state": ticket.state.value,
        "why": ticket.why.value,
        "created_ms": ticket.created_ms,
        "used_ms": ticket.used_ms,
        "changed_ms": ticket.changed_ms,
        "version": ticket.version,
    }


def told(changes: Iterable[Change]) -> Mapping[str, Mapping[str, Any]]:
    """Tell what has changed, by the ticket's id."""
    body: dict[str, Mapping[str, Any]] = {}
    for was, now in changes:
        before, after = {} if was is None else ticket_row(was), ticket_row(now)
        body[now.id] = {name: value for name, value in after.items() if before.get(name) != value}
    return body


def draft(kind: str, changes: Iterable[Change], at_ms: int) -> Draft:
    """Write an entry of changes to tickets of one sale."""
    changes = list(changes)
    now = changes[0][1]
    return Draft(now.event, now.reservation, kind, {"tickets": told(changes)}, at_ms)


def _merge(was: State | None, _entry: Entry, body: Body) -> State:
    state: State = {id_: dict(row) for id_, row in (was or {}).items()}
    for id_, fields in body.get("tickets", {}).items():
        state.setdefault(id_, {}).update(fields)
    return state


def rows_of(state: State) -> Rows:
    """Write all rows."""
    return {TICKETS.name: list(state.values())}


TICKETS_LOG = Projection(
    NAME, dict.fromkeys((*OF_ORDERS, *OWN), _merge), (Projected(TICKETS, "reservation_id"),), rows_of
)

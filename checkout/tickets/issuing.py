"""Issuing: tickets are made with the sale that they belong to, and revoked with what ends it.

Inside of the caller's transaction, so a ticket is never there without its money, and money never without its ticket
(I5). Who calls tells the log: an order of its own change and of these in one entry (``orders.store``). What is done
to a single ticket (``reissue``, ``withdraw``, ``use``) tells the log itself. Not here: who may (``tickets.service``).
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from checkout.eventlog.store import append, heads
from checkout.tickets.projection import GIVEN, MADE, REISSUED, USED, WITHDRAWN, Change, draft
from checkout.tickets.rows import add_tickets, change_ticket, seats_of, tickets_of
from checkout.tickets.ticket import Ticket, TicketState, Why, ticket_id


def issue(connection: Connection, event: str, order: str, reservation: str, at_ms: int) -> list[Change]:
    """Make a ticket for each seat of a sale. Raises ``IntegrityError`` where there is one already."""
    made = [
        Ticket(
            id=ticket_id(order, seat, 1),
            event=event,
            order=order,
            reservation=reservation,
            seat=seat,
            issue=1,
            created_ms=at_ms,
            changed_ms=at_ms,
        )
        for seat in seats_of(connection, reservation)
    ]
    if made:
        add_tickets(connection, made)
    return [(None, ticket) for ticket in made]


def revoke_all(connection: Connection, order: str, at_ms: int, why: Why = Why.RETURNED) -> list[Change]:
    """Revoke every ticket of an order that counts. Raises ``Stale``."""
    changes: list[Change] = []
    for was in tickets_of(connection, order):
        if was.state is not TicketState.REVOKED:
            now = was.changed(at_ms, state=TicketState.REVOKED, why=why)
            change_ticket(connection, was, now)
            changes.append((was, now))
    return changes


def make_up(connection: Connection, event: str, order: str, reservation: str, at_ms: int) -> int:
    """Make the tickets of a paid order that has none, and tell the log; returns how many."""
    changes = [] if tickets_of(connection, order) else issue(connection, event, order, reservation, at_ms)
    if changes:
        _tell(connection, MADE, changes, at_ms)
    return len(changes)


def reissue(
    connection: Connection, was: Ticket, at_ms: int, *, why: Why, holder: str | None = None
) -> Ticket:
    """Make another ticket in place of one that counts. Raises ``Stale``."""
    gone = was.changed(at_ms, state=TicketState.REVOKED, why=why)
    change_ticket(connection, was, gone)
    made = replace(
        was,
        id=ticket_id(was.order, was.seat, was.issue + 1),
        issue=was.issue + 1,
        created_ms=at_ms,
        changed_ms=at_ms,
        holder=was.holder if holder is None else holder,
        version=1,
    )
    add_tickets(connection, [made])
    _tell(connection, GIVEN if why is Why.TRANSFERRED else REISSUED, [(was, gone), (None, made)], at_ms)
    return made


def withdraw(connection: Connection, was: Ticket, at_ms: int) -> Ticket:
    """Revoke one ticket: its seat stays sold, and nobody is let in. Raises ``Stale``."""
    now = was.changed(at_ms, state=TicketState.REVOKED, why=Why.WITHDRAWN)
    change_ticket(connection, was, now)
    _tell(connection, WITHDRAWN, [(was, now)], at_ms)
    return now


def use(connection: Connection, was: Ticket, used_ms: int, at_ms: int) -> Ticket:
    """Let somebody in: `used_ms` by the scanner's clock, `at_ms` when we hear of it. Raises ``Stale``."""
    now = was.changed(at_ms, state=TicketState.USED, used_ms=used_ms)
    change_ticket(connection, was, now)
    _tell(connection, USED, [(was, now)], at_ms)
    return now


def _tell(connection: Connection, kind: str, changes: Sequence[Change], at_ms: int) -> None:
    entry = draft(kind, changes, at_ms)
    append(connection, [entry], heads(connection, [entry.stream]))

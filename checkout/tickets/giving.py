"""Giving: a ticket is offered to somebody else, and taken once.

The offer is a row of its own (``ticket_transfers``), one for each ticket. Taking it revokes the ticket and makes
another one in the same transaction, so the code that the giver may have kept opens nothing. What was used, revoked or
is blocked can be neither offered nor taken. Every function works inside of the caller's transaction. Not here: the link
that an offer is taken by (``tickets.links``).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.tables import TRANSFERS
from checkout.tickets.issuing import reissue
from checkout.tickets.rows import Stale, blocked, find_ticket
from checkout.tickets.ticket import Ticket, TicketState, Why


class OfferState(StrEnum):
    """What became of an offer."""

    OFFERED = "offered"
    TAKEN = "taken"
    KEPT = "kept"
    """Taken back by who offered it."""


_OF = sa.select(TRANSFERS).where(TRANSFERS.c.ticket_id.in_(sa.bindparam("tickets", expanding=True)))
_NEW = sa.insert(TRANSFERS)
_AGAIN = (
    sa.update(TRANSFERS)
    .where(TRANSFERS.c.ticket_id == sa.bindparam("own"), TRANSFERS.c.state == OfferState.KEPT.value)
    .values(
        state="offered",
        created_ms=sa.bindparam("now"),
        until_ms=sa.bindparam("until"),
        changed_ms=sa.bindparam("now"),
    )
)
_END = (
    sa.update(TRANSFERS)
    .where(
        TRANSFERS.c.ticket_id == sa.bindparam("own"),
        TRANSFERS.c.state == OfferState.OFFERED.value,
        TRANSFERS.c.created_ms == sa.bindparam("offered"),
    )
    .values(state=sa.bindparam("to_state"), became=sa.bindparam("to_became"), changed_ms=sa.bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A ticket that somebody may take, until a time; ``became``: the ticket that was made of it."""

    ticket: str
    state: OfferState
    offered_ms: int
    until_ms: int
    became: str = ""

    def is_open(self, now_ms: int) -> bool:
        """Tell whether it can be taken."""
        return self.state is OfferState.OFFERED and now_ms < self.until_ms


class NotGiven(StrEnum):
    """Why a ticket is not given away."""

    UNKNOWN = "unknown"
    NOT_VALID = "not-valid"
    """It was used or revoked, its payment is disputed, or the event has begun."""
    OVER = "over"
    """The offer was taken, taken back, or its time is over."""


def offers_of(connection: Connection, tickets: list[str]) -> dict[str, Offer]:
    """Return what is known of offers, by the ticket."""
    if not tickets:
        return {}
    return {row.ticket_id: _read(row) for row in connection.execute(_OF, {"tickets": tickets})}


def offer(connection: Connection, ticket: Ticket, now_ms: int, until_ms: int) -> Offer | NotGiven:
    """Offer a ticket; one that is offered already stays as it is. Raises ``IntegrityError`` in a race."""
    if not _can_be_given(connection, ticket, now_ms, until_ms):
        return NotGiven.NOT_VALID
    known = offers_of(connection, [ticket.id]).get(ticket.id)
    if known is not None and known.is_open(now_ms):
        return known
    if known is None:
        connection.execute(
            _NEW,
            {
                "ticket_id": ticket.id, "event_id": ticket.event, "state": OfferState.OFFERED.value, "became": "",
                "created_ms": now_ms, "until_ms": until_ms, "changed_ms": now_ms,
            },
        )  # fmt: skip
    elif connection.execute(_AGAIN, {"own": ticket.id, "now": now_ms, "until": until_ms}).rowcount != 1:
        return NotGiven.OVER
    return Offer(ticket.id, OfferState.OFFERED, now_ms, until_ms)


def keep(connection: Connection, ticket: str, now_ms: int) -> bool:
    """Take an offer back; False when it was taken, or there is none."""
    known = offers_of(connection, [ticket]).get(ticket)
    return known is not None and _end(connection, known, OfferState.KEPT, "", now_ms)


def take(
    connection: Connection, event: str, ticket: str, holder: str, now_ms: int
) -> tuple[Ticket, Ticket] | NotGiven:
    """Give the ticket to who takes it; returns it as it was, and the new one. Raises ``Stale``."""
    was = find_ticket(connection, event, ticket)
    known = offers_of(connection, [ticket]).get(ticket)
    if was is None or known is None:
        return NotGiven.UNKNOWN
    if not known.is_open(now_ms):
        return NotGiven.OVER
    if not _can_be_given(connection, was, now_ms, known.until_ms):
        return NotGiven.NOT_VALID
    made = reissue(connection, was, now_ms, why=Why.TRANSFERRED, holder=holder)
    if not _end(connection, known, OfferState.TAKEN, made.id, now_ms):
        raise Stale
    return was, made


def _can_be_given(connection: Connection, ticket: Ticket, now_ms: int, until_ms: int) -> bool:
    return (
        ticket.state is TicketState.VALID
        and now_ms < until_ms
        and ticket.order not in blocked(connection, [ticket.order])
    )


def _end(connection: Connection, offer_: Offer, state: OfferState, became: str, now_ms: int) -> bool:
    bound = {
        "own": offer_.ticket, "offered": offer_.offered_ms, "to_state": state.value, "to_became": became,
        "now": now_ms,
    }  # fmt: skip
    return connection.execute(_END, bound).rowcount == 1


def _read(row: Any) -> Offer:
    return Offer(row.ticket_id, OfferState(row.state), row.created_ms, row.until_ms, row.became)

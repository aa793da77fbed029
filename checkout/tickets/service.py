"""Tickets service: shows tickets to who may see them, and does to one what its holder or the organiser wants.

Whether somebody may see tickets was decided before (a link of ours, or a buyer's own order). A change that another one
overtakes is looked at anew. Not here: making tickets when an order is paid (``tickets.issuing``, called by
``orders.store``), letting people in (``tickets.scanning``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from checkout.grouping import Grouping
from checkout.holds.places import Place, Places
from checkout.tickets.giving import NotGiven, Offer, keep, offer, offers_of, take
from checkout.tickets.issuing import reissue, withdraw
from checkout.tickets.rows import Line, Stale, blocked, buyer_of, find_ticket, lines_of, numbered, tickets_of
from checkout.tickets.ticket import Ticket, TicketState, Why, is_ticket_id, read_number
from kernel.clock import Clock
from kernel.errors import Unavailable

Result = TypeVar("Result")

RACES = 8
"""Times that a change is tried again because somebody else was faster."""

AWAY = "The shop is busy. Please try again in a moment."


class Sign(Protocol):
    """What writes a ticket's code (``tickets.keys``)."""

    def code(self, ticket: Ticket) -> str:
        """Write it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A ticket for who may see it. ``code``: '' where it opens nothing, so that nobody stands at a door with it."""

    ticket: Ticket
    line: Line
    is_blocked: bool
    offer: Offer | None
    code: str

    @property
    def counts(self) -> bool:
        """Tell whether it lets somebody in, or has."""
        return self.ticket.state is not TicketState.REVOKED and not self.is_blocked


class Tickets:
    """Use cases of tickets."""

    def __init__(self, places: Places, groups: Callable[[Place], Grouping], keys: Sign, clock: Clock) -> None:
        """`groups`: who writes at a place."""
        self._places = places
        self._groups = groups
        self._keys = keys
        self._clock = clock

    # ----------------------------------------------------------------------------- looking

    async def of_order(self, event: str, order: str) -> list[Shown]:
        """Return the tickets that the buyer of an order has, by seat; what was made anew is left out."""

        def read(connection: Connection) -> list[Shown]:
            newest = {one.seat: one for one in tickets_of(connection, order) if one.event == event}
            return self._shown(connection, [one for one in newest.values() if not one.holder])

        return await self._group(event).read(read)

    async def of_buyer(self, event: str, order: str, buyer: str) -> list[Shown] | None:
        """Return the same to the buyer; None when there is no such order of theirs."""
        owner = await self._group(event).read(lambda connection: buyer_of(connection, event, order))
        return await self.of_order(event, order) if owner == buyer else None

    async def of_name(self, event: str, name: str) -> list[Shown]:
        """Return what a link names: an order's tickets, or one."""
        if not is_ticket_id(name):
            return await self.of_order(event, name)
        return await self._group(event).read(
            lambda connection: self._shown(connection, _some(find_ticket(connection, event, name)))
        )

    async def find(self, event: str, text: str) -> list[Shown]:
        """Find tickets by id or by the number that people read to each other."""
        number = read_number(text)
        if number is not None:
            return await self._group(event).read(
                lambda connection: self._shown(connection, numbered(connection, event, number))
            )
        return await self.of_name(event, text) if is_ticket_id(text) else []

    async def all_of_order(self, event: str, order: str) -> list[Shown]:
        """Return every ticket that was ever made of an order."""
        return await self._group(event).read(
            lambda connection: self._shown(
                connection, [one for one in tickets_of(connection, order) if one.event == event]
            )
        )

    # ----------------------------------------------------------------------------- giving

    async def offer(self, event: str, ticket: str, until_ms: int) -> Offer | NotGiven:
        """Offer a ticket to whoever gets the gift's link."""

        def work(connection: Connection) -> Offer | NotGiven:
            found = find_ticket(connection, event, ticket)
            if found is None:
                return NotGiven.UNKNOWN
            return offer(connection, found, self._clock.now_ms(), until_ms)

        return await self._changed(event, work)

    async def keep(self, event: str, ticket: str) -> bool:
        """Take an offer back; False when it was taken, or there is none."""
        return await self._changed(event, lambda connection: keep(connection, ticket, self._clock.now_ms()))

    async def offered(self, event: str, ticket: str) -> Shown | None:
        """Return a ticket that may be on offer."""
        shown = await self.of_name(event, ticket) if is_ticket_id(ticket) else []
        return shown[0] if shown and shown[0].offer is not None else None

    async def take(self, event: str, ticket: str, holder: str) -> Ticket | NotGiven:
        """Give a ticket to who takes it; returns the one that was made of it."""

        def work(connection: Connection) -> Ticket | NotGiven:
            taken = take(connection, event, ticket, holder, self._clock.now_ms())
            return taken if isinstance(taken, NotGiven) else taken[1]

        return await self._changed(event, work)

    # -------------------------------------------------------------------------- organiser

    async def reissue(self, event: str, ticket: str) -> Ticket | None:
        """Make another ticket in place of one that counts; None when it does not."""

        def work(connection: Connection) -> Ticket | None:
            was = find_ticket(connection, event, ticket)
            if was is None or was.state is not TicketState.VALID:
                return None
            return reissue(connection, was, self._clock.now_ms(), why=Why.REISSUED)

        return await self._changed(event, work)

    async def withdraw(self, event: str, ticket: str) -> Ticket | None:
        """Revoke one ticket, its seat stays sold; None when it does not count any more."""

        def work(connection: Connection) -> Ticket | None:
            was = find_ticket(connection, event, ticket)
            if was is None or was.state is TicketState.REVOKED:
                return None
            return withdraw(connection, was, self._clock.now_ms())

        return await self._changed(event, work)

    # ---------------------------------------------------------------------------- the parts

    async def _changed(self, event: str, work: Callable[[Connection], Result]) -> Result:
        for _ in range(RACES):
            try:
                return await self._group(event).write(work)
            except (Stale, IntegrityError):
                continue
        raise Unavailable("shop-away", AWAY)

    def _shown(self, connection: Connection, tickets: Sequence[Ticket]) -> list[Shown]:
        stopped = blocked(connection, sorted({one.order for one in tickets}))
        offers = offers_of(connection, [one.id for one in tickets])
        lines = lines_of(connection, sorted({one.reservation for one in tickets}))
        return [
            Shown(
                one,
                lines[one.reservation, one.seat],
                one.order in stopped,
                offers.get(one.id),
                self._keys.code(one)
                if one.state is not TicketState.REVOKED and one.order not in stopped
                else "",
            )
            for one in tickets
        ]

    def _group(self, event: str) -> Grouping:
        return self._groups(self._places.of(event))


def _some(ticket: Ticket | None) -> list[Ticket]:
    return [] if ticket is None else [ticket]

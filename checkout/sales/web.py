"""Reservations web: the addresses of reservations below ``/api/events/{event}/``, as raw ASGI. Decides nothing.

``routes`` has a handler for each method and path; ``*`` stands for an id, which it gets after the event::

    POST   holds/*/reserve     201 the reservation     (a repeat too; the hold is the key, so no Idempotency-Key)
    GET    reservations/*      200 the reservation
    DELETE reservations/*      204                     (a repeat too)

A hold that has expired answers 410 even if nobody has taken its seats: whoever still wants them holds them again.
A refusal is raised as ``Refused``; whoever routes turns it into a problem (``kernel.problems``). Who may call: a
buyer (``buyer_of``), and no page of another site in a buyer's name. ``refusal_of`` is for the pages without scripts as
well. Not here: what is decided (``sales.service``).
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, assert_never

import orjson

from checkout.catalogue.selling import Sale
from checkout.holds.answers import Gone, Limit, NotYours
from checkout.metrics import Metrics
from checkout.requests import same_site
from checkout.sales.reservation import Lost
from checkout.sales.service import GivenBack, ReservationPaper, ReserveOutcome, Reserving, Told
from kernel.asgi import Receive, Scope, Send, respond
from kernel.errors import Refused

_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_EMPTY = [(b"cache-control", b"no-store")]

Refusal = Lost | Limit | Gone | NotYours | Sale


class Handler(Protocol):
    """Answers a request for an event; ``names`` are what the path names below it."""

    def __call__(
        self, scope: Scope, receive: Receive, send: Send, event: str, *names: str
    ) -> Awaitable[None]:
        """Answer, or raise ``Refused`` or ``Unavailable``."""


class ReservationsWeb:
    """Handlers of reservations."""

    def __init__(self, reserving: Reserving, buyer_of: Callable[[Scope], str], metrics: Metrics) -> None:
        """`buyer_of` tells who asks; it may raise ``Refused``."""
        self._reserving = reserving
        self._buyer_of = buyer_of
        self.routes: dict[tuple[str, str], Handler] = metrics.watched(
            {
                ("POST", "holds/*/reserve"): self.reserve,
                ("GET", "reservations/*"): self.find,
                ("DELETE", "reservations/*"): self.give_back,
            }
        )

    async def reserve(self, scope: Scope, receive: Receive, send: Send, event: str, hold: str) -> None:
        """Turn a hold into a reservation."""
        del receive
        same_site(scope)
        outcome: ReserveOutcome = await self._reserving.reserve(event, self._buyer_of(scope), hold)
        if not isinstance(outcome, Told):
            raise refusal_of(outcome)
        await _show(send, 201, outcome.paper)

    async def find(self, scope: Scope, receive: Receive, send: Send, event: str, reservation: str) -> None:
        """Tell a reservation."""
        del receive
        paper = await self._reserving.find(event, self._buyer_of(scope), reservation)
        if paper is None:
            raise _unknown()
        await _show(send, 200, paper)

    async def give_back(
        self, scope: Scope, receive: Receive, send: Send, event: str, reservation: str
    ) -> None:
        """Take the seats of a reservation back."""
        del receive
        same_site(scope)
        given = await self._reserving.give_back(event, self._buyer_of(scope), reservation)
        match given:
            case GivenBack.DONE:
                await respond(send, 204, _EMPTY, b"")
            case GivenBack.SOLD:
                raise Refused(
                    "reservation-sold", "This reservation is paid for; it cannot be given back here.", 409
                )
            case GivenBack.UNKNOWN:
                raise _unknown()
            case _:
                assert_never(given)


def refusal_of(outcome: Refusal) -> Refused:
    """Say why a hold did not become a reservation."""
    match outcome:
        case Lost(seats):
            told = [{"seat": seat, "status": int(now)} for seat, now in seats]
            public = (
                "These seats are no longer to be had, so nothing was reserved. Please choose other seats."
            )
            return Refused("seats-lost", public, 409, taken=told)
        case Limit(has, most):
            return Refused("limit-reached", f"One person may have {most} seats.", 409, has=has, max=most)
        case Gone(state):
            public = (
                "These seats are not held for you any more: the time is over, or they were given back. Hold them again "
                "if they are still free."
            )
            return Refused("hold-over", public, 410, state=str(state))
        case NotYours():
            return Refused("hold-unknown", "You have no such hold.", 404)
        case Sale():
            return Refused("sale-cancelled", "The event is cancelled.", 403)
        case _:
            assert_never(outcome)


def _unknown() -> Refused:
    return Refused("reservation-unknown", "You have no such reservation.", 404)


async def _show(send: Send, status: int, paper: ReservationPaper) -> None:
    await respond(send, status, _JSON, orjson.dumps(paper))

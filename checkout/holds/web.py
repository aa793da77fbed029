"""Holds web: the addresses of holds below ``/api/events/{event}/``, as raw ASGI. Decides nothing.

``routes`` has a handler for each method and path; ``*`` stands for a hold's id, which it gets after the event::

    POST   holds               201 the hold        (Idempotency-Key; body: ``holds.wishes``)
    GET    holds/mine          200 {"holds": […], "now_ms"}
    POST   holds/*/extend      200 the hold        (once; a repeat tells the same end)
    DELETE holds/*             204                 (a repeat too)

A refusal is raised as ``Refused``; whoever routes turns it into a problem (``kernel.problems``). Some thousand holds a
second come this way, hence no framework here. Who may call: a buyer (``buyer_of``), and no page of another site in a
buyer's name. ``refusal_of`` is for the pages without scripts as well. Not here: reserving (``sales.web``).
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, assert_never

import orjson

from checkout.catalogue.selling import Sale, Standing
from checkout.holds.answers import Closed, Differs, Few, Gone, Limit, NotYours, Released, Taken
from checkout.holds.papers import HoldPaper
from checkout.holds.service import Holding
from checkout.holds.watching import UNWATCHED, Watch
from checkout.holds.wishes import (
    Ended,
    InFlight,
    NoAllocation,
    NoBlock,
    NoCurrency,
    NoSeats,
    Refusal,
    Told,
    read_wish,
)
from checkout.metrics import Metrics
from checkout.requests import idempotency_key, read_object, same_site
from kernel.asgi import Receive, Scope, Send, respond
from kernel.errors import Refused, Unavailable

_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_EMPTY = [(b"cache-control", b"no-store")]


class Handler(Protocol):
    """Answers a request for an event; ``names`` are what the path names below it."""

    def __call__(
        self, scope: Scope, receive: Receive, send: Send, event: str, *names: str
    ) -> Awaitable[None]:
        """Answer, or raise ``Refused`` or ``Unavailable``."""


class HoldsWeb:
    """Handlers of holds."""

    def __init__(
        self,
        holding: Holding,
        buyer_of: Callable[[Scope], str],
        metrics: Metrics,
        watch: Watch = UNWATCHED,
    ) -> None:
        """`buyer_of` tells who asks; it may raise ``Refused``. `watch` hears what is done with seats."""
        self._watch = watch
        self._holding = holding
        self._buyer_of = buyer_of
        self.routes: dict[tuple[str, str], Handler] = metrics.watched(
            {
                ("POST", "holds"): self.hold,
                ("GET", "holds/mine"): self.mine,
                ("POST", "holds/*/extend"): self.extend,
                ("DELETE", "holds/*"): self.release,
            }
        )

    async def hold(self, scope: Scope, receive: Receive, send: Send, event: str) -> None:
        """Put seats aside."""
        same_site(scope)
        buyer = self._buyer_of(scope)
        key = idempotency_key(scope)
        body, plain = await read_object(scope, receive)
        outcome = await self._holding.hold(event, buyer, key, read_wish(plain), body)
        if not isinstance(outcome, Told):
            raise refusal_of(outcome)
        if outcome.is_new:
            self._watch.picked(scope, event, buyer, outcome.paper["hold"], len(outcome.paper["seats"]))
        await _show(send, 201, outcome.paper)

    async def mine(self, scope: Scope, receive: Receive, send: Send, event: str) -> None:
        """Tell which holds a buyer has."""
        del receive
        mine = await self._holding.mine(event, self._buyer_of(scope))
        await _show(send, 200, {"holds": mine.papers, "now_ms": mine.now_ms})

    async def extend(self, scope: Scope, receive: Receive, send: Send, event: str, hold: str) -> None:
        """Give more time."""
        del receive
        same_site(scope)
        outcome = await self._holding.extend(event, self._buyer_of(scope), hold)
        if not isinstance(outcome, Told):
            raise refusal_of(outcome)
        await _show(send, 200, outcome.paper)

    async def release(self, scope: Scope, receive: Receive, send: Send, event: str, hold: str) -> None:
        """Take seats back."""
        del receive
        same_site(scope)
        buyer = self._buyer_of(scope)
        outcome = await self._holding.release(event, buyer, hold)
        if not isinstance(outcome, Released):
            raise refusal_of(outcome)
        self._watch.dropped(scope, event, buyer, hold)
        await respond(send, 204, _EMPTY, b"")


def refusal_of(outcome: Refusal | Ended) -> Refused | Unavailable:
    """Say why there is no hold, or why nothing can be done with it."""
    match outcome:
        case Sale():
            return _not_on_sale(outcome)
        case Closed():
            return Unavailable("sale-paused", "The sale is paused for a moment. Please try again.", 5)
        case Taken() | Limit() | Few() | NoBlock() | InFlight():
            return _not_now(outcome)
        case Differs():
            return Refused("key-reused", "This Idempotency-Key belongs to another request.", 422)
        case NoSeats(seats):
            return Refused("seats-unknown", "There are no such seats to choose.", 422, seats=list(seats))
        case NoAllocation():
            return Refused("allocation-unknown", "This code opens no seats.", 422)
        case NoCurrency(codes):
            public = "The event has no prices in this currency."
            return Refused("currency-unknown", public, 422, currencies=list(codes))
        case Gone(state):
            return Refused("hold-over", "These seats are not held for you any more.", 410, state=str(state))
        case NotYours():
            return Refused("hold-unknown", "You have no such hold.", 404)
        case _:
            assert_never(outcome)


def _not_now(outcome: Taken | Limit | Few | NoBlock | InFlight) -> Refused:
    match outcome:
        case Taken(seats):
            told = [{"seat": seat, "status": int(now)} for seat, now in seats]
            return Refused("seats-taken", "Not all of these seats are free any more.", 409, taken=told)
        case Limit(has, most):
            return Refused("limit-reached", f"One person may have {most} seats.", 409, has=has, max=most)
        case Few(left):
            return Refused("too-few-left", f"There are {left} left.", 409, left=left)
        case NoBlock():
            return Refused("no-such-block", "So many seats side by side are not free there.", 409)
        case InFlight():
            public = "The same request is being answered just now."
            return Refused("key-in-flight", public, 409, retry_after_s=1)
        case _:
            assert_never(outcome)


def _not_on_sale(now: Sale) -> Refused:
    match now.standing:
        case Standing.NOT_YET:
            return Refused("sale-not-open", "The sale has not begun yet.", 403, opens_ms=now.at_ms)
        case Standing.CANCELLED:
            return Refused("sale-cancelled", "The event is cancelled.", 403)
        case _:
            return Refused("sale-over", "The sale is over.", 403, closed_ms=now.at_ms)


async def _show(send: Send, status: int, plain: HoldPaper | dict[str, object]) -> None:
    await respond(send, status, _JSON, orjson.dumps(plain))

"""Waitlist web: the waitlist's HTTP addresses. Decides nothing.

``/api/events/{event}/waitlist``: POST ``{"count":2,"tier":null}`` joins (201; 200 for who stands there already), GET
tells how it stands, DELETE leaves (204). An entry that has an offer shows the hold: it is paid for like any other.
A page of another site may not act in a buyer's name (Sec-Fetch-Site, else Origin).
"""

import re
from collections.abc import Awaitable, Callable
from typing import TypeGuard

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.catalogue.selling import Standing
from checkout.halls.seats import TIERS
from checkout.requests import read_object, same_site
from checkout.waitlist.service import (
    JoinOutcome,
    Line,
    NoEvent,
    NoTier,
    NotOnSale,
    OtherWish,
    SeatsLeft,
    TooMany,
    Waitlist,
)
from checkout.waitlist.store import EntryState
from kernel.errors import Refused

BODY_MOST_BYTES = 1024
WANTED_MOST = 100
ADDRESS = "/api/events/{event}/waitlist"

_EVENT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MEMBERS = {"count", "tier"}


class WaitlistWeb:
    """Handlers of the waitlist."""

    def __init__(self, waitlist: Waitlist, buyer_of: Callable[[Request], Awaitable[str]]) -> None:
        """`buyer_of` tells who asks, as everywhere in the shop; it may raise ``Refused``."""
        self._waitlist = waitlist
        self._buyer_of = buyer_of
        self.routes = [
            Route(ADDRESS, self.join, methods=["POST"]),
            Route(ADDRESS, self.mine, methods=["GET"]),
            Route(ADDRESS, self.leave, methods=["DELETE"]),
        ]

    async def join(self, request: Request) -> Response:
        """Put the buyer at the end of the line."""
        event = _event(request)
        same_site(request.scope)
        wanted, tier = await _wish(request)
        line = joined(await self._waitlist.join(event, await self._buyer_of(request), wanted, tier))
        return _told(line, 201 if line.is_new else 200)

    async def mine(self, request: Request) -> Response:
        """Tell how it stands."""
        event = _event(request)
        line = await self._waitlist.mine(event, await self._buyer_of(request))
        if line is None:
            raise not_waiting()
        return _told(line, 200)

    async def leave(self, request: Request) -> Response:
        """Give the place up."""
        event = _event(request)
        same_site(request.scope)
        if not await self._waitlist.leave(event, await self._buyer_of(request)):
            raise not_waiting()
        return Response(status_code=204, headers={"cache-control": "no-store"})


def joined(outcome: JoinOutcome) -> Line:
    """Return the place in the line, or raise why there is none (``Refused``)."""
    match outcome:
        case Line():
            return outcome
        case NoEvent():
            raise Refused("event-unknown", "There is no such event.", 404)
        case NotOnSale(Standing.NOT_YET, at_ms):
            raise Refused("sale-not-open", "The sale has not begun yet.", 403, opens_ms=at_ms)
        case NotOnSale(_, at_ms):
            raise Refused("sale-over", "The sale is over.", 403, closed_ms=at_ms)
        case NoTier():
            raise Refused("wish-invalid", "The event has no such price category.", 422)
        case SeatsLeft(free):
            raise Refused("not-sold-out", "There are seats left; choose one.", 409, free=free)
        case TooMany(has, most):
            raise Refused("limit-reached", f"One person may have {most} seats.", 409, has=has, max=most)
        case OtherWish(line):
            entry = line.entry
            raise Refused(
                "waiting-already",
                "You are on the waitlist with another wish. Leave it first.",
                409,
                count=entry.wanted,
                tier=entry.tier,
            )


def _told(line: Line, status: int) -> Response:
    entry = line.entry
    is_offered = entry.state is EntryState.OFFERED
    body = {
        "event": entry.event,
        "number": entry.number,
        "count": entry.wanted,
        "tier": entry.tier,
        "state": str(entry.state),
        "before": 0 if is_offered else line.before,
        "offer": {"hold": entry.hold, "until_ms": line.until_ms} if is_offered else None,
        "now_ms": line.now_ms,
    }
    headers = {"cache-control": "no-store"}
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def not_waiting() -> Refused:
    """Say that who asks does not wait."""
    return Refused("not-waiting", "You are not on this event's waitlist.", 404)


def _event(request: Request) -> str:
    event = str(request.path_params["event"])
    if _EVENT.fullmatch(event) is None:
        raise Refused("event-unknown", "There is no such event.", 404)
    return event


async def _wish(request: Request) -> tuple[int, int | None]:
    """Read what is wanted; every fault of the body has its own code."""
    _, body = await read_object(request.scope, request.receive, BODY_MOST_BYTES)
    wanted, tier = body.get("count"), body.get("tier")
    if (
        body.keys() <= _MEMBERS
        and _is_whole(wanted, 1, WANTED_MOST)
        and (tier is None or _is_whole(tier, 0, TIERS - 1))
    ):
        return wanted, tier
    raise Refused("wish-invalid", "Say how many seats (`count`) and, if you like, of which `tier`.", 422)


def _is_whole(value: object, least: int, most: int) -> TypeGuard[int]:
    # True and False are whole numbers to Python.
    return type(value) is int and least <= value <= most

"""Guests: an operator finds a fan by the number that they read, ends a visit, evicts a place and gives it back.

    GET  /api/rooms/{room}/guests                    -> {"evicted": [42, …]}
    POST /api/rooms/{room}/guests/revoke-all         {"all": true} -> {"revoked": 371}
    GET  /api/rooms/{room}/guests/{arrived}          -> the guest
    POST /api/rooms/{room}/guests/{arrived}/{act}    revoke, evict or reinstate -> the guest

`arrived` is what the fan reads on their page ("you came as number 42", from 1); our numbers begin with 0. Each act
takes a reason (header Waitroom-Why), which goes into the journal with who did it: no name of a fan, no address.

Not here: what an act does (``admission.steering``), the page (``guest_page``).
"""

from typing import Any, Literal

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admission.guests import By
from admission.steering import Guest
from dashboards.operator_api import (
    JSON_TYPES,
    actor_of,
    behind_guard,
    read_document,
    resource,
    seen_room,
    steered_room,
)
from dashboards.ports import Deps, Guests
from kernel.errors import Refused

ARRIVED_MAX = 1 << 40
WHY_MAX_CHARS = 300
ACTS = ("revoke", "evict", "reinstate")
Standing = Literal["evicted", "inside", "over", "waiting"]


def guest_routes(deps: Deps, guests: Guests) -> list[Route]:
    """Give operators the addresses."""

    async def overview(request: Request) -> Response:
        """GET /guests."""
        room = await deps.configurations.get(seen_room(request))
        return _json({"evicted": [number + 1 for number in await guests.evicted(room.name)]})

    async def revoke_all(request: Request) -> Response:
        """POST /guests/revoke-all."""
        name = steered_room(request)
        given = await read_document(request, JSON_TYPES)
        if set(given) != {"all"} or given["all"] is not True:
            raise Refused(
                "revoke-all-unconfirmed", 'Say {"all": true}: this ends every visit of the room.', 422
            )
        by = by_of(*_actor(request))
        room = await deps.configurations.get(name)
        return _json({"revoked": await guests.revoke_all(room.name, by)})

    async def find(request: Request) -> Response:
        """GET /guests/{arrived}."""
        name, number = seen_room(request), number_of(request.path_params["arrived"])
        room = await deps.configurations.get(name)
        return _json(shown(await guests.find(room.name, number)))

    async def act(request: Request) -> Response:
        """POST /guests/{arrived}/{act}."""
        name, word = steered_room(request), request.path_params["act"]
        act_of(word)
        number, by = number_of(request.path_params["arrived"]), by_of(*_actor(request))
        room = await deps.configurations.get(name)
        return _json(shown(await done(guests, word, room.name, number, by)))

    stem = "/api/rooms/{room}/guests"
    routes = [
        resource(stem, GET=overview),
        resource(f"{stem}/revoke-all", POST=revoke_all),
        resource(f"{stem}/{{arrived}}", GET=find),
        resource(f"{stem}/{{arrived}}/{{act}}", POST=act),
    ]
    return behind_guard(routes, deps)


def act_of(word: str) -> str:
    """Return the act that a word names. Raises ``Refused`` (404)."""
    if word not in ACTS:
        raise Refused("act-unknown", "A guest can be revoked, evicted or reinstated.", 404)
    return word


def confirmed(yes: bool) -> None:
    """Raise ``Refused`` where the end of all visits was not confirmed."""
    if not yes:
        raise Refused(
            "revoke-all-unconfirmed", "This ends every visit of the room, so it is confirmed first.", 422
        )


async def done(guests: Guests, word: str, room: str, number: int, by: By) -> Guest:
    """Do one of ``ACTS``."""
    match word:
        case "revoke":
            return await guests.revoke(room, number, by)
        case "evict":
            return await guests.evict(room, number, by)
        case _:
            return await guests.reinstate(room, number, by)


def number_of(arrived: str) -> int:
    """Read the number that a fan reads out; return ours. Raises ``Refused``."""
    text = arrived.strip().replace(",", "").replace(" ", "")
    fine = text.isascii() and text.isdigit() and len(text) <= len(str(ARRIVED_MAX))
    if not fine or not 1 <= int(text) <= ARRIVED_MAX:
        raise Refused("arrived-malformed", "Give the number on the fan's page, from 1.", 422)
    return int(text) - 1


def by_of(who: str, why: str) -> By:
    """Take who acts, and why. Raises ``Refused`` where no reason is given."""
    if not why:
        raise Refused("reason-missing", "Say why: the reason goes into the journal.", 422)
    if len(why) > WHY_MAX_CHARS:
        raise Refused("reason-too-long", f"The reason may have {WHY_MAX_CHARS} characters.", 422)
    return By(who, why)


def standing_of(guest: Guest) -> Standing:
    """Say in a word how a guest stands."""
    if guest.evicted:
        return "evicted"
    if guest.turn is None:
        return "waiting"
    return "inside" if guest.until_ms else "over"


def shown(guest: Guest) -> dict[str, Any]:
    """Write a guest as the API shows it; `waiting` is whoever has not been let in."""
    turn = guest.turn
    return {
        "arrived": guest.number + 1,
        "run": guest.run,
        "standing": standing_of(guest),
        "evicted": guest.evicted,
        "sid": turn.sid if turn else None,
        "lane": turn.lane if turn else None,
        "admitted_ms": turn.admitted_ms if turn else None,
        "until_ms": guest.until_ms or None,
    }


def _actor(request: Request) -> tuple[str, str]:
    actor = actor_of(request)
    return actor.who, actor.why


def _json(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), 200, {"cache-control": "no-store"}, "application/json")

"""Release: an operator lets go of the key that a place is bound to, for a fan whose browser has lost it.

    POST /api/rooms/{room}/release   {"arrived": 42} -> {"room", "run", "number", "arrived"}

`arrived` is what the fan reads on their page ("you arrived as number 42", from 1); our numbers begin with 0. From then
on whoever has the ticket has the place, as in a room that binds none; who asks for this should be known to be its fan.
A repeat changes nothing. It goes into the journal with the headers Waitroom-Who and Waitroom-Why, recorded in the same
step of the store that does it.

Not here: which key counts (``waitroom.binding``).
"""

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response

from dashboards.operator_api import JSON_TYPES, BearerGuard, Whole, actor_of, read_document, steered_room
from dashboards.ports import Deps, LetGo
from kernel.errors import Refused
from waitroom.configure import WHO_CHARS, WHY_CHARS

ARRIVED_MAX = 1 << 40


def release_route(deps: Deps, let_go: LetGo) -> Route:
    """Give operators the address; `let_go` does it."""

    async def release(request: Request) -> Response:
        room = await deps.configurations.get(steered_room(request))
        given = await read_document(request, JSON_TYPES)
        arrived = given.get("arrived")
        if set(given) != {"arrived"} or type(arrived) is not int or not 1 <= arrived <= ARRIVED_MAX:
            raise Refused("release-malformed", "Give arrived, the number on the fan's page, from 1.", 422)
        actor = actor_of(request)
        run = await let_go(room.name, arrived - 1, actor.who[:WHO_CHARS], actor.why[:WHY_CHARS])
        body = {"room": room.name, "run": run, "number": arrived - 1, "arrived": arrived}
        return Response(orjson.dumps(body), 200, {"cache-control": "no-store"}, "application/json")

    return Whole("/api/rooms/{room}/release", BearerGuard(request_response(release), deps), methods=["POST"])

"""Bypass tokens: an operator lets staff, press or a monitor in beside the line, for everybody to see how many.

    GET  /api/rooms/{room}/bypass                    -> {"tokens": [...]}
    POST /api/rooms/{room}/bypass                    {"name", "hours"} -> the token, with its text this once
    POST /api/rooms/{room}/bypass/{token}/revoke     -> the token

Making and revoking take a reason (header Waitroom-Why), which goes into the journal with who did it. The text of a
token is kept nowhere; what is listed is its id. Not here: what a token does (``admission.bypassing``).
"""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admission.bypassing import Token
from dashboards.guest_api import by_of
from dashboards.operator_api import (
    JSON_TYPES,
    actor_of,
    behind_guard,
    read_document,
    resource,
    seen_room,
    steered_room,
)
from dashboards.ports import Deps, Passes
from kernel.errors import Refused


def bypass_routes(deps: Deps, passes: Passes) -> list[Route]:
    """Give operators the addresses."""

    async def overview(request: Request) -> Response:
        """GET /bypass."""
        room = await deps.configurations.get(seen_room(request))
        now_ms = deps.clock.now_ms()
        return _json({"tokens": [shown(token, now_ms) for token in await passes.tokens(room.name)]})

    async def make(request: Request) -> Response:
        """POST /bypass."""
        name = steered_room(request)
        given = await read_document(request, JSON_TYPES)
        label, hours = given.get("name"), given.get("hours")
        if set(given) != {"name", "hours"} or not isinstance(label, str) or type(hours) is not int:
            raise Refused("bypass-malformed", "Give name, a text, and hours, a whole number.", 422)
        actor = actor_of(request)
        by = by_of(actor.who, actor.why)
        room = await deps.configurations.get(name)
        token, text = await passes.make(room.name, label.strip(), hours, by)
        return _json({**shown(token, deps.clock.now_ms()), "text": text}, 201)

    async def revoke(request: Request) -> Response:
        """POST /bypass/{token}/revoke."""
        name, actor = steered_room(request), actor_of(request)
        by = by_of(actor.who, actor.why)
        room = await deps.configurations.get(name)
        token = await passes.revoke(room.name, request.path_params["token"], by)
        return _json(shown(token, deps.clock.now_ms()))

    stem = "/api/rooms/{room}/bypass"
    routes = [
        resource(stem, GET=overview, POST=make),
        resource(f"{stem}/{{token}}/revoke", POST=revoke),
    ]
    return behind_guard(routes, deps)


def shown(token: Token, now_ms: int) -> dict[str, Any]:
    """Write a token as the API shows it."""
    return {
        "token": token.token,
        "name": token.name,
        "who": token.who,
        "why": token.why,
        "made_ms": token.made_ms,
        "until_ms": token.until_ms,
        "revoked_ms": token.revoked_ms or None,
        "counts": token.counts(now_ms),
        "passes": token.passes,
        "last_ms": token.last_ms or None,
    }


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, {"cache-control": "no-store"}, "application/json")

"""Stock: what is left of the tickets, reported by the shop that sells them.

    POST /api/rooms/{room}/stock   {"state": "selling" | "last" | "soldout" | null, "left": 120 | null}

The line hears of it within a second: every waiting page says what is left, and nobody joins a room that is sold out.
A backend may do this with its own token, which lets it do nothing else to a room. It is told often, so it names no
version: what is left is a fact and nobody's edit. Saying what is known already changes nothing and leaves no entry.

Not here: when a shop says so (``checkout``), what the room does with it (``waitroom``).
"""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response

from dashboards.operator_api import JSON_TYPES, BearerGuard, Whole, actor_of, read_document, steered_room
from dashboards.ports import Deps
from kernel.errors import Refused
from waitroom.configure import Stale

FIELDS = {"state": "stock_state", "left": "stock_left"}


def _is_known(known: object, value: object) -> bool:
    """Tell whether a value is what is known already; to Python ``false`` is 0, to a reader of stock it is a fault."""
    return known == value and not isinstance(value, bool | float)


def stock_route(deps: Deps) -> Route:
    """Give the address at which shops report; the operator's token may do so, too."""

    async def report(request: Request) -> Response:
        room = await deps.configurations.get(steered_room(request))
        given = await read_document(request, JSON_TYPES)
        unknown = sorted(set(given) - set(FIELDS))
        if unknown or not given:
            raise Refused("stock-malformed", "Give state, left, or both.", 422, unknown=unknown)
        patch: dict[str, Any] = {FIELDS[name]: value for name, value in given.items()}
        if any(not _is_known(getattr(room, name), value) for name, value in patch.items()):
            result = await deps.configurations.patch(room.name, patch, None, actor_of(request))
            if isinstance(result, Stale):
                raise Refused("room-unknown", "This room has been removed meanwhile.", 404)
            room = result.room
        body = {"state": room.stock_state, "left": room.stock_left}
        return Response(orjson.dumps(body), 200, {"cache-control": "no-store"}, "application/json")

    guarded = BearerGuard(request_response(report), deps, deps.backend_token)
    return Whole("/api/rooms/{room}/stock", guarded, methods=["POST"])

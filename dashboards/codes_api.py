"""Priority codes: an operator makes codes that bring a fan who waits into the lane verified, and revokes them.

    GET  /api/rooms/{room}/codes                     -> {"batches": [...]}
    POST /api/rooms/{room}/codes                     {"name", "count", "hours"} -> the batch, with its codes this once
    POST /api/rooms/{room}/codes/{batch}/revoke      -> the batch

Making and revoking take a reason (header Waitroom-Why), which goes into the journal with who did it, without any code.
Not here: what a code does (``waitroom.prioritising``).
"""

from dataclasses import asdict
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

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
from dashboards.ports import Deps, PriorityCodes
from kernel.errors import Refused
from waitroom.room_fields import IdentityWay
from waitroom.rooms import Room

NAME_MAX_CHARS = 80
COUNT_MOST = 5_000
HOURS_MOST = 24 * 366


def codes_routes(deps: Deps, codes: PriorityCodes) -> list[Route]:
    """Give operators the addresses."""

    async def overview(request: Request) -> Response:
        """GET /codes."""
        room = await deps.configurations.get(seen_room(request))
        return _json({"batches": [asdict(batch) for batch in await codes.batches(room.name)]})

    async def make(request: Request) -> Response:
        """POST /codes."""
        name = steered_room(request)
        given = await read_document(request, JSON_TYPES)
        if set(given) != {"name", "count", "hours"}:
            raise malformed()
        label, count, hours = batch_of(given["name"], given["count"], given["hours"])
        actor = actor_of(request)
        by = by_of(actor.who, actor.why)
        room = await deps.configurations.get(name)
        offered(room)
        batch, texts = await codes.make(room.name, label, count, hours, by)
        return _json({**asdict(batch), "codes": list(texts)}, 201)

    async def revoke(request: Request) -> Response:
        """POST /codes/{batch}/revoke."""
        name, actor = steered_room(request), actor_of(request)
        by = by_of(actor.who, actor.why)
        room = await deps.configurations.get(name)
        return _json(asdict(await codes.revoke(room.name, number_of(request.path_params["batch"]), by)))

    stem = "/api/rooms/{room}/codes"
    routes = [
        resource(stem, GET=overview, POST=make),
        resource(f"{stem}/{{batch}}/revoke", POST=revoke),
    ]
    return behind_guard(routes, deps)


def batch_of(name: object, count: object, hours: object) -> tuple[str, int, int]:
    """Read what a batch is made of. Raises ``Refused``."""
    if not isinstance(name, str) or type(count) is not int or type(hours) is not int:
        raise malformed()
    label = name.strip()
    if not 0 < len(label) <= NAME_MAX_CHARS or not 1 <= count <= COUNT_MOST or not 1 <= hours <= HOURS_MOST:
        raise malformed()
    return label, count, hours


def offered(room: Room) -> None:
    """Raise ``Refused`` for a room in which a code is who somebody is, and so no priority."""
    if room.identity is IdentityWay.CODE:
        raise Refused("priority-none", "In this room a code is shown before joining.", 404)


def number_of(text: str) -> int:
    """Read the number of a batch. Raises ``Refused`` (404)."""
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise Refused("batch-unknown", "There is no such batch of codes in this room.", 404)
    return int(text)


def malformed() -> Refused:
    """Say what a batch is made of."""
    told = f"Give name, 1 to {NAME_MAX_CHARS} characters, count, 1 to {COUNT_MOST:,}, and hours, 1 to {HOURS_MOST:,}."
    return Refused("batch-malformed", told, 422)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, {"cache-control": "no-store"}, "application/json")

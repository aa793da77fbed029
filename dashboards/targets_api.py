"""Targets API: whom events are told, for owners: ``/api/targets``.

A webhook's secret is in the answer that makes the target, and in that which gives it a new one, and nowhere else.
Not here: what may be a target (``waitroom.targets``), the page (``targets_page``).
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.operator_api import JSON_TYPES, actor_of, person_of, read_document, resource
from dashboards.rights import Role, demand
from kernel.errors import Refused
from waitroom.events import moment
from waitroom.target_desk import Act, TargetDesk
from waitroom.targets import Delivery, Target, shown_address

_TAG = re.compile(r'"([0-9a-f]{32})"')


class TargetsApi:
    """The endpoints below ``/api/targets``."""

    def __init__(self, desk: TargetDesk) -> None:
        """Do what owners ask of `desk`."""
        self._desk = desk

    def routes(self) -> list[Route]:
        """Return the addresses, below ``/api``."""
        one = "/targets/{target}"
        return [
            resource("/targets", GET=self.all, POST=self.make),
            resource(one, GET=self.get, PUT=self.put, DELETE=self.remove),
            resource(f"{one}/deliveries", GET=self.deliveries),
            resource(f"{one}/{{step}}", POST=self.act),
        ]

    async def all(self, request: Request) -> Response:
        """GET /targets."""
        _owner(request)
        return _json({"targets": [target_document(target) for target in await self._desk.all()]})

    async def make(self, request: Request) -> Response:
        """POST /targets."""
        _owner(request)
        given = await read_document(request, JSON_TYPES)
        target, secret = await self._desk.make(given, actor_of(request))
        headers = {"location": f"/api/targets/{target.name}"}
        return _json(target_document(target) | {"secret": secret}, 201, headers)

    async def get(self, request: Request) -> Response:
        """GET /targets/{target}."""
        _owner(request)
        return _tagged(await self._desk.get(request.path_params["target"]))

    async def put(self, request: Request) -> Response:
        """PUT /targets/{target}: make another of it; it goes on where it was."""
        _owner(request)
        given = await read_document(request, JSON_TYPES)
        tag = expected_tag(request, needed=True)
        return _tagged(await self._desk.put(request.path_params["target"], given, tag, actor_of(request)))

    async def remove(self, request: Request) -> Response:
        """DELETE /targets/{target}."""
        _owner(request)
        tag = expected_tag(request, needed=False)
        await self._desk.remove(request.path_params["target"], actor_of(request), tag)
        return Response(status_code=204)

    async def deliveries(self, request: Request) -> Response:
        """GET /targets/{target}/deliveries: the last tries, newest first."""
        _owner(request)
        found = await self._desk.deliveries(request.path_params["target"])
        return _json({"deliveries": [delivery_document(one) for one in found]})

    async def act(self, request: Request) -> Response:
        """POST /targets/{target}/{step}."""
        _owner(request)
        act = request.path_params["step"]
        if act not in list(Act):
            raise Refused("act-unknown", f"There are {', '.join(Act)}.", 404)
        given = await read_document(request, JSON_TYPES)
        name = request.path_params["target"]
        target, secret = await self._desk.act(name, Act(act), given, actor_of(request))
        return _json(target_document(target) | {"secret": secret})


def target_document(target: Target) -> dict[str, Any]:
    """Write a target as the API shows it: without what is secret of a chat's address."""
    return {
        "name": target.name,
        "tag": target.tag,
        "way": target.way.value,
        "address": shown_address(target),
        "rooms": list(target.rooms),
        "kinds": list(target.kinds),
        "state": target.state.value,
        "cursor": target.cursor,
        "tries": target.tries,
        "why": target.why,
        "next_at": moment(target.next_ms) if target.next_ms else None,
        "told_at": moment(target.told_ms) if target.told_ms else None,
    }


def delivery_document(delivery: Delivery) -> dict[str, Any]:
    """Write a try."""
    return {
        "at": moment(delivery.at_ms),
        "first_seq": delivery.first_seq,
        "last_seq": delivery.last_seq,
        "outcome": delivery.outcome,
        "why": delivery.why,
        "took_ms": delivery.took_ms,
    }


def expected_tag(request: Request, *, needed: bool) -> str | None:
    """Read If-Match; None for ``*``, and where it is missing and not `needed`. Raises ``Refused``."""
    given = request.headers.get("if-match", "" if needed else "*").strip()
    if given == "*":
        return None
    if not given:
        raise Refused("if-match-missing", "Name the tag of the target that you change in If-Match.", 428)
    found = _TAG.fullmatch(given)
    if found is None:
        raise Refused("if-match-invalid", "If-Match must be the ETag of a target, or *.")
    return found[1]


def _tagged(target: Target) -> Response:
    return _json(target_document(target), headers={"etag": f'"{target.tag}"'})


def _owner(request: Request) -> None:
    demand(person_of(request), Role.OWNER)


def _json(
    content: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    more = {"cache-control": "no-store", **(headers or {})}
    return Response(orjson.dumps(content), status, more, "application/json")
